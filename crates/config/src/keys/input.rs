use std::net::IpAddr;
use std::path::PathBuf;

use fairban_types::{CustomFormat, EventKind, Service};
use regex::bytes::RegexBuilder;

use super::Draft;
use crate::reader::Reader;
use crate::schema::{Absent, Section};
use crate::settings::{SourceConfig, SyslogListen};
use crate::takes::{self, Takes};
use crate::tree::{At, Value};

const PATTERN_BYTES_MAX: usize = 1 << 20;
/// What a pattern may name: the fields of an event.
const GROUPS: [&str; 8] = ["client", "account", "digest", "helo", "return_path", "recipient", "session", "reason"];

#[derive(Default)]
struct SourceDraft {
    file: Option<PathBuf>,
    journald: bool,
    units: Vec<String>,
    syslog: Option<SyslogListen>,
    stdin: bool,
}

pub(super) fn add(section: Section<Draft>) -> Section<Draft> {
    section
        .each("source", source(), SourceDraft::default, |draft: &mut Draft, source, at, reader| {
            match single_source(source) {
                Ok(source) if draft.config.sources.contains(&source) => reader.problem(at, "the same source again"),
                Ok(source) => draft.config.sources.push(source),
                Err(why) => reader.problem(at, why),
            }
        })
        .each("format", format(), blank_format, |draft, format, at, reader| {
            if draft.config.formats.iter().any(|other| other.name == format.name) {
                reader.problem(at, format!("a format named '{}' is there already", format.name));
            }
            draft.config.formats.push(format);
        })
}

fn single_source(draft: SourceDraft) -> Result<SourceConfig, &'static str> {
    let units = draft.units;
    if !draft.journald && !units.is_empty() {
        return Err("units belong to journald = true");
    }
    let mut sources = Vec::new();
    sources.extend(draft.file.map(|path| SourceConfig::File { path }));
    sources.extend(draft.journald.then_some(SourceConfig::Journald { units }));
    sources.extend(draft.syslog.map(|listen| SourceConfig::Syslog { listen }));
    sources.extend(draft.stdin.then_some(SourceConfig::Stdin));
    match (sources.pop(), sources.is_empty()) {
        (Some(source), true) => Ok(source),
        (Some(_), false) => Err("is more than one source: give each a [[source]] of its own"),
        (None, _) => Err("needs one of file, journald, syslog or stdin"),
    }
}

fn source() -> Section<SourceDraft> {
    Section::new(
        "[[source]]",
        "Where lines come from: one section for each source. Without any, the machine's own mail logs are found.",
    )
    .example(
        "[[source]]\nfile = \"/var/log/mail.log\"\n\n[[source]]\njournald = true\nunits = [\"postfix@-.service\", \"dovecot.service\"]\n\n[[source]]\nsyslog = \"udp://127.0.0.1:5514\"\n",
    )
    .key(
        "file",
        takes::path(),
        Absent::Means("no file"),
        "\"/var/log/mail.log\"",
        "a log file that is followed, through rotation",
        |source: &mut SourceDraft, path| source.file = Some(path),
    )
    .key("journald", takes::flag(), Absent::Is("false"), "true", "the systemd journal", |source, on| {
        source.journald = on;
    })
    .key(
        "units",
        takes::list(takes::text(256), 0..=64),
        Absent::Is("[]"),
        "[\"dovecot.service\"]",
        "of the journal: only these units; empty: all",
        |source, units| source.units = units,
    )
    .key(
        "syslog",
        takes::syslog(),
        Absent::Means("no receiver"),
        "\"udp://127.0.0.1:5514\"",
        "a syslog receiver (RFC 3164, RFC 5424)",
        |source, listen| source.syslog = Some(listen),
    )
    .key("stdin", takes::flag(), Absent::Is("false"), "true", "standard input, until its end", |source, on| {
        source.stdin = on;
    })
}

fn blank_format() -> CustomFormat {
    CustomFormat {
        name: String::new(),
        program: None,
        pattern: String::new(),
        kind: EventKind::LoginFailed,
        service: Service::Unknown,
        examples: Vec::new(),
    }
}

fn format() -> Section<CustomFormat> {
    let kinds: Vec<(&'static str, EventKind)> = EventKind::ALL.iter().map(|kind| (kind.as_str(), *kind)).collect();
    let services: Vec<(&'static str, Service)> =
        Service::ALL.iter().map(|service| (service.as_str(), *service)).collect();
    Section::new(
        "[[format]]",
        "An own log format: lines that the pattern matches are events of one kind. `fairban check` runs the examples.",
    )
    .example(
        "[[format]]\nname = \"panel\"\nprogram = \"panel\"\npattern = '^login failed from (?P<client>[0-9a-f.:]+) user=(?P<account>.*)$'\nkind = \"login_failed\"\nservice = \"webmail\"\nexamples = [{ line = \"login failed from 192.0.2.7 user=alice\", client = \"192.0.2.7\" }]\n",
    )
    .key(
        "name",
        takes::name(40),
        Absent::Needed,
        "\"panel\"",
        "its name, for messages",
        |format: &mut CustomFormat, name| format.name = name,
    )
    .key(
        "program",
        takes::text(64),
        Absent::Means("every line, whole, without its prefix"),
        "\"panel\"",
        "only lines of this syslog program are looked at",
        |format, program| format.program = Some(program),
    )
    .key(
        "pattern",
        pattern(),
        Absent::Needed,
        "'^login failed from (?P<client>[0-9a-f.:]+)$'",
        "a linear-time regular expression (syntax of the Rust crate `regex`) with a named group `client`, and, where the \
         line tells them, `account`, `digest`, `helo`, `return_path`, `recipient`, `session`, `reason`. It begins with `^` \
         or ends with `$`, and between that anchor and `client` nothing may match what a client chooses freely",
        |format, pattern| format.pattern = pattern,
    )
    .key(
        "kind",
        takes::member("the name of an event kind", &kinds),
        Absent::Needed,
        "\"login_failed\"",
        "what a matching line is (see [Event kinds](#event-kinds))",
        |format, kind| format.kind = kind,
    )
    .key(
        "service",
        takes::choice(&services),
        Absent::Is("\"unknown\""),
        "\"webmail\"",
        "on which service",
        |format, service| format.service = service,
    )
    .key(
        "examples",
        takes::list(example(), 1..=100),
        Absent::Needed,
        "[{ line = \"login failed from 192.0.2.7\", client = \"192.0.2.7\" }]",
        "lines that must match, each with the client address that must come out",
        |format, examples| format.examples = examples,
    )
}

fn pattern() -> Takes<String> {
    let text = takes::text(2048);
    Takes::reading("a pattern", move |item, reader| {
        let pattern = text.read(item, reader)?;
        match fault_of(&pattern) {
            None => Some(pattern),
            Some(fault) => {
                reader.problem(&item.at, fault);
                None
            }
        }
    })
}

/// What can be told without knowing how lines are read. Whether the client stands where nobody can move it is for the
/// crate that reads them.
fn fault_of(pattern: &str) -> Option<String> {
    let regex = match RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build() {
        Ok(regex) => regex,
        Err(regex::Error::CompiledTooBig(_)) => return Some("the pattern is too large".to_owned()),
        Err(error) => return Some(format!("not a pattern: {}", last_line(&error.to_string()))),
    };
    if let Some(unknown) = regex.capture_names().flatten().find(|name| !GROUPS.contains(name)) {
        return Some(format!("has a group '{unknown}'; known are {}", GROUPS.join(", ")));
    }
    if !regex.capture_names().flatten().any(|name| name == "client") {
        return Some("has no group (?P<client>…), so nobody would be blamed".to_owned());
    }
    None
}

/// The regex crate draws the pattern before it says what is wrong.
fn last_line(message: &str) -> &str {
    message.lines().last().unwrap_or_default().trim_start_matches("error: ")
}

#[derive(Default)]
struct ExampleDraft {
    line: String,
    client: Option<IpAddr>,
}

fn example() -> Takes<(String, IpAddr)> {
    let section = Section::new("examples", "")
        .key("line", takes::text(8192), Absent::Needed, "", "", |draft: &mut ExampleDraft, line| draft.line = line)
        .key("client", takes::client(), Absent::Needed, "", "", |draft, client| draft.client = Some(client));
    let allowed = "`{ line = \"…\", client = \"ADDRESS\" }`";
    Takes::reading(allowed, move |item, reader| {
        let Value::Table(table) = &item.value else {
            reader.problem(&item.at, format!("takes {allowed}"));
            return None;
        };
        let mut draft = ExampleDraft::default();
        let missing = section.read_all(&mut draft, table, reader);
        if !missing.is_empty() {
            needs(&item.at, &missing, reader);
        }
        Some((draft.line, draft.client?))
    })
}

fn needs(at: &At, missing: &[&str], reader: &mut Reader) {
    reader.problem(at, format!("needs {}", missing.join(", ")));
}
