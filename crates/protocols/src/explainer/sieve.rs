//! ManageSieve (RFC 5804).

use super::dialogue::{Talk, Turn, one_line};
use super::line::Heard;

/// A quoted string may have 1024 bytes (RFC 5804, section 4), some of which quoting may double.
const TEXT_LEN_MAX: usize = 800;

pub(super) fn greet(talk: &mut Talk<'_>) -> Turn {
    talk.say(&["\"IMPLEMENTATION\" \"Mail\""]);
    talk.say(&["\"SIEVE\" \"\""]);
    talk.say(&["\"SASL\" \"PLAIN LOGIN\""]);
    if talk.offers_tls {
        talk.say(&["\"STARTTLS\""]);
    }
    talk.say(&["\"VERSION\" \"1.0\""]);
    talk.say(&["OK"]);
    Turn::Answered
}

pub(super) fn answer(heard: &Heard, talk: &mut Talk<'_>) -> Turn {
    let command = heard.first.command();
    // A string of its own on the next lines: a password, or a script that nobody may store here.
    if command == "AUTHENTICATE" || heard.ends_in_literal {
        let text = quoted(talk);
        talk.say(&["NO (TRYLATER) ", &text]);
        talk.say(&["BYE (TRYLATER) ", &text]);
        return Turn::ToldAll;
    }
    match command.as_str() {
        "CAPABILITY" => return greet(talk),
        "NOOP" => talk.say(&["OK"]),
        "STARTTLS" if talk.offers_tls => {
            talk.say(&["OK"]);
            return Turn::StartTls;
        }
        "LOGOUT" => {
            talk.say(&["OK"]);
            return Turn::Goodbye;
        }
        _ => talk.say(&["NO \"Not available before login\""]),
    }
    Turn::Answered
}

pub(super) fn farewell(talk: &mut Talk<'_>) {
    let text = quoted(talk);
    talk.say(&["BYE (TRYLATER) ", &text]);
}

/// Texts here are UTF-8.
fn quoted(talk: &Talk<'_>) -> String {
    let text = one_line(&(talk.why)(), TEXT_LEN_MAX);
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
