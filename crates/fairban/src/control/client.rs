//! The command line's end of the control socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fairban_types::{Subject, Time, format_duration};

use super::{Listed, Reply, Request, SOCKET, Why};
use crate::cli::{Command, NeverCommand};
use crate::show::{self, Exit};

/// A conversation with the daemon.
pub(crate) struct Conversation {
    replies: BufReader<UnixStream>,
}

impl Conversation {
    pub(crate) fn begin(socket: &Path, request: &Request) -> anyhow::Result<Self> {
        let unreachable = |error: std::io::Error| Exit {
            status: 3,
            message: format!(
                "cannot reach the daemon at {}: {error}. Is `fairban run` running? Another socket is named with --control",
                socket.display()
            ),
        };
        let mut stream = UnixStream::connect(socket).map_err(unreachable)?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line).map_err(unreachable)?;
        Ok(Conversation { replies: BufReader::new(stream) })
    }

    /// The next line of the answer; `None` at its end.
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<Reply>> {
        let mut line = String::new();
        if self.replies.read_line(&mut line)? == 0 {
            return Err(Exit { status: 3, message: "the daemon ended the conversation".to_owned() }.into());
        }
        Ok(match serde_json::from_str(&line)? {
            Reply::End => None,
            reply => Some(reply),
        })
    }
}

pub(crate) fn run(command: Command, socket: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let socket = socket.unwrap_or_else(|| PathBuf::from(SOCKET));
    let seconds = |time: std::time::Duration| time.as_secs().max(1);
    match command {
        Command::Status(args) => status(&socket, args.json),
        Command::Blocks(args) => {
            let request = Request::Blocks { subject: args.subject, all: args.all, limit: args.limit };
            blocks(&socket, &request, args.json)
        }
        Command::Events(args) => {
            let request = Request::Events {
                subject: args.subject,
                kind: args.kind,
                limit: args.limit,
                follow: args.follow,
            };
            events(&socket, &request, args.json)
        }
        Command::Top => show::top::run(&socket),
        Command::Why(args) => why(&socket, args.subject, args.json),
        Command::Block(args) => {
            let seconds = (!args.permanent).then(|| seconds(args.time));
            act(&socket, &Request::Block { subject: args.subject, seconds, reason: args.reason })
        }
        Command::Unblock(args) => act(&socket, &Request::Unblock { subject: args.subject, reason: args.reason }),
        Command::Never(NeverCommand::Add { net, reason, time }) => {
            act(&socket, &Request::NeverAdd { net, reason, seconds: time.map(seconds) })
        }
        Command::Never(NeverCommand::Remove { net }) => act(&socket, &Request::NeverRemove { net }),
        Command::Never(NeverCommand::List { json }) => never(&socket, json),
        Command::Flush => crate::daemon::flush(&crate::lines::config(None)?.enforce),
        _ => anyhow::bail!("this command does not speak to the daemon"),
    }
}

fn no(message: String) -> anyhow::Error {
    Exit { status: 1, message }.into()
}

/// What every command does with an answer that is not its own.
fn refusal(reply: Reply) -> anyhow::Error {
    match reply {
        Reply::No(text) => no(text),
        Reply::Wrong(text) => Exit { status: 2, message: text }.into(),
        other => anyhow::anyhow!("the daemon speaks another version: {other:?}"),
    }
}

fn act(socket: &Path, request: &Request) -> anyhow::Result<ExitCode> {
    let mut conversation = Conversation::begin(socket, request)?;
    while let Some(reply) = conversation.next()? {
        match reply {
            Reply::Done(text) => println!("{}", show::safe(&text)),
            other => return Err(refusal(other)),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    Ok(writeln!(out)?)
}

fn status(socket: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut conversation = Conversation::begin(socket, &Request::Status)?;
    let mut healthy = true;
    while let Some(reply) = conversation.next()? {
        match reply {
            Reply::Status(status) if as_json => json(&status)?,
            Reply::Status(status) => {
                print!("{}", show::status(&status));
                healthy = status.store.error.is_none() && status.enforcement.error.is_none();
            }
            other => return Err(refusal(other)),
        }
    }
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn left(listed: &Listed, now: Time) -> String {
    match (&listed.ended, listed.until) {
        (Some(ended), _) => ended.clone(),
        (None, None) => "permanent".to_owned(),
        (None, Some(until)) if until <= now => "over".to_owned(),
        (None, Some(until)) => format_duration(until.since(now)),
    }
}

fn blocks(socket: &Path, request: &Request, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut conversation = Conversation::begin(socket, request)?;
    let now = Time::from(std::time::SystemTime::now());
    let mut rows = Vec::new();
    while let Some(reply) = conversation.next()? {
        match reply {
            Reply::Block(block) if as_json => json(&block)?,
            Reply::Block(block) => rows.push(vec![
                block.subject.to_string(),
                if block.action == fairban_types::Action::Guard { "guard" } else { "block" }.to_owned(),
                left(&block, now),
                block.rule.clone(),
                block.offence.to_string(),
                block.code.to_string(),
                block.diagnosis.in_words().to_owned(),
            ]),
            other => return Err(refusal(other)),
        }
    }
    if !as_json {
        if rows.is_empty() {
            println!("nobody is blocked");
        } else {
            print!("{}", show::table(&["subject", "what", "left", "rule", "offence", "code", "why"], &rows));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn events(socket: &Path, request: &Request, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut conversation = Conversation::begin(socket, request)?;
    while let Some(reply) = conversation.next()? {
        match reply {
            Reply::Event(event) if as_json => json(&event)?,
            Reply::Event(event) => println!("{}  [{}]", show::event(&event.event), event.outcome),
            Reply::Decision(decision) if as_json => json(&serde_json::json!({ "decision": decision }))?,
            Reply::Decision(decision) => println!("{}", show::decision(&decision)),
            other => return Err(refusal(other)),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn why(socket: &Path, subject: String, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut conversation = Conversation::begin(socket, &Request::Why { subject })?;
    let mut is_blocked = false;
    while let Some(reply) = conversation.next()? {
        match reply {
            Reply::Why(why) => {
                is_blocked = !why.standing.is_empty();
                if as_json { json(&why)? } else { tell_why(&why) }
            }
            other => return Err(refusal(other)),
        }
    }
    Ok(if is_blocked { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell_why(why: &Why) {
    let now = Time::from(std::time::SystemTime::now());
    for decision in &why.standing {
        println!("{}", show::receipt(decision, now));
    }
    if why.standing.is_empty() {
        println!("{} is not blocked.", show::safe_line(&why.subject));
    }
    for entry in &why.never {
        println!("It is on the never-block list ({}): {}", entry.net, show::safe_line(&entry.reason));
    }
    for score in &why.scores {
        println!("Rule {} counts {} of {} points now:", show::safe_line(&score.rule), score.score, score.threshold);
        for evidence in &score.events {
            println!("  {:>4}  {}", evidence.points, show::event(&evidence.event));
        }
    }
    if !why.history.is_empty() {
        println!("\nBefore:");
        for block in &why.history {
            println!(
                "  {}  {}  rule {}: {}  ({})",
                show::clock(block.since),
                block.code,
                show::safe_line(&block.rule),
                block.diagnosis.in_words(),
                show::safe_line(&left(block, now))
            );
        }
    }
    if !why.events.is_empty() {
        println!("\nLatest events:");
        for seen in &why.events {
            println!("  {}  [{}]", show::event(&seen.event), seen.outcome);
        }
    }
    if let (true, Ok(Subject::Network(net))) = (why.standing.is_empty(), why.subject.parse::<Subject>()) {
        println!("\nNever to block it: fairban never add {net}");
    }
}

fn never(socket: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut conversation = Conversation::begin(socket, &Request::NeverList)?;
    let mut rows = Vec::new();
    while let Some(reply) = conversation.next()? {
        match reply {
            Reply::Never(entry) if as_json => json(&entry)?,
            Reply::Never(entry) => rows.push(vec![
                entry.net.to_string(),
                entry.until.map_or_else(|| "always".to_owned(), show::clock),
                entry.by.clone(),
                entry.reason.clone(),
            ]),
            other => return Err(refusal(other)),
        }
    }
    if !as_json {
        print!("{}", show::table(&["network", "until", "by", "reason"], &rows));
    }
    Ok(ExitCode::SUCCESS)
}
