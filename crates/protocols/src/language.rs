use std::borrow::Cow;

use fairban_types::{Diagnosis, Refused, SubjectKind};

/// What is said of a block that ends.
pub(crate) const BLOCKED: &str = "Your connection has been blocked temporarily - Try again later";

/// A language in which refused people are told. To add one: a variant, and its words in each function here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Language {
    /// `en`
    #[default]
    English,
    /// `de`
    German,
}

impl Language {
    /// Every language.
    pub const ALL: &'static [Language] = &[Language::English, Language::German];

    /// The language's tag (RFC 5646), such as `en`.
    pub const fn tag(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::German => "de",
        }
    }

    /// By its tag.
    pub fn of(tag: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|language| language.tag().eq_ignore_ascii_case(tag))
    }

    /// That there is a block.
    pub(crate) const fn opening(self, refused: &Refused) -> &'static str {
        match (self, refused.subject, refused.until) {
            (Language::English, SubjectKind::Sending, Some(_)) => {
                "Your sending of mail has been blocked temporarily - Try again later"
            }
            (Language::English, SubjectKind::Sending, None) => "Your sending of mail has been blocked",
            (Language::English, _, Some(_)) => BLOCKED,
            (Language::English, _, None) => "Your connection has been blocked",
            (Language::German, SubjectKind::Sending, Some(_)) => {
                "Ihr Versand von E-Mails ist vorübergehend gesperrt - Versuchen Sie es später noch einmal"
            }
            (Language::German, SubjectKind::Sending, None) => "Ihr Versand von E-Mails ist gesperrt",
            (Language::German, _, Some(_)) => {
                "Ihre Verbindung ist vorübergehend gesperrt - Versuchen Sie es später noch einmal"
            }
            (Language::German, _, None) => "Ihre Verbindung ist gesperrt",
        }
    }

    /// Why, in words for whom it hits.
    pub(crate) const fn reason(self, diagnosis: Diagnosis) -> Option<&'static str> {
        let (english, german) = match diagnosis {
            Diagnosis::StalePassword => {
                ("a device goes on using an old password", "ein Gerät verwendet weiter ein altes Passwort")
            }
            Diagnosis::PasswordGuessing => ("too many wrong passwords", "zu viele falsche Passwörter"),
            Diagnosis::PasswordSpraying | Diagnosis::CredentialStuffing => {
                ("wrong passwords for many accounts", "falsche Passwörter für viele Konten")
            }
            Diagnosis::FrequentPolling => ("a device asks far too often", "ein Gerät fragt viel zu oft ab"),
            Diagnosis::RelayProbing => (
                "attempts to send through this server to elsewhere",
                "Versuche, über diesen Server an Fremde zu senden",
            ),
            Diagnosis::AddressHarvesting => {
                ("mail to addresses that do not exist", "E-Mails an Adressen, die es nicht gibt")
            }
            Diagnosis::SpamRun => {
                ("unwanted mail, or far more mail than usual", "unerwünschte E-Mails, oder weit mehr E-Mails als sonst")
            }
            Diagnosis::Malware => ("a device there seems to be infected", "ein Gerät dort scheint infiziert zu sein"),
            Diagnosis::ProtocolAbuse => {
                ("commands that no mail program sends", "Befehle, die kein Mailprogramm sendet")
            }
            Diagnosis::Manual => ("by an administrator", "durch einen Administrator"),
            Diagnosis::Unknown => return None,
        };
        Some(match self {
            Language::English => english,
            Language::German => german,
        })
    }

    /// Before the end of a block.
    pub(crate) const fn until(self) -> &'static str {
        match self {
            Language::English => "until",
            Language::German => "bis",
        }
    }

    /// Before its code.
    pub(crate) const fn reference(self) -> &'static str {
        match self {
            Language::English => "reference",
            Language::German => "Kennung",
        }
    }

    /// There was a block, but it is no more.
    pub(crate) const fn over(self) -> &'static str {
        match self {
            Language::English => "The block has ended - Try again now",
            Language::German => "Die Sperre ist zu Ende - Versuchen Sie es jetzt noch einmal",
        }
    }

    /// What is said where nothing shall be told.
    pub(crate) const fn later(self) -> &'static str {
        match self {
            Language::English => "Try again later",
            Language::German => "Versuchen Sie es später noch einmal",
        }
    }
}

/// The text for protocols that know ASCII alone.
pub(crate) fn ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            'ä' => plain.push_str("ae"),
            'ö' => plain.push_str("oe"),
            'ü' => plain.push_str("ue"),
            'Ä' => plain.push_str("Ae"),
            'Ö' => plain.push_str("Oe"),
            'Ü' => plain.push_str("Ue"),
            'ß' => plain.push_str("ss"),
            letter if letter.is_ascii() => plain.push(letter),
            _ => plain.push('?'),
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_again() {
        for language in Language::ALL {
            assert_eq!(Language::of(&language.tag().to_uppercase()), Some(*language));
            assert!(ascii(language.later()).is_ascii());
        }
        assert_eq!(Language::of("tlh"), None);
        assert_eq!(ascii("Grüße aus Köln, здр"), "Gruesse aus Koeln, ???");
    }
}
