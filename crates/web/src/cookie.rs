//! Cookies: reading the one that is meant, and setting one that nobody else can read or plant.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};

/// More than this of a Cookie header is not looked at.
const LENGTH_MAX: usize = 8192;

/// The value of a cookie. With two of one name the first counts, as browsers send the more specific one first.
pub(crate) fn read<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.filter(|line| line.len() <= LENGTH_MAX).flat_map(|line| line.split(';'));
    pairs.find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name && is_token(value)).then_some(value)
    })
}

/// What our own cookies consist of; anything else was not set by us.
fn is_token(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= 64
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// How cookies are named and kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jar {
    /// Whether browsers reach us by TLS, so that cookies can be kept to it.
    pub(crate) secure: bool,
}

impl Jar {
    /// The cookie's full name. The prefix makes a browser refuse one that was set without TLS, or by another host or path
    /// (RFC 6265bis, 4.1.3.2).
    pub(crate) fn name(self, name: &str) -> String {
        if self.secure { format!("__Host-fairban-{name}") } else { format!("fairban-{name}") }
    }

    /// Sets a cookie for the browser's session; `None` value takes it away.
    pub(crate) fn set(self, name: &str, value: Option<&str>) -> Option<HeaderValue> {
        self.set_for(name, value, None)
    }

    /// Sets a cookie that comes along when another site sends somebody back here.
    pub(crate) fn set_for_return(self, name: &str, value: Option<&str>) -> Option<HeaderValue> {
        let set = self.set_for(name, value, None)?;
        HeaderValue::from_str(&set.to_str().ok()?.replace("SameSite=Strict", "SameSite=Lax")).ok()
    }

    /// Sets a cookie that is kept for so many seconds.
    pub(crate) fn set_for(self, name: &str, value: Option<&str>, seconds: Option<u64>) -> Option<HeaderValue> {
        let name = self.name(name);
        let secure = if self.secure { "; Secure" } else { "" };
        let kept = match (value, seconds) {
            (None, _) => "; Max-Age=0".to_owned(),
            (Some(_), Some(seconds)) => format!("; Max-Age={seconds}"),
            (Some(_), None) => String::new(),
        };
        let value = value.unwrap_or_default();
        HeaderValue::from_str(&format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{kept}")).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tokens_of_that_name_are_read() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; fairban-portal=abc-_9; fairban-portal=later"));
        assert_eq!(read(&headers, "fairban-portal"), Some("abc-_9"));
        assert_eq!(read(&headers, "portal"), None);
        for bad in ["x=", "x=a b", "x=\"quoted\"", "x=<b>", "y"] {
            let mut headers = HeaderMap::new();
            headers.append(COOKIE, HeaderValue::from_str(bad).unwrap());
            assert_eq!(read(&headers, "x"), None, "{bad}");
        }
    }

    #[test]
    fn cookies_are_for_this_host_and_no_script() {
        let set = Jar { secure: true }.set("portal", Some("abc")).unwrap();
        assert_eq!(set, "__Host-fairban-portal=abc; Path=/; HttpOnly; SameSite=Strict; Secure");
        let gone = Jar { secure: false }.set("portal", None).unwrap();
        assert_eq!(gone, "fairban-portal=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    }
}
