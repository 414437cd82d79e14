use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use fairban_types::{domain_ascii, single};
use ipnet::IpNet;

use super::{Takes, absolute, list};
use crate::reader::{Reader, found};
use crate::settings::{Listen, Secret, SyslogListen};
use crate::tree::{At, Item, Value};

/// Ports on which a blocked person finds the way out again, and an administrator the way in.
const WAYS_OUT: [u16; 4] = [22, 53, 80, 443];
const NEVER_MAX: usize = 100_000;

/// Addresses and networks, as entries of the never-block list: each once, in order.
pub(crate) fn networks() -> Takes<Vec<IpNet>> {
    let list = list(network(), 0..=NEVER_MAX);
    Takes::reading(list.allowed.clone(), move |item, reader| {
        let mut networks = list.read(item, reader)?;
        networks.sort_unstable();
        networks.dedup();
        Some(networks)
    })
}

fn network() -> Takes<IpNet> {
    let allowed = "an address or a network (CIDR)";
    Takes::reading(allowed, move |item, reader| {
        let read = match &item.value {
            Value::Text(text) => net_of(text.trim()),
            _ => None,
        };
        let Some(net) = read else {
            reader.problem(&item.at, format!("takes {allowed}, not {}", found(&item.value)));
            return None;
        };
        warn_of_network(net, &item.at, reader);
        Some(net.trunc())
    })
}

/// An IPv4-mapped network (RFC 4291, 2.5.5.2) is the IPv4 network, since events carry IPv4 addresses.
fn net_of(text: &str) -> Option<IpNet> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(single(address));
    }
    let net = text.parse::<IpNet>().ok()?;
    match (net.addr().to_canonical(), net.prefix_len().checked_sub(96)) {
        (address @ IpAddr::V4(_), Some(prefix)) if net.addr().is_ipv6() => IpNet::new(address, prefix).ok(),
        _ => Some(net),
    }
}

fn warn_of_network(net: IpNet, at: &At, reader: &mut Reader) {
    if net.trunc() != net {
        reader.warn(at, format!("{net} is read as {}: the bits after the prefix do not count", net.trunc()));
    }
    let wide = if net.addr().is_ipv4() { 8 } else { 16 };
    if net.prefix_len() <= wide {
        reader.warn(at, format!("{} is very wide: nothing in it will ever be blocked", net.trunc()));
    }
}

/// TCP ports, each once, in order.
pub(crate) fn ports() -> Takes<Vec<u16>> {
    let ports = list(port(), 1..=64);
    Takes::reading(ports.allowed.clone(), move |item, reader| {
        let mut ports = ports.read(item, reader)?;
        ports.sort_unstable();
        ports.dedup();
        for port in ports.iter().filter(|port| WAYS_OUT.contains(port)) {
            reader.warn(&item.at, format!("port {port} serves other things than mail: blocks will close it too"));
        }
        Some(ports)
    })
}

/// A TCP port.
pub(crate) fn port() -> Takes<u16> {
    Takes::scalar("a port from 1 to 65535", |value| match value {
        Value::Whole(number) => u16::try_from(*number).ok().filter(|port| *port > 0).ok_or_else(String::new),
        _ => Err("; write the bare number".to_owned()),
    })
}

/// A client's address.
pub(crate) fn client() -> Takes<IpAddr> {
    Takes::scalar("an address, such as \"192.0.2.7\"", |value| match value {
        Value::Text(text) => text.parse::<IpAddr>().map(|address| address.to_canonical()).map_err(|_| String::new()),
        _ => Err(String::new()),
    })
}

/// An address and port to listen on.
pub(crate) fn socket() -> Takes<SocketAddr> {
    Takes::scalar("an address and port, such as \"127.0.0.1:8625\"", |value| match value {
        Value::Text(text) => socket_of(text).ok_or_else(|| port_hint(text)),
        _ => Err(String::new()),
    })
}

fn socket_of(text: &str) -> Option<SocketAddr> {
    text.parse::<SocketAddr>().ok().filter(|socket| socket.port() > 0)
}

fn port_hint(text: &str) -> String {
    match text.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => format!("; the port is missing: \"{address}:PORT\""),
        Ok(IpAddr::V6(address)) => format!("; the port is missing: \"[{address}]:PORT\""),
        Err(_) if text.contains(':') && !text.contains('/') => {
            "; names are not looked up: write the address".to_owned()
        }
        Err(_) => String::new(),
    }
}

/// An address and port, or `unix:` and a path.
pub(crate) fn listen() -> Takes<Listen> {
    let allowed = "an address and port, such as \"127.0.0.1:10625\", or \"unix:/path\"";
    Takes::scalar(allowed, |value| match value {
        Value::Text(text) => match unix_path(text) {
            Some(path) => Ok(Listen::Unix(path)),
            None => socket_of(text).map(Listen::Tcp).ok_or_else(|| port_hint(text)),
        },
        _ => Err(String::new()),
    })
}

fn unix_path(text: &str) -> Option<PathBuf> {
    let path = text.strip_prefix("unix:")?;
    absolute(path.strip_prefix("//").unwrap_or(path))
}

/// Where a syslog receiver listens.
pub(crate) fn syslog() -> Takes<SyslogListen> {
    let allowed = "\"udp://ADDRESS:PORT\", \"tcp://ADDRESS:PORT\" or \"unix:/path\"";
    let syslog = Takes::scalar(allowed, |value| match value {
        Value::Text(text) => syslog_of(text),
        _ => Err(String::new()),
    });
    Takes::reading(allowed, move |item, reader| {
        let listen = syslog.read(item, reader)?;
        warn_of_strangers(&listen, item, reader);
        Some(listen)
    })
}

fn syslog_of(text: &str) -> Result<SyslogListen, String> {
    if let Some(rest) = text.strip_prefix("udp://") {
        return socket_of(rest).map(SyslogListen::Udp).ok_or_else(|| port_hint(rest));
    }
    if let Some(rest) = text.strip_prefix("tcp://") {
        return socket_of(rest).map(SyslogListen::Tcp).ok_or_else(|| port_hint(rest));
    }
    unix_path(text).map(SyslogListen::Unix).ok_or_else(String::new)
}

fn warn_of_strangers(listen: &SyslogListen, item: &Item, reader: &mut Reader) {
    if let SyslogListen::Udp(socket) | SyslogListen::Tcp(socket) = listen
        && !socket.ip().is_loopback()
    {
        reader.warn(&item.at, format!("whoever can reach {socket} can write log lines: let only your servers through"));
    }
}

/// A domain, in its ASCII form.
pub(crate) fn domain() -> Takes<String> {
    Takes::scalar("a domain, such as \"example.test\"", |value| match value {
        Value::Text(text) => {
            let domain = domain_ascii(text);
            let is_domain = (1..=255).contains(&domain.len())
                && domain.split('.').all(|label| {
                    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
                });
            if is_domain { Ok(domain) } else { Err(String::new()) }
        }
        _ => Err(String::new()),
    })
}

/// The name or address of another machine.
pub(crate) fn host() -> Takes<String> {
    let domain = domain();
    Takes::reading("a host's name or address", move |item, reader| match &item.value {
        Value::Text(text) if text.parse::<IpAddr>().is_ok() => Some(text.clone()),
        _ => domain.read(item, reader),
    })
}

/// The URL of a Valkey or Redis server. It may hold a password, so it is not shown again.
pub(crate) fn redis_url() -> Takes<Secret> {
    let allowed = "a URL that begins with \"redis://\" or \"rediss://\" (or with redis+unix, redis+cluster, \
                   redis+sentinel, and the same with rediss)";
    Takes::reading(allowed, move |item, reader| match &item.value {
        Value::Text(text) if is_redis_url(text) => Some(Secret::new(text.clone())),
        _ => {
            reader.problem(&item.at, format!("takes {allowed}"));
            None
        }
    })
}

const SCHEMES: [&str; 9] = [
    "redis",
    "rediss",
    "redis+unix",
    "redis+cluster",
    "rediss+cluster",
    "redis+sentinel",
    "rediss+sentinel",
    "valkey",
    "valkeys",
];

fn is_redis_url(text: &str) -> bool {
    let rest = text.split_once("://").filter(|(scheme, _)| SCHEMES.contains(scheme)).map(|(_, rest)| rest);
    rest.is_some_and(|rest| !rest.is_empty()) && text.len() <= 1024 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_networks_are_ipv4() {
        for (text, net) in [
            ("192.0.2.7", Some("192.0.2.7/32")),
            ("::ffff:192.0.2.7", Some("192.0.2.7/32")),
            ("::ffff:192.0.2.0/120", Some("192.0.2.0/24")),
            ("2001:db8::/32", Some("2001:db8::/32")),
            ("192.0.2.0/33", None),
            ("mx1", None),
        ] {
            assert_eq!(net_of(text).map(|net| net.to_string()).as_deref(), net, "{text}");
        }
    }

    #[test]
    fn unix_paths_are_absolute() {
        assert_eq!(unix_path("unix:/run/x"), Some(PathBuf::from("/run/x")));
        assert_eq!(unix_path("unix:///run/x"), Some(PathBuf::from("/run/x")));
        assert_eq!(unix_path("unix:run/x"), None);
        assert_eq!(unix_path("/run/x"), None);
    }
}
