//! Formats of the operator's own, compiled from configuration.
//!
//! A pattern finds the client by its distance from one end of the line. Between that end and the address nothing may
//! stand that a client could write, or a client could write an address there: this is checked on the pattern itself, so
//! that a dangerous one is refused before any line is read.

use std::net::IpAddr;

use fairban_types::{CustomFormat, Event, EventKind, Service, Time};
use regex::bytes::{Captures, Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

use crate::message::{Message, field};
use crate::{Defect, Outcome};

/// The longest pattern, in bytes.
const PATTERN_MAX: usize = 2048;

/// The memory that one compiled pattern may take, in bytes.
const COMPILED_MAX: usize = 1 << 20;

const GROUPS: [&str; 8] = ["client", "account", "digest", "helo", "return_path", "recipient", "session", "reason"];

/// Why a format of the operator's own cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("format '{format}': {problem}")]
pub struct CustomError {
    /// The format's name.
    pub format: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a format, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not a regular expression.
    #[error("the pattern is not a regular expression: {0}")]
    Syntax(String),
    /// Longer than `PATTERN_MAX`, or larger than `COMPILED_MAX` when compiled.
    #[error(
        "the pattern is too large: write at most {PATTERN_MAX} bytes, and smaller counts in braces or fewer Unicode \
         classes"
    )]
    TooLarge,
    /// No group `client`.
    #[error("the pattern has no group for the address: write (?<client>[0-9A-Fa-f:.]+) where it stands")]
    NoClient,
    /// A group that no event has a place for.
    #[error("there is no field '{0}': use client, account, digest, helo, return_path, recipient, session or reason")]
    Group(String),
    /// Neither `^` nor `$` outermost.
    #[error(
        "the pattern is anchored at neither end: begin it with ^ or end it with $, on the side that clients cannot \
         write to (^ and $ inside (?m) do not count)"
    )]
    NotAnchored,
    /// The client group is inside an alternative or a repetition.
    #[error("the client group stands inside an alternative or a repetition: write one format for each wording")]
    Buried,
    /// Client text could stand between the anchor and the address.
    #[error(
        "between the anchor and the client group, '{0}' also matches text that a client may choose, which could then \
         name any address: only fixed words, alternatives of fixed words and numbers ([0-9]+, [0-9a-f]+) may stand \
         there; anchor the pattern at its other end, or write the words out"
    )]
    FreeText(String),
}

/// How an example of a format came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExampleResult {
    /// The format's name.
    pub format: String,
    /// The example line.
    pub line: String,
    /// The address that must come out.
    pub expected: IpAddr,
    /// The address that came out, if the line matched.
    pub found: Option<IpAddr>,
}

impl ExampleResult {
    /// Whether the example came out as it must.
    pub fn is_good(&self) -> bool {
        self.found == Some(self.expected)
    }
}

/// Every format of the operator's own.
#[derive(Clone, Debug, Default)]
pub struct Formats {
    formats: Vec<Format>,
}

#[derive(Clone, Debug)]
struct Format {
    source: CustomFormat,
    pattern: Regex,
}

impl Formats {
    /// Compiles and checks the formats.
    ///
    /// # Errors
    /// The first format that cannot be used.
    pub fn compile(formats: &[CustomFormat]) -> Result<Formats, CustomError> {
        let compiled = formats.iter().map(|format| {
            let pattern =
                compile(&format.pattern).map_err(|problem| CustomError { format: format.name.clone(), problem })?;
            Ok(Format { source: format.clone(), pattern })
        });
        Ok(Formats { formats: compiled.collect::<Result<_, _>>()? })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.formats.is_empty()
    }

    /// The outcome of the first format that the message matches, if one does.
    pub(crate) fn parse<'a>(&self, message: &Message<'a>) -> Option<Outcome<'a>> {
        self.formats.iter().filter(|format| format.looks_at(message.program)).find_map(|format| {
            let groups = format.pattern.captures(message.text)?;
            Some(format.outcome(message, &groups))
        })
    }

    /// Runs the examples of every format, each on its own format. An example may have a syslog prefix or none.
    pub fn run_examples(&self) -> Vec<ExampleResult> {
        let examples = |format: &Format| {
            let run = |(line, expected): &(String, IpAddr)| ExampleResult {
                format: format.source.name.clone(),
                line: line.clone(),
                expected: expected.to_canonical(),
                found: format.try_example(line),
            };
            format.source.examples.iter().map(run).collect::<Vec<_>>()
        };
        self.formats.iter().flat_map(examples).collect()
    }
}

impl Format {
    fn looks_at(&self, program: &[u8]) -> bool {
        self.source.program.as_ref().is_none_or(|name| name.as_bytes() == program)
    }

    fn try_example(&self, line: &str) -> Option<IpAddr> {
        let program = self.source.program.as_deref().unwrap_or("").as_bytes();
        let after_tag = after_tag(line.as_bytes(), program);
        [Some(line.as_bytes()), after_tag].into_iter().flatten().find_map(|text| {
            let message = Message { time: Time::MIN, whole: None, program, text };
            let groups = self.pattern.captures(text)?;
            match self.outcome(&message, &groups) {
                Outcome::Event(event) => Some(event.client),
                Outcome::Nothing | Outcome::Defect(_) => None,
            }
        })
    }

    fn outcome<'a>(&self, message: &Message<'a>, groups: &Captures<'a>) -> Outcome<'a> {
        let Some(client) = groups.name("client").and_then(|found| whole_address(message.text, found.range())) else {
            return Outcome::Defect(Defect::Client);
        };
        let text = |name| groups.name(name).map(|found| field(found.as_bytes()));
        let (kind, service): (EventKind, Service) = (self.source.kind, self.source.service);
        let mut event = Event::new(kind, message.time, client, service);
        event.account = text("account");
        event.digest = text("digest");
        event.helo = text("helo");
        event.return_path = text("return_path");
        event.recipient = text("recipient");
        event.session = text("session");
        event.reason = text("reason");
        Outcome::Event(event)
    }
}

/// The words behind `PROGRAM: ` or `PROGRAM[pid]: ` of a line with a prefix.
fn after_tag<'a>(line: &'a [u8], program: &[u8]) -> Option<&'a [u8]> {
    let tag = memchr::memmem::find(line, program).filter(|_| !program.is_empty())?;
    let rest = &line[tag + program.len()..];
    let colon = memchr::memmem::find(rest, b": ").filter(|at| *at == 0 || rest.first() == Some(&b'['))?;
    Some(&rest[colon + 2..])
}

/// The address at that place, unless the place cuts a longer one short.
fn whole_address(text: &[u8], range: std::ops::Range<usize>) -> Option<IpAddr> {
    let cut = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let before = range.start.checked_sub(1).and_then(|at| text.get(at));
    let behind = &text[range.end..];
    let goes_on = behind.first() == Some(&b'.') && cut(behind.get(1));
    if cut(before) || before == Some(&b'.') || cut(behind.first()) || goes_on {
        return None;
    }
    let address: IpAddr = std::str::from_utf8(&text[range]).ok()?.parse().ok()?;
    Some(address.to_canonical())
}

fn compile(pattern: &str) -> Result<Regex, Problem> {
    if pattern.len() > PATTERN_MAX {
        return Err(Problem::TooLarge);
    }
    let regex = RegexBuilder::new(pattern)
        .size_limit(COMPILED_MAX)
        .dfa_size_limit(COMPILED_MAX)
        .nest_limit(50)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => Problem::TooLarge,
            other => Problem::Syntax(one_line(&other.to_string())),
        })?;
    if let Some(other) = regex.capture_names().flatten().find(|name| !GROUPS.contains(name)) {
        return Err(Problem::Group(other.to_owned()));
    }
    if !regex.capture_names().flatten().any(|name| name == "client") {
        return Err(Problem::NoClient);
    }
    let parsed = regex_syntax::ParserBuilder::new().utf8(false).nest_limit(50).build().parse(pattern);
    check(&parsed.map_err(|error| Problem::Syntax(one_line(&error.to_string())))?)?;
    Ok(regex)
}

/// The last line of regex's own message says what is wrong; those before it draw the place.
fn one_line(message: &str) -> String {
    message.lines().last().unwrap_or(message).trim_start_matches("error: ").to_owned()
}

/// Whether the client's address is at a place that no client text can move.
fn check(pattern: &Hir) -> Result<(), Problem> {
    let mut pieces = Vec::new();
    flatten(pattern, &mut pieces);
    let Some(client) = pieces.iter().position(|piece| is_client(piece)) else {
        return Err(Problem::Buried);
    };
    let from_start = matches!(pieces.first().map(|piece| piece.kind()), Some(HirKind::Look(Look::Start)));
    let from_end = matches!(pieces.last().map(|piece| piece.kind()), Some(HirKind::Look(Look::End)));
    let free = |pieces: &[&Hir]| class_run(pieces).or_else(|| pieces.iter().find_map(|piece| free_text(piece)));
    match (from_start.then(|| free(&pieces[..client])), from_end.then(|| free(&pieces[client + 1..]))) {
        (None, None) => Err(Problem::NotAnchored),
        (Some(None), _) | (_, Some(None)) => Ok(()),
        (Some(Some(free)), _) | (_, Some(Some(free))) => Err(Problem::FreeText(free)),
    }
}

/// The pieces that follow one another, with groups other than the client's taken apart.
fn flatten<'h>(pattern: &'h Hir, pieces: &mut Vec<&'h Hir>) {
    match pattern.kind() {
        HirKind::Concat(parts) => parts.iter().for_each(|part| flatten(part, pieces)),
        HirKind::Capture(_) if is_client(pattern) => pieces.push(pattern),
        HirKind::Capture(capture) => flatten(&capture.sub, pieces),
        _ => pieces.push(pattern),
    }
}

fn is_client(piece: &Hir) -> bool {
    matches!(piece.kind(), HirKind::Capture(capture) if capture.name.as_deref() == Some("client"))
}

/// A part of the piece that matches text which a client could choose.
fn free_text(piece: &Hir) -> Option<String> {
    match piece.kind() {
        HirKind::Empty | HirKind::Literal(_) | HirKind::Look(_) | HirKind::Class(_) => None,
        HirKind::Capture(capture) => free_text(&capture.sub),
        HirKind::Concat(parts) => {
            class_run(&parts.iter().collect::<Vec<_>>()).or_else(|| parts.iter().find_map(free_text))
        }
        HirKind::Alternation(parts) => parts.iter().find_map(free_text),
        HirKind::Repetition(repetition) => repeated_free_text(piece, repetition),
    }
}

fn repeated_free_text(piece: &Hir, repetition: &Repetition) -> Option<String> {
    if repetition.max == Some(1) {
        return free_text(&repetition.sub);
    }
    if is_numeric(&repetition.sub) { None } else { Some(piece.to_string()) }
}

/// Several classes in a row are a field, too.
fn class_run(parts: &[&Hir]) -> Option<String> {
    let is_free = |part: &&Hir| matches!(part.kind(), HirKind::Class(class) if !is_numeric_class(class));
    parts.windows(2).find(|pair| pair.iter().all(is_free)).map(|pair| pair[0].to_string() + &pair[1].to_string())
}

/// Whether it matches digits, hexadecimal digits and the punctuation between numbers only.
fn is_numeric(piece: &Hir) -> bool {
    match piece.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => literal.0.iter().all(|byte| is_numeric_char(char::from(*byte))),
        HirKind::Class(class) => is_numeric_class(class),
        HirKind::Capture(capture) => is_numeric(&capture.sub),
        HirKind::Repetition(repetition) => is_numeric(&repetition.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().all(is_numeric),
    }
}

fn is_numeric_class(class: &Class) -> bool {
    let is_blank = match class {
        Class::Unicode(class) => class.iter().all(|range| (range.start()..=range.end()).all(char::is_whitespace)),
        Class::Bytes(class) => {
            class.iter().all(|range| (range.start()..=range.end()).all(|byte| byte.is_ascii_whitespace()))
        }
    };
    is_blank
        || match class {
            Class::Unicode(class) => {
                // `\d` has the digits of every script.
                class.iter().all(|range| {
                    (range.start()..=range.end()).all(|letter| is_numeric_char(letter) || letter.is_numeric())
                })
            }
            Class::Bytes(class) => {
                class.iter().all(|range| (range.start()..=range.end()).all(|byte| is_numeric_char(char::from(byte))))
            }
        }
}

fn is_numeric_char(letter: char) -> bool {
    letter.is_ascii_hexdigit() || matches!(letter, '.' | ':' | '-' | '/' | ',' | '+')
}
