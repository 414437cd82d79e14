use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fairban_types::Subject;
use ipnet::IpNet;
use rusqlite::types::{FromSqlError, FromSqlResult, Type, ValueRef};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// An address as 4 or 16 bytes. An IPv4-mapped address is the IPv4 address.
pub(crate) enum AddressBytes {
    V4([u8; 4]),
    V6([u8; 16]),
}

impl AddressBytes {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => AddressBytes::V4(v4.octets()),
            IpAddr::V6(v6) => AddressBytes::V6(v6.octets()),
        }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            AddressBytes::V4(bytes) => bytes,
            AddressBytes::V6(bytes) => bytes,
        }
    }
}

pub(crate) fn address(bytes: &[u8]) -> FromSqlResult<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Ok(Ipv4Addr::from(v4).into());
    }
    let v6 = <[u8; 16]>::try_from(bytes).map_err(|_| odd("an address"))?;
    Ok(Ipv6Addr::from(v6).into())
}

/// A network as its address bytes and one byte of prefix length.
pub(crate) fn net_bytes(net: IpNet) -> Vec<u8> {
    let mut bytes = match net.network() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    bytes.push(net.prefix_len());
    bytes
}

pub(crate) fn net(bytes: &[u8]) -> FromSqlResult<IpNet> {
    let (prefix, address_bytes) = bytes.split_last().ok_or_else(|| odd("a network"))?;
    IpNet::new(address(address_bytes)?, *prefix).map_err(|_| odd("a network"))
}

/// The first and last address of a network as 16 bytes in network order; IPv4 at its place in IPv6 (RFC 4291, 2.5.5.2).
pub(crate) fn range(net: IpNet) -> ([u8; 16], [u8; 16]) {
    (wide(net.network()), wide(net.broadcast()))
}

fn wide(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// The first byte of a send block's subject.
pub(crate) const SENDING: u8 = b's';

/// A subject as bytes. The text of a subject does not do: an account may be named like an address, and must not become
/// one.
pub(crate) fn subject_bytes(subject: &Subject) -> Vec<u8> {
    match subject {
        Subject::Network(net) => [b"n".as_slice(), &net_bytes(*net)].concat(),
        Subject::Account(account) => [b"a".as_slice(), account.as_bytes()].concat(),
        Subject::Pair(account, net) => {
            let net = net_bytes(*net);
            // A network takes 5 or 17 bytes.
            [if net.len() == 5 { b"4".as_slice() } else { b"6" }, &net, account.as_bytes()].concat()
        }
        Subject::Sending(sending) => [[SENDING].as_slice(), sending.to_string().as_bytes()].concat(),
    }
}

pub(crate) fn subject(bytes: &[u8]) -> FromSqlResult<Subject> {
    let account = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| odd("an account"));
    let pair = |rest: &[u8], length: usize| {
        let (net_part, account_part) = rest.split_at_checked(length).ok_or_else(|| odd("a pair"))?;
        Ok(Subject::Pair(account(account_part)?, net(net_part)?))
    };
    match bytes.split_first() {
        Some((b'n', rest)) => Ok(Subject::Network(net(rest)?)),
        Some((b'a', rest)) => Ok(Subject::Account(account(rest)?)),
        Some((b'4', rest)) => pair(rest, 5),
        Some((b'6', rest)) => pair(rest, 17),
        Some((&SENDING, rest)) => {
            let sending = std::str::from_utf8(rest).ok().and_then(|text| text.parse().ok());
            sending.map(Subject::Sending).ok_or_else(|| odd("a send block"))
        }
        _ => Err(odd("a subject")),
    }
}

/// The network that a subject speaks of: its own, or that of a pair.
pub(crate) fn subject_net(subject: &Subject) -> Option<IpNet> {
    match subject {
        Subject::Network(net) | Subject::Pair(_, net) => Some(*net),
        Subject::Account(_) | Subject::Sending(_) => None,
    }
}

/// A number of rows or pages as SQLite counts them.
pub(crate) fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A value of an enum as the one word that serde writes for it, which survives reordering.
pub(crate) fn word<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        Ok(_) => Err(unwritable("not one word")),
        Err(error) => Err(unwritable(&error.to_string())),
    }
}

pub(crate) fn from_word<T: DeserializeOwned>(value: ValueRef<'_>) -> FromSqlResult<T> {
    let word = value.as_str()?.to_owned();
    serde_json::from_value(serde_json::Value::String(word)).map_err(FromSqlError::other)
}

pub(crate) fn json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| unwritable(&error.to_string()))
}

pub(crate) fn from_json<T: DeserializeOwned>(value: ValueRef<'_>) -> FromSqlResult<T> {
    serde_json::from_str(value.as_str()?).map_err(FromSqlError::other)
}

fn unwritable(reason: &str) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(reason.into())
}

fn odd(what: &str) -> FromSqlError {
    FromSqlError::other(std::io::Error::new(
        std::io::ErrorKind::InvalidData,
        format!("the database holds bytes that are not {what}"),
    ))
}

/// Turns a failed reading of a column into an error that names the column.
pub(crate) fn column<T>(index: usize, value: ValueRef<'_>, read: FromSqlResult<T>) -> rusqlite::Result<T> {
    let type_: Type = value.data_type();
    read.map_err(|error| rusqlite::Error::FromSqlConversionFailure(index, type_, Box::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_named_like_an_address_stays_an_account() {
        let net: IpNet = "192.0.2.7/32".parse().unwrap();
        for given in [
            Subject::Account("192.0.2.7".to_owned()),
            Subject::Account("alice from 192.0.2.7".to_owned()),
            Subject::Account(String::new()),
            Subject::Pair("192.0.2.0/24".to_owned(), net),
            Subject::Pair("alice".to_owned(), "2001:db8::/64".parse().unwrap()),
            Subject::Sending("send-outbound:@.example.test".parse().unwrap()),
            Subject::Network(net),
            Subject::Network("::/0".parse().unwrap()),
        ] {
            assert_eq!(subject(&subject_bytes(&given)).unwrap(), given);
        }
    }

    #[test]
    fn odd_bytes_are_refused() {
        for bytes in [b"".as_slice(), b"x", b"n", b"n\x01\x02\x03\x04\x21", b"4\x01", b"a\xff"] {
            assert!(subject(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn ranges_keep_the_order_of_addresses() {
        let (first, last) = range("192.0.2.0/24".parse().unwrap());
        assert_eq!((first[15], last[15]), (0, 255));
        assert!(range("192.0.3.0/24".parse().unwrap()).0 > last);
    }
}
