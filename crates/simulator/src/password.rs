use std::fmt::Write as _;

use sha1::{Digest as _, Sha1};

use crate::chance::Chance;

/// The first six hexadecimal digits of the password's SHA-1, as `auth_verbose_passwords = sha1:6` logs it.
pub(crate) fn digest(password: &str) -> String {
    Sha1::digest(password.as_bytes()).iter().take(3).fold(String::new(), |mut text, byte| {
        let written = write!(text, "{byte:02x}");
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
        text
    })
}

const WORDS: [&str; 24] = [
    "password", "123456", "qwerty", "welcome", "Summer", "Winter", "letmein", "dragon", "monkey", "football", "admin",
    "iloveyou", "sunshine", "princess", "master", "shadow", "secret", "mail", "Passw0rd", "abc123", "zaq12wsx", "test",
    "Company", "changeme",
];

/// A password as people choose them; no two calls give the same in practice.
pub(crate) fn own(chance: &mut Chance) -> String {
    format!("{}-{:08x}", chance.pick(&WORDS), chance.bits() >> 32)
}

/// The `number`th entry of an attacker's list.
pub(crate) fn from_list(number: usize) -> String {
    let word = WORDS[number % WORDS.len()];
    match number / WORDS.len() {
        0 => word.to_owned(),
        round => format!("{word}{round}"),
    }
}

/// A password with one slip of the finger in it.
pub(crate) fn mistyped(password: &str, chance: &mut Chance) -> String {
    let place = chance.count(0, password.len().saturating_sub(1));
    match chance.number(0, 2) {
        0 => password.chars().enumerate().filter(|(index, _)| *index != place).map(|(_, letter)| letter).collect(),
        1 => password.to_uppercase() + "~",
        _ => format!("{password}{}", chance.number(0, 9)),
    }
}
