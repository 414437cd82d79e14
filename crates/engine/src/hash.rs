//! Fixed hashes of accounts and credentials. They are stored and compared across runs, so they must never change.

use std::borrow::Cow;
use std::hash::BuildHasher;

use fairban_types::{Event, EventKind};
use foldhash::fast::FixedState;
use siphasher::sip::SipHasher13;

/// An account by the hash of its lower-case name; 0 is no account.
pub(crate) type AccountId = u64;

/// Looks equal whatever its case: accounts differ in nothing else.
pub(crate) fn lower(text: &str) -> Cow<'_, str> {
    if is_lower(text.as_bytes()) { Cow::Borrowed(text) } else { Cow::Owned(text.to_lowercase()) }
}

/// Whether there are only characters of ASCII, none of them in upper case.
fn is_lower(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks::<8>();
    let rest = rest.iter().fold(false, |differs, byte| differs | byte.is_ascii_uppercase() | !byte.is_ascii());
    let words = words.iter().fold(0, |differs, word| differs | not_lower(u64::from_le_bytes(*word)));
    !rest && words == 0
}

/// The highest bit of each byte that is in upper case or not of ASCII.
fn not_lower(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHEST: u64 = ONES * 0x80;
    let ascii = word & !HIGHEST;
    let from_a = ascii + ONES * (0x80 - b'A' as u64);
    let behind_z = ascii + ONES * (0x7f - b'Z' as u64);
    (from_a & !behind_z | word) & HIGHEST
}

/// The hash of an account's name.
pub(crate) fn account(name: &str) -> AccountId {
    SipHasher13::new().hash(lower(trimmed(name)).as_bytes()) | 1
}

/// The same as `trim`, which looks at every character from both ends, but names seldom have blanks there.
fn trimmed(name: &str) -> &str {
    match name.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => name,
        _ => name.trim(),
    }
}

/// The hash by which two wrong tries are the same try: account and password digest, or the recipient; 0 if that cannot
/// be told.
pub(crate) fn credential(event: &Event<'_>, account: AccountId) -> u64 {
    let text = match event.kind {
        EventKind::LoginFailed | EventKind::LoginUnknownAccount => event.digest.as_deref(),
        EventKind::RecipientUnknown => event.recipient.as_deref(),
        _ => None,
    };
    text.map_or(0, |text| SipHasher13::new_with_keys(account, 0).hash(lower(text).as_bytes()) | 1)
}

/// A hash of several numbers, for codes and maps.
pub(crate) fn mix(parts: &[u64]) -> u64 {
    let (bytes, len) = flat(parts);
    SipHasher13::new().hash(&bytes[..len])
}

/// A hash of two numbers of which one is a hash already, for maps alone: much faster than [`mix`], never stored.
#[inline]
pub(crate) fn blend(hash: u64, number: u64) -> u64 {
    // Digits of pi.
    const KEYS: [u64; 2] = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344];
    let product = u128::from(hash ^ KEYS[0]) * u128::from(number ^ KEYS[1]);
    (product >> 64) as u64 ^ product as u64
}

/// An account, or an account at an address, as a key that no address of a client has: its first half is that of no
/// unicast address. An account is a hash already.
pub(crate) fn wide(account: AccountId, home: Option<u128>) -> u128 {
    match home {
        None => u128::from(u64::MAX) << 64 | u128::from(account),
        Some(home) => {
            let pair = blend(blend(account, (home >> 64) as u64), home as u64);
            u128::from(u64::MAX - 1) << 64 | u128::from(pair)
        }
    }
}

/// A network's bits in half the size: the same numbers wherever its prefix is no longer than 64.
pub(crate) fn fold(bits: u128) -> u64 {
    (bits >> 64) as u64 ^ bits as u64
}

/// The most numbers that are hashed together.
const PARTS_MAX: usize = 4;

/// The numbers as bytes: hashing them at once is much faster than one by one.
fn flat(parts: &[u64]) -> ([u8; 8 * PARTS_MAX], usize) {
    debug_assert!(parts.len() <= PARTS_MAX, "more numbers than are hashed");
    let mut bytes = [0; 8 * PARTS_MAX];
    for (place, part) in bytes.chunks_exact_mut(8).zip(parts) {
        place.copy_from_slice(&part.to_le_bytes());
    }
    (bytes, 8 * parts.len().min(PARTS_MAX))
}

/// A hash of a name that a mail server gave, for maps alone: much faster than [`text`], never stored.
pub(crate) fn name(name: &str) -> u64 {
    FixedState::with_seed(0).hash_one(name)
}

/// A hash of a text and a number.
pub(crate) fn text(text: &str, number: u64) -> u64 {
    SipHasher13::new_with_keys(number, 0).hash(text.as_bytes())
}

/// What a hash table of so many items takes at its worst, just after it has grown: eviction must not wait for it.
pub(crate) const fn table_bytes<T>(len: usize) -> usize {
    len * (size_of::<T>() + 1) * 16 / 7
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_hashes_never_change() {
        assert_eq!(mix(&[1, 2, 3]), 0x8acb_6513_5d8f_2da1);
        assert_eq!(account("alice@example.test"), 0x8b90_4414_9441_26f7);
        assert_eq!(text("alice", 7), 0x026c_7956_5221_b6f7);
    }

    #[test]
    fn names_in_lower_case_are_left_alone() {
        for byte in 0..=255_u8 {
            for text in
                [vec![byte], [b"alice@", &[byte][..], b"x"].concat(), [b"alice@example.test", &[byte][..]].concat()]
            {
                assert_eq!(is_lower(&text), byte.is_ascii() && !byte.is_ascii_uppercase(), "{byte}");
            }
        }
    }

    #[test]
    fn accounts_differ_in_more_than_case() {
        assert_eq!(account("Alice@Example.Test"), account("alice@example.test"));
        assert_ne!(account("alice"), account("alicf"));
    }
}
