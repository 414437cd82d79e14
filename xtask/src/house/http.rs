//! As much of HTTP/1.1 as it takes to measure answers.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

const PATIENCE: Duration = Duration::from_secs(120);

/// An answer, and how long it took.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
    /// Until its first byte, and
    pub(super) first: Duration,
    /// until its last.
    pub(super) whole: Duration,
}

/// A browser, or a program with a token.
pub(super) struct Client {
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
    cookies: BTreeMap<String, String>,
    pub(super) token: Option<String>,
}

impl Client {
    pub(super) fn new(address: SocketAddr) -> Self {
        Client { address, connection: None, cookies: BTreeMap::new(), token: None }
    }

    pub(super) fn get(&mut self, path: &str) -> Result<Answer> {
        self.send("GET", path, "", "")
    }

    /// Sends a form with the token that the page before has.
    pub(super) fn post_form(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<Answer> {
        let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        self.send("POST", path, "application/x-www-form-urlencoded", &body.join("&"))
    }

    fn connect(&self) -> Result<Connection> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(BufReader::new(stream))
    }

    pub(super) fn send(&mut self, method: &str, path: &str, kind: &str, body: &str) -> Result<Answer> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address);
        if let Some(token) = &self.token {
            request.push_str(&format!("authorization: Bearer {token}\r\n"));
        }
        if !self.cookies.is_empty() {
            let all: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request.push_str(&format!("cookie: {}\r\n", all.join("; ")));
        }
        if !kind.is_empty() {
            request.push_str(&format!("content-type: {kind}\r\ncontent-length: {}\r\n", body.len()));
        }
        request.push_str(&format!("\r\n{body}"));
        // A server closes a connection that nothing was asked by for a while.
        let again = self.connection.take().map(|connection| exchange(connection, &request)).and_then(Result::ok);
        let (answer, connection) = match again {
            Some(exchanged) => exchanged,
            None => exchange(self.connect()?, &request).with_context(|| format!("{method} {path}"))?,
        };
        for cookie in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            if let Some((name, value)) = cookie.1.split(';').next().and_then(|pair| pair.split_once('=')) {
                match value {
                    "" => self.cookies.remove(name),
                    value => self.cookies.insert(name.to_owned(), value.to_owned()),
                };
            }
        }
        self.connection = connection;
        Ok(answer)
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// As a value in a query or form.
pub(super) fn encoded(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => (byte as char).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

type Connection = BufReader<TcpStream>;

/// More of a file is not read: its first byte is what is measured.
const STREAMED_MAX: usize = 16 << 20;

fn exchange(mut connection: Connection, request: &str) -> Result<(Answer, Option<Connection>)> {
    let start = Instant::now();
    connection.get_mut().write_all(request.as_bytes())?;
    let mut line = String::new();
    connection.read_line(&mut line)?;
    let status =
        line.split(' ').nth(1).and_then(|word| word.parse().ok()).with_context(|| format!("no HTTP: {line:?}"))?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        connection.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut answer = Answer { status, headers, body: String::new(), first: Duration::ZERO, whole: Duration::ZERO };
    let mut body = Vec::new();
    let is_chunked = answer.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    let length = answer.header("content-length").and_then(|length| length.parse::<usize>().ok());
    if is_chunked {
        if !chunks(&mut connection, &mut body, start, &mut answer.first)? {
            answer.whole = start.elapsed();
            answer.body = String::from_utf8_lossy(&body).into_owned();
            return Ok((answer, None));
        }
    } else {
        if length.is_some_and(|length| length > 0) {
            connection.fill_buf()?;
        }
        answer.first = start.elapsed();
        let length = length.unwrap_or(0);
        ensure!(connection.by_ref().take(length as u64).read_to_end(&mut body)? == length, "the answer broke off");
    }
    answer.whole = start.elapsed();
    answer.body = String::from_utf8_lossy(&body).into_owned();
    let is_over = answer.header("connection").is_some_and(|word| word.eq_ignore_ascii_case("close"));
    Ok((answer, (!is_over).then_some(connection)))
}

/// Reads an answer that is written as it is made; `false`: it is longer than anybody waits for, and was left.
fn chunks(connection: &mut Connection, body: &mut Vec<u8>, start: Instant, first: &mut Duration) -> Result<bool> {
    loop {
        let mut line = String::new();
        ensure!(connection.read_line(&mut line)? > 0, "the answer broke off");
        let length = usize::from_str_radix(line.trim(), 16).context("a chunk without its length")?;
        if body.is_empty() {
            *first = start.elapsed();
        }
        let old = body.len();
        ensure!(connection.take(length as u64 + 2).read_to_end(body)? == length + 2, "the answer broke off");
        body.truncate(old + length);
        if length == 0 {
            return Ok(true);
        }
        if body.len() > STREAMED_MAX {
            return Ok(false);
        }
    }
}
