use std::borrow::Cow;
use std::fmt::Write as _;

use fairban_types::{Refused, Time};

use crate::Language;

/// The longest text, in bytes: SMTP takes 512 for a whole line of an answer (RFC 5321, 4.5.3.1.5), and the mail server
/// writes some of it itself.
const TEXT_LEN_MAX: usize = 380;

/// What is said unless settings say otherwise. Of blocks without an end, and of sending, something truer is said instead.
const BLOCKED: &str = crate::language::BLOCKED;

/// What a refused person is told.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Wording {
    /// What it begins with; `None`, or the same as Fairban's own words: those.
    pub text: Option<String>,
    /// Where one can do something about it, such as `https://mail.example.test/help`.
    pub portal: Option<String>,
}

impl Wording {
    /// The whole text, on one line: what is the matter, why, until when, the reference, and the portal.
    pub fn render(&self, refused: &Refused) -> String {
        self.render_in(Language::English, refused)
    }

    /// The same in a language; a text of the operator's own stays as it is.
    pub fn render_in(&self, language: Language, refused: &Refused) -> String {
        let chosen = self.text.as_deref().filter(|text| *text != BLOCKED);
        let mut text = clean(chosen.unwrap_or_else(|| language.opening(refused)));
        text.push_str(" (");
        if let Some(reason) = language.reason(refused.diagnosis) {
            text.push_str(reason);
            text.push_str("; ");
        }
        if let Some(until) = refused.until {
            let _ = write!(text, "{} ", language.until());
            push_time(&mut text, until);
            text.push_str("; ");
        }
        let _ = write!(text, "{} {})", language.reference(), refused.code);
        if let Some(portal) = &self.portal {
            text.push(' ');
            text.push_str(&clean(portal));
        }
        text.truncate(text.floor_char_boundary(TEXT_LEN_MAX));
        text
    }

    /// The same for SMTP, whose answers are ASCII.
    pub(crate) fn render_ascii(&self, refused: &Refused) -> String {
        let text = self.render(refused);
        if text.is_ascii() {
            return text;
        }
        text.chars().map(|letter| if letter.is_ascii() { letter } else { '?' }).collect()
    }
}

/// `2026-11-21 19:43 UTC`, rounded up to a minute: who comes back then is let in.
fn push_time(text: &mut String, time: Time) {
    let minutes = time.millis().saturating_add(59_999).div_euclid(60_000);
    let shown = Time::from_millis(minutes.saturating_mul(60_000)).to_string();
    match (shown.get(..10), shown.get(11..16)) {
        (Some(day), Some(clock)) if shown.ends_with('Z') => {
            let _ = write!(text, "{day} {clock} UTC");
        }
        _ => text.push_str(&shown),
    }
}

/// Without anything that would end a line or steer a terminal.
pub(crate) fn clean(text: &str) -> String {
    if text.chars().any(char::is_control) {
        text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
    } else {
        Cow::Borrowed(text).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use fairban_types::{Code, Diagnosis, Effect, SubjectKind};

    use super::*;

    fn refused(diagnosis: Diagnosis, until: Option<&str>, subject: SubjectKind) -> Refused {
        let until = until.map(|time| time.parse().unwrap());
        Refused { code: Code::new(0x12_3456_789a), until, effect: Effect::Explain, diagnosis, subject }
    }

    #[test]
    fn what_people_are_told() {
        let until = Some("2026-11-21T19:42:05.250Z");
        for (diagnosis, until, subject, text) in [
            (
                Diagnosis::PasswordGuessing,
                until,
                SubjectKind::Address,
                "Your connection has been blocked temporarily - Try again later (too many wrong passwords; \
                 until 2026-11-21 19:43 UTC; reference 28T5-CY4T)",
            ),
            (
                Diagnosis::Manual,
                None,
                SubjectKind::Address,
                "Your connection has been blocked (by an administrator; reference 28T5-CY4T)",
            ),
            (
                Diagnosis::Unknown,
                None,
                SubjectKind::Sending,
                "Your sending of mail has been blocked (reference 28T5-CY4T)",
            ),
        ] {
            let refused = refused(diagnosis, until, subject);
            assert_eq!(Wording::default().render(&refused), text);
            let configured = Wording { text: Some(BLOCKED.to_owned()), portal: None };
            assert_eq!(configured.render(&refused), text);
        }
    }

    #[test]
    fn what_people_are_told_in_german() {
        let refused = refused(Diagnosis::StalePassword, Some("2026-11-21T19:42:05Z"), SubjectKind::Address);
        let text = "Ihre Verbindung ist vorübergehend gesperrt - Versuchen Sie es später noch einmal (ein Gerät verwendet \
                    weiter ein altes Passwort; bis 2026-11-21 19:43 UTC; Kennung 28T5-CY4T)";
        assert_eq!(Wording::default().render_in(Language::German, &refused), text);
    }

    #[test]
    fn words_of_an_operator_stay_on_one_line() {
        let wording = Wording {
            text: Some("Gesperrt für\r\neine Weile\0".to_owned()),
            portal: Some("https://mail.example.test/help".to_owned()),
        };
        let refused = refused(Diagnosis::Unknown, None, SubjectKind::Address);
        let text = "Gesperrt für  eine Weile  (reference 28T5-CY4T) https://mail.example.test/help";
        assert_eq!(wording.render(&refused), text);
        assert_eq!(wording.render_ascii(&refused), text.replace('ü', "?"));
        let endless = Wording { text: Some("ü".repeat(1000)), portal: None };
        assert!(endless.render(&refused).len() <= TEXT_LEN_MAX);
    }
}
