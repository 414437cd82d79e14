//! Whose address it is, behind reverse proxies.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// The header in which a proxy tells whom it speaks for. Only the one that is configured is looked at: a proxy that
/// writes one of them passes the other on as the client sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ForwardHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// The reverse proxies that are believed.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Proxies {
    /// Their networks. From all others, headers are ignored.
    pub trusted: Vec<IpNet>,
    /// What they write.
    pub header: ForwardHeader,
}

impl Proxies {
    /// The client's address: who connected, or for a trusted proxy the rightmost address of the header that is not
    /// itself a trusted proxy. What stands to the left of that was written by the client.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        let mut nearest = peer;
        for hop in self.hops(headers).into_iter().rev() {
            // Beyond what cannot be read nothing is known.
            let Some(address) = hop else { return nearest };
            if !self.trusts(address) {
                return address;
            }
            nearest = address;
        }
        nearest
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(&address))
    }

    fn hops(&self, headers: &HeaderMap) -> Vec<Option<IpAddr>> {
        let (name, read): (_, fn(&str) -> Option<IpAddr>) = match self.header {
            ForwardHeader::XForwardedFor => (HeaderName::from_static("x-forwarded-for"), node),
            ForwardHeader::Forwarded => (HeaderName::from_static("forwarded"), forwarded_for),
        };
        let mut hops = Vec::new();
        for line in headers.get_all(name) {
            match line.to_str() {
                Ok(line) => hops.extend(line.split(',').map(read)),
                Err(_) => hops.push(None),
            }
        }
        hops
    }
}

/// One element of `Forwarded`: `for=192.0.2.7;proto=https`. A comma inside a quoted string splits it into parts that
/// cannot be read, which is the safe side.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(key, _)| key.eq_ignore_ascii_case("for"))?;
    node(value.trim_matches('"'))
}

/// `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::7`, `[2001:db8::7]`, `[2001:db8::7]:4711`.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    if let Ok(socket) = text.parse::<std::net::SocketAddr>() {
        return Some(socket.ip().to_canonical());
    }
    let inside = text.strip_prefix('[')?.strip_suffix(']')?;
    inside.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(header: ForwardHeader, peer: &str, lines: &[(&'static str, &str)]) -> String {
        let proxies = Proxies { trusted: vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()], header };
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn nothing_is_believed_from_others() {
        use ForwardHeader::{Forwarded, XForwardedFor};
        for (header, peer, lines, expected) in [
            (XForwardedFor, "203.0.113.9", vec![("x-forwarded-for", "192.0.2.7")], "203.0.113.9"),
            (Forwarded, "203.0.113.9", vec![("forwarded", "for=192.0.2.7")], "203.0.113.9"),
            (XForwardedFor, "10.0.0.1", vec![], "10.0.0.1"),
            (XForwardedFor, "10.0.0.1", vec![("x-forwarded-for", "192.0.2.7")], "192.0.2.7"),
            (XForwardedFor, "::ffff:10.0.0.1", vec![("x-forwarded-for", "::ffff:192.0.2.7")], "192.0.2.7"),
            (XForwardedFor, "10.0.0.1", vec![("x-forwarded-for", "198.51.100.1, 192.0.2.7")], "192.0.2.7"),
            (XForwardedFor, "10.0.0.1", vec![("x-forwarded-for", "192.0.2.7, 10.0.0.2")], "192.0.2.7"),
            (
                XForwardedFor,
                "10.0.0.1",
                vec![("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "192.0.2.7")],
                "192.0.2.7",
            ),
            (XForwardedFor, "10.0.0.1", vec![("x-forwarded-for", "192.0.2.7, unknown")], "10.0.0.1"),
            (XForwardedFor, "10.0.0.1", vec![("x-forwarded-for", "192.0.2.7, unknown, 10.0.0.3")], "10.0.0.3"),
            (XForwardedFor, "10.0.0.1", vec![("forwarded", "for=192.0.2.7")], "10.0.0.1"),
            (Forwarded, "::1", vec![("x-forwarded-for", "192.0.2.7")], "::1"),
            (
                Forwarded,
                "::1",
                vec![("forwarded", "for=198.51.100.1, For=\"[2001:db8::7]:47\";proto=https")],
                "2001:db8::7",
            ),
            (Forwarded, "::1", vec![("forwarded", "proto=https")], "::1"),
            (XForwardedFor, "10.0.0.1", vec![("x-forwarded-for", "192.0.2.7:4711")], "192.0.2.7"),
        ] {
            assert_eq!(client(header, peer, &lines), expected, "{peer} {lines:?}");
        }
    }
}
