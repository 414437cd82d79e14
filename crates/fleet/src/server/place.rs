//! The server's address.

use crate::error::FleetError;

/// How many servers there are, and how they are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    One,
    Cluster,
    /// By the name of the master.
    Sentinel(String),
}

/// The server's address, read from a URL.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    pub(crate) tls: bool,
    pub(crate) unix: bool,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    /// Hosts with their ports, or a path.
    pub(crate) hosts: Vec<(String, u16)>,
    pub(crate) database: i64,
}

impl Place {
    pub(crate) fn read(url: &str) -> Result<Place, FleetError> {
        Self::parse(url).ok_or_else(|| FleetError::Url(without_password(url)))
    }

    fn parse(url: &str) -> Option<Place> {
        let (scheme, rest) = url.split_once("://")?;
        let (scheme, how) = scheme.split_once('+').unwrap_or((scheme, ""));
        let tls = match scheme {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return None,
        };
        let (login, rest) = rest.rsplit_once('@').map_or((None, rest), |(login, rest)| (Some(login), rest));
        let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
            Some((user, password)) => (decoded(user)?, decoded(password)?),
            None => (None, None),
        };
        if how == "unix" {
            let hosts = rest.starts_with('/').then(|| vec![(rest.to_owned(), 0)])?;
            return Some(Place { kind: Kind::One, tls: false, unix: true, user, password, hosts, database: 0 });
        }
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let default = if how == "sentinel" { 26_379 } else { 6379 };
        let hosts: Vec<(String, u16)> =
            hosts.split(',').map(|host| host_and_port(host, default)).collect::<Option<_>>()?;
        let database = |path: &str| if path.is_empty() { Some(0) } else { path.parse().ok() };
        let (kind, database) = match how {
            "" if hosts.len() == 1 => (Kind::One, database(path)?),
            "cluster" if path.is_empty() => (Kind::Cluster, 0),
            "sentinel" => {
                let (name, number) = path.split_once('/').unwrap_or((path, ""));
                (Kind::Sentinel((!name.is_empty()).then(|| name.to_owned())?), database(number)?)
            }
            _ => return None,
        };
        Some(Place { kind, tls, unix: false, user, password, hosts, database })
    }
}

/// Shown without the password.
impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hosts: Vec<String> = self
            .hosts
            .iter()
            .map(|(host, port)| match self.unix {
                true => host.clone(),
                false if host.contains(':') => format!("[{host}]:{port}"),
                false => format!("{host}:{port}"),
            })
            .collect();
        let kind = match &self.kind {
            Kind::One => String::new(),
            Kind::Cluster => "cluster ".to_owned(),
            Kind::Sentinel(name) => format!("{name} by sentinel "),
        };
        write!(f, "{kind}{}{}", hosts.join(","), if self.tls { " (TLS)" } else { "" })
    }
}

fn host_and_port(text: &str, default: u16) -> Option<(String, u16)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        let port = if port.is_empty() { default } else { port.strip_prefix(':')?.parse().ok()? };
        return Some((host.to_owned(), port));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (text, default),
    };
    (!host.is_empty() && !host.contains(char::is_whitespace)).then(|| (host.to_owned(), port))
}

/// Percent-encoding taken away (RFC 3986, 2.1); empty is absent.
fn decoded(text: &str) -> Option<Option<String>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    Some((!text.is_empty()).then_some(text))
}

fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_without_the_password() {
        for (url, shown) in [
            ("redis://127.0.0.1:6379", "127.0.0.1:6379"),
            ("redis://valkey.example.test", "valkey.example.test:6379"),
            ("rediss://mx1:p%40ss@valkey.example.test/2", "valkey.example.test:6379 (TLS)"),
            ("valkey://[2001:db8::1]:7000", "[2001:db8::1]:7000"),
            ("redis+unix:///run/redis.sock", "/run/redis.sock"),
            ("redis+cluster://a:1,b:2,c", "cluster a:1,b:2,c:6379"),
            ("rediss+sentinel://:secret@a,b/mymaster", "mymaster by sentinel a:26379,b:26379 (TLS)"),
        ] {
            assert_eq!(Place::read(url).unwrap().to_string(), shown, "{url}");
        }
        let place = Place::read("rediss://mx1:p%40ss@valkey.example.test/2").unwrap();
        assert_eq!((place.user.as_deref(), place.password.as_deref(), place.database), (Some("mx1"), Some("p@ss"), 2));
        for url in [
            "",
            "127.0.0.1",
            "http://a",
            "redis://",
            "redis://a,b",
            "redis+sentinel://a",
            "redis+unix://x",
            "redis://a:b:c",
        ] {
            assert!(Place::read(url).is_err(), "{url}");
        }
        let told = Place::read("redis://u:secret@a:x").err().unwrap().to_string();
        assert!(!told.contains("secret"), "{told}");
    }
}
