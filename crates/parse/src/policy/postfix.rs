//! Postfix policy delegation requests (SMTPD_POLICY_README): lines of `name=value`, ended by an empty line.
//!
//! [`Scanner`] takes requests from what has arrived so far; [`read`] reads one that is whole.

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::Range;
use std::str::FromStr;

use fairban_types::Service;
use memchr::memchr_iter;

use super::{bounded, service_of_port, told};

/// The longest line, in bytes, without its end. Postfix's own longest values are certificate subjects and addresses.
pub const LINE_LEN_MAX: usize = 8 * 1024;
/// The most attributes of one request. Postfix 3.9 sends 31.
pub const ATTRIBUTES_MAX: usize = 128;
/// The longest request, in bytes.
pub const REQUEST_LEN_MAX: usize = 32 * 1024;

/// Where in a mail session the question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// A client has connected.
    Connect,
    /// HELO or EHLO.
    Helo,
    /// The return-path.
    Mail,
    /// A recipient.
    Rcpt,
    /// Before the message.
    Data,
    /// After the message.
    EndOfMessage,
    /// VRFY.
    Vrfy,
    /// ETRN.
    Etrn,
    /// Before a sign-in: Fairban's own addition, for servers that can ask then (Exim).
    Auth,
    /// None of these.
    Other,
}

impl State {
    fn from_name(name: &[u8]) -> State {
        match name {
            b"CONNECT" => State::Connect,
            b"HELO" | b"EHLO" => State::Helo,
            b"MAIL" => State::Mail,
            b"RCPT" => State::Rcpt,
            b"DATA" => State::Data,
            b"END-OF-MESSAGE" => State::EndOfMessage,
            b"VRFY" => State::Vrfy,
            b"ETRN" => State::Etrn,
            b"AUTH" => State::Auth,
            _ => State::Other,
        }
    }

    /// Whether the return-path has been told: an empty one is then the null return-path.
    const fn has_return_path(self) -> bool {
        matches!(self, State::Mail | State::Rcpt | State::Data | State::EndOfMessage)
    }
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// Where in the session.
    pub state: State,
    /// The client's address.
    pub client: IpAddr,
    /// The server's port; 0 if it is not told.
    pub port: u16,
    /// The account that the client signed in to (in [`State::Auth`]: that it wants to).
    pub account: Option<Cow<'a, str>>,
    /// The SASL mechanism.
    pub method: Option<Cow<'a, str>>,
    /// The HELO or EHLO name.
    pub helo: Option<Cow<'a, str>>,
    /// The return-path; `None`: not told yet; empty: the null return-path.
    pub return_path: Option<Cow<'a, str>>,
    /// The recipient; `None` after DATA if there are several.
    pub recipient: Option<Cow<'a, str>>,
    /// How many recipients were accepted; 0 before DATA.
    pub recipient_count: u32,
    /// The queue ID, once there is one.
    pub queue_id: Option<Cow<'a, str>>,
    /// What all questions about one message have in common.
    pub instance: Option<Cow<'a, str>>,
}

impl Request<'_> {
    /// The service: by the port, and where that says nothing by whether the client signed in.
    pub fn service(&self) -> Service {
        match service_of_port(self.port) {
            Some(service) => service,
            None if self.account.is_some() || self.state == State::Auth => Service::Submission,
            None => Service::Smtp,
        }
    }
}

/// Why a request could not be read. The first three leave it open where the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// A line is too long.
    #[error("a line is longer than {LINE_LEN_MAX} bytes")]
    LineTooLong,
    /// The request is too long.
    #[error("the request is longer than {REQUEST_LEN_MAX} bytes or has more than {ATTRIBUTES_MAX} attributes")]
    TooLong,
    /// An empty line where a request should begin.
    #[error("a request without attributes")]
    Empty,
    /// `request` is missing or not `smtpd_access_policy`.
    #[error("not a request of the kind smtpd_access_policy")]
    UnknownRequest,
    /// `client_address` is missing or no address.
    #[error("'client_address' is not an address")]
    Client,
}

/// Finds the end of a request, and what is read of it, in bytes that arrive bit by bit. Each byte is looked at once.
#[derive(Clone, Debug, Default)]
pub struct Scanner {
    scanned: usize,
    line: usize,
    attributes: usize,
    values: Values,
}

/// A request that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole<'a> {
    /// How many bytes it has, with the empty line.
    pub length: usize,
    /// What it says, or why it makes no sense.
    pub request: Result<Request<'a>, Defect>,
}

impl Scanner {
    /// `buffer` begins with the request and may have grown since the last call. `Some`: the request; the scanner is then
    /// ready for the next one. After a defect nothing that follows can be trusted.
    pub fn take<'a>(&mut self, buffer: &'a [u8]) -> Result<Option<Whole<'a>>, Defect> {
        let Some(length) = self.scan(buffer)? else { return Ok(None) };
        let request = self.values.read(&buffer[..length]);
        *self = Scanner::default();
        Ok(Some(Whole { length, request }))
    }

    /// The same, but tells only the request's length.
    pub fn find_end(&mut self, buffer: &[u8]) -> Result<Option<usize>, Defect> {
        let found = self.scan(buffer);
        if matches!(found, Ok(Some(_))) {
            *self = Scanner::default();
        }
        found
    }

    fn scan(&mut self, buffer: &[u8]) -> Result<Option<usize>, Defect> {
        let from = self.scanned.min(buffer.len());
        for newline in memchr_iter(b'\n', &buffer[from..]).map(|place| from + place) {
            let line = without_return(&buffer[self.line..newline]);
            let end = newline + 1;
            if end > REQUEST_LEN_MAX {
                return Err(Defect::TooLong);
            }
            if line.is_empty() {
                return if self.attributes == 0 { Err(Defect::Empty) } else { Ok(Some(end)) };
            }
            if line.len() > LINE_LEN_MAX {
                return Err(Defect::LineTooLong);
            }
            self.attributes += 1;
            if self.attributes > ATTRIBUTES_MAX {
                return Err(Defect::TooLong);
            }
            self.values.note(line, self.line);
            self.line = end;
        }
        self.scanned = buffer.len();
        // One more for the carriage return of a line that is as long as may be.
        if buffer.len().saturating_sub(self.line) > LINE_LEN_MAX + 1 {
            return Err(Defect::LineTooLong);
        }
        if buffer.len() > REQUEST_LEN_MAX { Err(Defect::TooLong) } else { Ok(None) }
    }
}

/// Reads a whole request, with or without the empty line at its end. Unknown attributes and lines that are none are
/// ignored. Of an attribute that is told twice the first stands: what a client chose can neither overrule what the server
/// wrote before it nor make it unreadable.
pub fn read(request: &[u8]) -> Result<Request<'_>, Defect> {
    let (mut values, mut begin) = (Values::default(), 0);
    for end in memchr_iter(b'\n', request).chain([request.len()]) {
        values.note(without_return(&request[begin..end]), begin);
        begin = (end + 1).min(request.len());
    }
    values.read(request)
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The attributes that are read.
#[derive(Clone, Copy)]
enum Name {
    Request,
    State,
    Client,
    Port,
    Account,
    Method,
    Helo,
    Sender,
    Recipient,
    RecipientCount,
    QueueId,
    Instance,
}

const NAMES: usize = Name::Instance as usize + 1;

impl Name {
    /// Which attribute a line tells, and where in it the value begins. The first letter rules out most lines.
    #[inline]
    fn of(line: &[u8]) -> Option<(Name, usize)> {
        match line.first()? {
            b'c' => first_of(line, [(b"client_address=", Name::Client)]),
            b'h' => first_of(line, [(b"helo_name=", Name::Helo)]),
            b'i' => first_of(line, [(b"instance=", Name::Instance)]),
            b'p' => first_of(line, [(b"protocol_state=", Name::State)]),
            b'q' => first_of(line, [(b"queue_id=", Name::QueueId)]),
            b'r' => first_of(
                line,
                [
                    (b"request=", Name::Request),
                    (b"recipient=", Name::Recipient),
                    (b"recipient_count=", Name::RecipientCount),
                ],
            ),
            b's' => first_of(
                line,
                [
                    (b"server_port=", Name::Port),
                    (b"sender=", Name::Sender),
                    (b"sasl_username=", Name::Account),
                    (b"sasl_method=", Name::Method),
                ],
            ),
            _ => None,
        }
    }
}

/// Inlined, each comparison is with a text of known length.
#[inline(always)]
fn first_of<const N: usize>(line: &[u8], names: [(&'static [u8], Name); N]) -> Option<(Name, usize)> {
    names.into_iter().find(|(text, _)| line.starts_with(text)).map(|(text, name)| (name, text.len()))
}

/// Where in a request the values begin and end; a value that is not told begins at zero, where none can.
#[derive(Clone, Debug, Default)]
struct Values([(usize, usize); NAMES]);

impl Values {
    /// Takes note of a line that begins there.
    fn note(&mut self, line: &[u8], begin: usize) {
        let Some((name, length)) = Name::of(line) else { return };
        let place = &mut self.0[name as usize];
        if place.0 == 0 {
            *place = (begin + length, begin + line.len());
        }
    }

    fn read<'a>(&self, request: &'a [u8]) -> Result<Request<'a>, Defect> {
        let told = Told { values: self, bytes: request, text: std::str::from_utf8(request).ok() };
        if told.raw(Name::Request) != Some(b"smtpd_access_policy") {
            return Err(Defect::UnknownRequest);
        }
        let state = told.raw(Name::State).map_or(State::Other, State::from_name);
        let client = told.ascii(Name::Client).and_then(|text| text.parse::<IpAddr>().ok());
        let return_path = if state.has_return_path() { told.value(Name::Sender).map(bounded) } else { None };
        Ok(Request {
            state,
            client: client.ok_or(Defect::Client)?.to_canonical(),
            port: told.number(Name::Port).unwrap_or(0),
            account: told.text(Name::Account),
            method: told.text(Name::Method),
            helo: told.text(Name::Helo),
            return_path,
            recipient: told.text(Name::Recipient),
            recipient_count: told.number(Name::RecipientCount).unwrap_or(0),
            queue_id: told.text(Name::QueueId),
            instance: told.text(Name::Instance),
        })
    }
}

/// The values of one request.
struct Told<'v, 'a> {
    values: &'v Values,
    bytes: &'a [u8],
    /// The same as text: checked once, and not for each value.
    text: Option<&'a str>,
}

impl<'a> Told<'_, 'a> {
    fn range(&self, name: Name) -> Option<Range<usize>> {
        let (begin, end) = self.values.0[name as usize];
        (begin > 0).then_some(begin..end)
    }

    fn raw(&self, name: Name) -> Option<&'a [u8]> {
        self.bytes.get(self.range(name)?)
    }

    fn ascii(&self, name: Name) -> Option<&'a str> {
        match self.text {
            Some(text) => text.get(self.range(name)?),
            None => std::str::from_utf8(self.raw(name)?).ok(),
        }
    }

    fn number<N: FromStr>(&self, name: Name) -> Option<N> {
        self.ascii(name)?.parse().ok()
    }

    fn value(&self, name: Name) -> Option<Cow<'a, str>> {
        match self.text {
            Some(text) => text.get(self.range(name)?).map(Cow::Borrowed),
            None => self.raw(name).map(String::from_utf8_lossy),
        }
    }

    fn text(&self, name: Name) -> Option<Cow<'a, str>> {
        self.value(name).and_then(told)
    }
}
