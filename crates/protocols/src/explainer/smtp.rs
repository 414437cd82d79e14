//! SMTP (RFC 5321), submission (RFC 6409), AUTH (RFC 4954), STARTTLS (RFC 3207), codes (RFC 3463).

use fairban_types::Service;

use super::dialogue::{Talk, Turn};
use super::line::Heard;
use crate::language::ascii;

/// A server that sends mail is told at once: it shows nothing to anybody, keeps the mail and comes back later, and each
/// command more would only cost both of us. A person's program gets as far as its password, because what is said before
/// that is shown by few programs, and some would take it for "there is no mail server here".
pub(super) fn greet(talk: &mut Talk<'_>) -> Turn {
    if talk.service == Service::Smtp {
        farewell(talk);
        return Turn::ToldAll;
    }
    talk.say(&["220 ", talk.name, " ESMTP"]);
    Turn::Answered
}

pub(super) fn answer(heard: &Heard, talk: &mut Talk<'_>) -> Turn {
    match heard.first.command().as_str() {
        "EHLO" | "LHLO" => hello(talk),
        "HELO" => talk.say(&["250 ", talk.name]),
        "STARTTLS" if talk.offers_tls => {
            talk.say(&["220 2.0.0 Begin TLS"]);
            return Turn::StartTls;
        }
        // 454 is what a program takes for "not now" instead of "wrong password" (RFC 4954, section 6). A password that
        // was not sent along is not asked for.
        "AUTH" => {
            tell("454", talk);
            return Turn::Told;
        }
        // What is sent without signing in.
        "MAIL" | "RCPT" | "DATA" | "BDAT" => {
            farewell(talk);
            return Turn::ToldAll;
        }
        "NOOP" | "RSET" => talk.say(&["250 2.0.0 OK"]),
        "QUIT" => {
            talk.say(&["221 2.0.0 Bye"]);
            return Turn::Goodbye;
        }
        "VRFY" | "EXPN" | "HELP" | "ETRN" | "STARTTLS" => talk.say(&["502 5.5.1 Not available"]),
        _ => talk.say(&["500 5.5.2 Unknown command"]),
    }
    Turn::Answered
}

pub(super) fn farewell(talk: &mut Talk<'_>) {
    tell("421", talk);
}

fn hello(talk: &mut Talk<'_>) {
    talk.say(&["250-", talk.name]);
    if talk.offers_tls {
        talk.say(&["250-STARTTLS"]);
    }
    talk.say(&["250-AUTH PLAIN LOGIN"]);
    talk.say(&["250-ENHANCEDSTATUSCODES"]);
    talk.say(&["250 8BITMIME"]);
}

/// Once in each language, as lines of one answer.
fn tell(code: &str, talk: &mut Talk<'_>) {
    let texts = (talk.why)();
    for (number, text) in texts.iter().enumerate() {
        let between = if number + 1 < texts.len() { "-" } else { " " };
        talk.say(&[code, between, "4.7.0 ", &ascii(text)]);
    }
}
