//! IMAP (RFC 3501, RFC 9051), with SASL-IR (RFC 4959), LITERAL+ (RFC 7888) and ID (RFC 2971).

use super::dialogue::{Talk, Turn};
use super::line::Heard;
use crate::language::ascii;

pub(super) fn greet(talk: &mut Talk<'_>) -> Turn {
    talk.say(&["* OK [CAPABILITY ", capabilities(talk), "] Ready"]);
    Turn::Answered
}

/// LOGIN is offered without TLS, too: a program that would send its password so anyway would only say that the server
/// does not work, if it were not.
const fn capabilities(talk: &Talk<'_>) -> &'static str {
    if talk.offers_tls {
        "IMAP4rev1 SASL-IR LITERAL+ ID STARTTLS AUTH=PLAIN AUTH=LOGIN"
    } else {
        "IMAP4rev1 SASL-IR LITERAL+ ID AUTH=PLAIN AUTH=LOGIN"
    }
}

pub(super) fn answer(heard: &Heard, talk: &mut Talk<'_>) -> Turn {
    let Some(tag) = heard.first.tag() else {
        talk.say(&["* BAD No tag"]);
        return Turn::Answered;
    };
    let command = heard.second.command();
    // With LOGIN, a literal is a name or a password, which is not asked for; with anything else it is as unusual as
    // telling why at once is harmless.
    if heard.ends_in_literal {
        return refuse(tag, talk);
    }
    match command.as_str() {
        "LOGIN" | "AUTHENTICATE" => return refuse(tag, talk),
        "CAPABILITY" => talk.say(&["* CAPABILITY ", capabilities(talk)]),
        "ID" => talk.say(&["* ID NIL"]),
        "NOOP" => {}
        "LOGOUT" => {
            talk.say(&["* BYE Bye"]);
            talk.say(&[tag, " OK Done"]);
            return Turn::Goodbye;
        }
        "STARTTLS" if talk.offers_tls => {
            talk.say(&[tag, " OK Begin TLS"]);
            return Turn::StartTls;
        }
        _ => {
            talk.say(&[tag, " BAD Not available before login"]);
            return Turn::Answered;
        }
    }
    talk.say(&[tag, " OK Done"]);
    Turn::Answered
}

/// A text behind ALERT must be shown to the person (RFC 3501, 7.1). Further languages come before the answer that the
/// program waits for, and the first one again behind BYE, for programs that show that.
fn refuse(tag: &str, talk: &mut Talk<'_>) -> Turn {
    let texts = (talk.why)();
    for text in texts.iter().skip(1) {
        talk.say(&["* NO [ALERT] ", &ascii(text)]);
    }
    if let Some(text) = texts.first() {
        talk.say(&[tag, " NO [ALERT] ", &ascii(text)]);
        talk.say(&["* BYE ", &ascii(text)]);
    }
    Turn::ToldAll
}

pub(super) fn farewell(talk: &mut Talk<'_>) {
    for text in (talk.why)() {
        talk.say(&["* BYE [ALERT] ", &ascii(&text)]);
    }
}
