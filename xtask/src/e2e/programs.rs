//! What programs that others wrote make of the explainer: Python's libraries, swaks and curl, from a blocked address.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::Test;
use super::explained::offend;
use crate::lab::Lab;
use crate::lab::guard::Setup;

pub(super) fn tests() -> Vec<Test> {
    vec![Test::new("other_peoples_programs_show_the_reason", show_the_reason).with(Setup::explaining)]
}

const FROM: &str = "192.0.2.7";

/// Tries every port in every way; writes a line for each: what was done, and what the library says of it.
const PYTHON: &str = r#"
import imaplib, poplib, smtplib, ssl
HOST = "10.99.0.1"
TLS = ssl._create_unverified_context()
def starttls(client, call):
    call(client)
    return client
def pop3(client):
    client.user("bob")
    client.pass_("right-bob")
def submission(client):
    client.login("bob", "right-bob")
WAYS = {
    "imap 143": lambda: imaplib.IMAP4(HOST, 143).login("bob", "right-bob"),
    "imap 143 starttls": lambda: starttls(imaplib.IMAP4(HOST, 143), lambda it: it.starttls(TLS)).login("bob", "right-bob"),
    "imap 993": lambda: imaplib.IMAP4_SSL(HOST, 993, ssl_context=TLS).login("bob", "right-bob"),
    "pop3 110": lambda: pop3(poplib.POP3(HOST, 110)),
    "pop3 110 starttls": lambda: pop3(starttls(poplib.POP3(HOST, 110), lambda it: it.stls(TLS))),
    "pop3 995": lambda: pop3(poplib.POP3_SSL(HOST, 995, context=TLS)),
    "smtp 25": lambda: smtplib.SMTP(HOST, 25),
    "smtp 587": lambda: submission(smtplib.SMTP(HOST, 587)),
    "smtp 587 starttls": lambda: submission(starttls(smtplib.SMTP(HOST, 587), lambda it: it.starttls(context=TLS))),
    "smtp 465": lambda: submission(smtplib.SMTP_SSL(HOST, 465, context=TLS)),
}
for name, way in WAYS.items():
    try:
        way()
        print(name, "| got in")
    except Exception as error:
        print(name, "|", type(error).__name__, str(error).replace("\n", " "))
"#;
const PYTHON_WAYS: usize = 10;

/// Others, each of which shows what it was answered.
const OTHERS: [&str; 7] = [
    "swaks --server 10.99.0.1 --port 25 --quit-after RCPT --to bob@example.test --from a@remote.test --helo client.test",
    "swaks --server 10.99.0.1 --port 587 --auth PLAIN --auth-user bob --auth-password right-bob --quit-after AUTH",
    "swaks --server 10.99.0.1 --port 587 -tls --auth LOGIN --auth-user bob --auth-password right-bob --quit-after AUTH",
    "swaks --server 10.99.0.1 --port 465 --tls-on-connect --auth PLAIN --auth-user bob --auth-password right-bob --quit-after AUTH",
    "curl -sSv --max-time 20 imap://10.99.0.1/INBOX -u bob:right-bob",
    "curl -sSvk --max-time 20 imaps://10.99.0.1/INBOX -u bob:right-bob",
    "curl -sSvk --max-time 20 pop3s://10.99.0.1/1 -u bob:right-bob",
];

fn show_the_reason(lab: &mut Lab) -> Result<()> {
    let lab = &*lab;
    lab.net.speak_as(FROM)?;
    let code = offend(lab, FROM, FROM)?;
    let told = said(lab, Command::new("python3").args(["-c", PYTHON]))?;
    let lines: Vec<&str> = told.lines().filter(|line| line.contains(" | ")).collect();
    ensure!(lines.len() == PYTHON_WAYS, "Python did not try all ways: {told}");
    for line in lines {
        ensure!(tells(line, &code), "Python is not told why: {line}");
        println!("    python {line}");
    }
    for other in OTHERS {
        let mut words = other.split(' ');
        let program = words.next().context("no program")?;
        // What waits for more than it is told would wait for ever.
        let told = said(lab, Command::new("timeout").args(["30", program]).args(words))?;
        let shown = told.lines().find(|line| tells(line, &code));
        println!("    {program} {}", shown.with_context(|| format!("`{other}` does not show why: {told}"))?.trim());
    }
    Ok(())
}

fn tells(text: &str, code: &str) -> bool {
    text.contains("blocked temporarily") && text.contains(code) && text.contains("too many wrong passwords")
}

/// All that it writes, whatever comes of it.
fn said(lab: &Lab, command: &mut Command) -> Result<String> {
    let output = lab.net.on_clients(|| {
        let program = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {program}: is it installed?"))
    })?;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}
