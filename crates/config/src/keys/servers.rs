//! Servers that answer others, and what they answer.

use super::{Draft, listen_key, portal};
use crate::schema::{Absent, Section};
use crate::settings::{Config, Dovecot, Messages, OnBlock, Postfix};
use crate::takes::{self, Takes};
use crate::tree::Value;

pub(super) fn add(section: Section<Draft>) -> Section<Draft> {
    let section = section
        .table("send", send(), |draft| &mut draft.config)
        .table("messages", messages(), |draft| &mut draft.config.messages)
        .table("dovecot", dovecot(), |draft| &mut draft.config.dovecot)
        .table("postfix", postfix(), |draft| &mut draft.config.postfix)
        .table("explain", super::explain::section(), |draft| &mut draft.config.explain)
        .table("web", super::web::section(), |draft| &mut draft.config.web)
        .table("portal", portal::section(), |draft| &mut draft.config.portal)
        .table("notices", portal::notices(), |draft| &mut draft.config.notices);
    super::notify::add(section).table("fleet", super::fleet::section(), |draft| &mut draft.config.fleet)
}

fn dovecot() -> Section<Dovecot> {
    let section = Section::new(
        "[dovecot]",
        "The server that answers Dovecot's auth policy requests. With it, mail servers ask before each sign-in.",
    );
    listen_key(section, "\"127.0.0.1:4625\"", "where it listens", |dovecot: &mut Dovecot, at| dovecot.listen = Some(at))
        .key(
            "api_key",
            takes::secret(),
            Absent::Means("none is asked for"),
            "\"correct-horse-battery\"",
            "what Dovecot sends by `auth_policy_server_api_header`; requests without it are refused",
            |dovecot, key| dovecot.api_key = Some(key),
        )
        .key(
            "tarpit",
            takes::duration("1s", "60s"),
            Absent::Is("\"10s\""),
            "\"10s\"",
            "how long Dovecot delays the answer to a client whose block has the effect `tarpit`",
            |dovecot, delay| dovecot.tarpit = delay,
        )
}

fn postfix() -> Section<Postfix> {
    Section::new("[postfix]", "The server that answers Postfix's policy requests, and Exim's.")
        .key(
            "listen",
            takes::listen(),
            Absent::Means("does not listen"),
            "\"127.0.0.1:10625\"",
            "where it listens",
            |postfix: &mut Postfix, at| postfix.listen = Some(at),
        )
        .key(
            "mode",
            takes::mode(),
            Absent::Is("\"0666\""),
            "\"0660\"",
            "the permissions of the socket, if it is one in the file system: Postfix's user must be able to write to it",
            |postfix, mode| postfix.mode = mode,
        )
        .key(
            "on_block",
            takes::choice(&[("defer", OnBlock::Defer), ("reject", OnBlock::Reject)]),
            Absent::Is("\"defer\""),
            "\"reject\"",
            "how blocked clients are refused: `\"defer\"` for now (421), so that mail servers try again; `\"reject\"` for \
             good (554). Send blocks answer as `[send]` says",
            |postfix, on_block| postfix.on_block = on_block,
        )
        .key(
            "refuse_at_connect",
            takes::flag(),
            Absent::Is("false"),
            "true",
            "whether blocked clients are refused as early as CONNECT, EHLO and MAIL, where Postfix asks then \
             (`smtpd_delay_reject = no`); accounts familiar at a blocked address cannot sign in there any more",
            |postfix, early| postfix.refuse_at_connect = early,
        )
}

fn send() -> Section<Config> {
    Section::new("[send]", "Send blocks: how senders are compared, and what they are answered.")
        .key(
            "answer",
            takes::reply(),
            Absent::Is("\"550 5.7.1 Access denied\""),
            "\"554 5.7.1 Access denied\"",
            "what RCPT is answered; it should look like any other refusal",
            |config: &mut Config, answer| config.send.answer = answer,
        )
        .key(
            "recipient_delimiters",
            delimiters(),
            Absent::Is("\"+\""),
            "\"+-\"",
            "what may stand between a mailbox's name and a detail (Postfix's `recipient_delimiter`): a block of \
             `bob@example.test` is one of `bob+news@example.test` too; empty: nothing does",
            |config, delimiters| config.policy.send.recipient_delimiters = delimiters,
        )
        .key(
            "local_domains",
            takes::list(takes::domain(), 0..=LOCAL_DOMAINS_MAX),
            Absent::Is("[]"),
            "[\"example.test\"]",
            "the domains whose accounts sign in by their local part alone: a block of `bob@example.test` is one of the \
             account `bob` too. While the list is empty, a block of any address is one of the account with its local part",
            |config, domains| config.policy.send.local_domains = domains,
        )
}

/// Each is looked up for each sign-in without a domain.
const LOCAL_DOMAINS_MAX: usize = 64;

fn delimiters() -> Takes<String> {
    Takes::scalar("up to 8 punctuation characters, but no '@' or '.'", |value| match value {
        Value::Text(text)
            if text.len() <= 8 && text.chars().all(|c| c.is_ascii_punctuation() && !"@.\"\\<>".contains(c)) =>
        {
            Ok(text.clone())
        }
        _ => Err(String::new()),
    })
}

fn messages() -> Section<Messages> {
    Section::new(
        "[messages]",
        "What a blocked client is told, in its own protocol. A reason and a reference code follow.",
    )
    .key(
        "blocked",
        takes::line(200),
        Absent::Is("\"Your connection has been blocked temporarily - Try again later\""),
        "\"Blocked for now, see https://mail.example.test/blocked\"",
        "the first sentence",
        |messages: &mut Messages, text| messages.blocked = text,
    )
    .key(
        "portal",
        takes::web_url(),
        Absent::Means("`[portal] url`, or no address is told"),
        "\"https://mail.example.test/unblock\"",
        "the address at which a blocked person can see why and get out",
        |messages, url| messages.portal = Some(url),
    )
}
