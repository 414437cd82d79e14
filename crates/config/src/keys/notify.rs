//! Who is told of what happens, and how.

use std::path::PathBuf;
use std::time::Duration;

use super::Draft;
use crate::reader::Reader;
use crate::schema::{Absent, Section};
use crate::settings::{NotifyBy, NotifyTarget, Occasion};
use crate::takes;
use crate::tree::At;

/// One of the list as it is read.
struct Target {
    name: Option<String>,
    occasions: Vec<Occasion>,
    again: Duration,
    webhook: Option<String>,
    secret_file: Option<PathBuf>,
    authority: Option<PathBuf>,
    mail: Option<String>,
    command: Vec<String>,
    time_limit: Duration,
}

fn blank() -> Target {
    Target {
        name: None,
        occasions: Occasion::USUAL.to_vec(),
        again: Duration::from_secs(3600),
        webhook: None,
        secret_file: None,
        authority: None,
        mail: None,
        command: Vec::new(),
        time_limit: Duration::from_secs(10),
    }
}

pub(super) fn add(section: Section<Draft>) -> Section<Draft> {
    section.each("notify", target(), blank, |draft: &mut Draft, target, at, reader| {
        let Some(target) = checked(target, at, reader) else { return };
        if draft.config.notify.iter().any(|other| other.name == target.name) {
            reader
                .problem(at, format!("something named '{}' is told already: give this one another name", target.name));
            return;
        }
        draft.config.notify.push(target);
    })
}

fn checked(target: Target, at: &At, reader: &mut Reader) -> Option<NotifyTarget> {
    if target.webhook.is_none() && (target.secret_file.is_some() || target.authority.is_some()) {
        reader.problem(at, "secret_file and authority belong to a webhook");
        return None;
    }
    let mut ways = Vec::new();
    if let Some(url) = target.webhook {
        ways.push(NotifyBy::Webhook { url, secret_file: target.secret_file, authority: target.authority });
    }
    ways.extend(target.mail.map(|to| NotifyBy::Mail { to }));
    if !target.command.is_empty() {
        ways.push(NotifyBy::Command { arguments: target.command });
    }
    let by = match (ways.pop(), ways.is_empty()) {
        (Some(by), true) => by,
        (Some(_), false) => {
            reader.problem(at, "is told in more than one way: give each a [[notify]] of its own");
            return None;
        }
        (None, _) => {
            reader.problem(at, "needs one of webhook, mail or command");
            return None;
        }
    };
    if let NotifyBy::Command { arguments } = &by
        && !arguments.first().is_some_and(|program| program.starts_with('/'))
    {
        reader.problem(
            at,
            "command begins with the absolute path of a program: there is no shell that would look for it",
        );
        return None;
    }
    let usual = match &by {
        NotifyBy::Webhook { .. } => "webhook",
        NotifyBy::Mail { .. } => "mail",
        NotifyBy::Command { .. } => "command",
    };
    Some(NotifyTarget {
        name: target.name.unwrap_or_else(|| usual.to_owned()),
        occasions: target.occasions,
        again: target.again,
        time_limit: target.time_limit,
        by,
    })
}

fn target() -> Section<Target> {
    let names: Vec<(&'static str, Occasion)> = Occasion::ALL.iter().map(|one| (one.as_str(), *one)).collect();
    let section = Section::new(
        "[[notify]]",
        "Who is told of what happens, by a webhook, by mail or by a program: one section for each. See \
         [admin.md](admin.md#notifications).",
    )
    .example(
        "[[notify]]\nwebhook = \"https://hooks.example.test/fairban\"\nsecret_file = \"/etc/fairban/webhook.secret\"\n\n\
         [[notify]]\nmail = \"admin@example.test\"\noccasions = [\"source_failed\", \"kernel_trouble\", \"store_trouble\"]\n\n\
         [[notify]]\ncommand = [\"/usr/local/bin/page-me\", \"--from\", \"fairban\"]\noccasions = [\"sending_blocked\"]\n",
    )
    .key(
        "name",
        takes::name(64),
        Absent::Means("how it is told: `webhook`, `mail` or `command`"),
        "\"pager\"",
        "its name in `status`, metrics and `fairban notify`",
        |target: &mut Target, name| target.name = Some(name),
    )
    .key(
        "occasions",
        takes::list(takes::choice(&names), 1..=32),
        Absent::Is(
            "[\"block_permanent\", \"network_blocked\", \"account_guarded\", \"sending_blocked\", \"source_failed\", \
             \"kernel_trouble\", \"store_trouble\", \"fleet_trouble\", \"administrator_signed_in\"]",
        ),
        "[\"sending_blocked\"]",
        "of what",
        |target, occasions| target.occasions = occasions,
    )
    .key(
        "again",
        takes::duration("1m", "30d"),
        Absent::Is("\"1h\""),
        "\"1d\"",
        "the same of the same subject is told once in so long",
        |target, again| target.again = again,
    );
    ways(section)
}

fn ways(section: Section<Target>) -> Section<Target> {
    section
        .key(
            "webhook",
            takes::web_url(),
            Absent::Means("by none"),
            "\"https://hooks.example.test/fairban\"",
            "the address that gets JSON by POST, as Standard Webhooks has it",
            |target, url| target.webhook = Some(url),
        )
        .key(
            "secret_file",
            takes::path(),
            Absent::Means("what is sent is not signed"),
            "\"/etc/fairban/webhook.secret\"",
            "a file with the key that it is signed by: `whsec_` and 24 to 64 bytes in base 64",
            |target, path| target.secret_file = Some(path),
        )
        .key(
            "authority",
            takes::path(),
            Absent::Means("those that the system knows"),
            "\"/etc/ssl/hooks-ca.pem\"",
            "a PEM file of the authorities that may have signed its certificate",
            |target, path| target.authority = Some(path),
        )
        .key(
            "mail",
            takes::text(320),
            Absent::Means("by none"),
            "\"admin@example.test\"",
            "the address that gets mail, by the relay of `[notices]`",
            |target, to| target.mail = Some(to),
        )
        .key(
            "command",
            takes::list(takes::text(4096), 1..=64),
            Absent::Means("by none"),
            "[\"/usr/local/bin/page-me\"]",
            "the program that gets JSON on its standard input, with its arguments; there is no shell",
            |target, command| target.command = command,
        )
        .key(
            "time_limit",
            takes::duration("1s", "5m"),
            Absent::Is("\"10s\""),
            "\"30s\"",
            "how long telling may take each time",
            |target, time| target.time_limit = time,
        )
}
