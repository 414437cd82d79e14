//! POP3 (RFC 1939), with CAPA (RFC 2449), STLS (RFC 2595), AUTH (RFC 5034) and response codes (RFC 3206).

use super::dialogue::{Talk, Turn, one_line};
use super::line::Heard;
use crate::language::ascii;

/// A line may have 512 bytes with its end (RFC 2449, section 4).
const TEXT_LEN_MAX: usize = 512 - "-ERR [SYS/TEMP] \r\n".len();

pub(super) fn greet(talk: &mut Talk<'_>) -> Turn {
    talk.say(&["+OK Ready"]);
    Turn::Answered
}

pub(super) fn answer(heard: &Heard, talk: &mut Talk<'_>) -> Turn {
    match heard.first.command().as_str() {
        // Some programs ask so for the ways to sign in.
        "AUTH" if !heard.has_more => list(&["PLAIN", "LOGIN"], talk),
        // Said to the name already, so that no password is sent.
        "USER" | "PASS" | "APOP" | "AUTH" => {
            farewell(talk);
            return Turn::Told;
        }
        "CAPA" if talk.offers_tls => list(&["USER", "SASL PLAIN LOGIN", "STLS", "RESP-CODES", "AUTH-RESP-CODE"], talk),
        "CAPA" => list(&["USER", "SASL PLAIN LOGIN", "RESP-CODES", "AUTH-RESP-CODE"], talk),
        "STLS" if talk.offers_tls => {
            talk.say(&["+OK Begin TLS"]);
            return Turn::StartTls;
        }
        "QUIT" => {
            talk.say(&["+OK Bye"]);
            return Turn::Goodbye;
        }
        _ => talk.say(&["-ERR Not available before login"]),
    }
    Turn::Answered
}

fn list(lines: &[&str], talk: &mut Talk<'_>) {
    talk.say(&["+OK"]);
    for line in lines {
        talk.say(&[line]);
    }
    talk.say(&["."]);
}

/// `SYS/TEMP`: not the password is wrong, and it will pass (RFC 3206, section 4).
pub(super) fn farewell(talk: &mut Talk<'_>) {
    let texts: Vec<String> = (talk.why)().iter().map(|text| ascii(text).into_owned()).collect();
    talk.say(&["-ERR [SYS/TEMP] ", &one_line(&texts, TEXT_LEN_MAX)]);
}
