//! The command line's end of the control socket.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fairban_types::{Sending, Subject, Time};

use super::{Reply, Request, SOCKET};
use crate::cli::{BlocksArgs, Command, NeverCommand, SendBlockCommand};
use crate::show::{self, Exit};
use crate::terminal::{self, Tone, tone};

/// A conversation with the daemon.
pub(crate) struct Conversation {
    replies: BufReader<UnixStream>,
}

/// What is in the way of speaking to the daemon, and what to do.
fn unreachable(socket: &Path, error: &std::io::Error) -> Exit {
    let place = socket.display();
    let message = match error.kind() {
        ErrorKind::NotFound => {
            format!(
                "no daemon is running here: there is no socket {place}. Start it with `fairban run`, or name its socket with --control"
            )
        }
        ErrorKind::ConnectionRefused => {
            format!("no daemon is running here: nobody listens on {place} any more. Start it with `fairban run`")
        }
        ErrorKind::PermissionDenied => format!(
            "no permission for {place}: be root, or a member of the group that [control] group in the configuration names"
        ),
        _ => format!("cannot reach the daemon at {place}: {error}"),
    };
    Exit { status: 3, message }
}

impl Conversation {
    pub(crate) fn begin(socket: &Path, request: &Request) -> anyhow::Result<Self> {
        let unreachable = |error: std::io::Error| unreachable(socket, &error);
        let mut stream = UnixStream::connect(socket).map_err(unreachable)?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line).map_err(unreachable)?;
        Ok(Conversation { replies: BufReader::new(stream) })
    }

    /// The next line of the answer; `None` at its end.
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<Reply>> {
        let mut line = String::new();
        let gone = || Exit { status: 3, message: "the daemon has ended".to_owned() };
        if self.replies.read_line(&mut line).map_err(|_| gone())? == 0 {
            return Err(gone().into());
        }
        let strange = |error| Exit { status: 3, message: format!("the daemon is of another version: {error}") };
        Ok(match serde_json::from_str(&line).map_err(strange)? {
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
        Command::Blocks(args) => blocks(&socket, args),
        Command::Events(args) => {
            let (subject, kind) = (args.subject, args.kind);
            let request = Request::Events { subject, kind, limit: args.limit, follow: args.follow };
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
        Command::SendBlock(SendBlockCommand::Add { sender, direction, time, reason }) => {
            let sending = Sending { sender, direction };
            act(&socket, &Request::SendBlockAdd { sending, reason, seconds: time.map(seconds) })
        }
        Command::SendBlock(SendBlockCommand::Remove { sender, reason }) => {
            act(&socket, &Request::SendBlockRemove { sender, reason })
        }
        Command::SendBlock(SendBlockCommand::List { all, json }) => send_blocks(&socket, all, json),
        _ => anyhow::bail!("this command does not speak to the daemon"),
    }
}

fn no(message: String) -> anyhow::Error {
    Exit { status: 1, message }.into()
}

/// What every command does with an answer that is not its own.
pub(crate) fn refusal(reply: Reply) -> anyhow::Error {
    match reply {
        Reply::No(text) => no(text),
        Reply::Wrong(text) => Exit { status: 2, message: text }.into(),
        other => Exit { status: 3, message: format!("the daemon is of another version: {other:?}") }.into(),
    }
}

pub(crate) fn act(socket: &Path, request: &Request) -> anyhow::Result<ExitCode> {
    let mut conversation = Conversation::begin(socket, request)?;
    while let Some(reply) = conversation.next()? {
        match reply {
            Reply::Done(text) => terminal::line(&show::safe_line(&text))?,
            other => return Err(refusal(other)),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn now() -> Time {
    Time::from(std::time::SystemTime::now())
}

fn status(socket: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut conversation = Conversation::begin(socket, &Request::Status)?;
    let mut is_healthy = true;
    while let Some(reply) = conversation.next()? {
        match reply {
            Reply::Status(status) => {
                is_healthy = status.problems.is_empty();
                if as_json { terminal::json(&status)? } else { terminal::text(&show::status(&status, now()))? }
            }
            other => return Err(refusal(other)),
        }
    }
    Ok(if is_healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn blocks(socket: &Path, args: BlocksArgs) -> anyhow::Result<ExitCode> {
    let (all, limit) = (args.all, args.limit);
    let mut conversation = Conversation::begin(socket, &Request::Blocks { subject: args.subject, all, limit })?;
    let mut found = Vec::new();
    while let Some(reply) = conversation.next()? {
        match reply {
            Reply::Block(block) if args.json => terminal::json(&block)?,
            Reply::Block(block) => found.push(*block),
            other => return Err(refusal(other)),
        }
    }
    match found.len() {
        _ if args.json => {}
        0 if all => terminal::line("nobody is or was blocked")?,
        0 => terminal::line("nobody is blocked")?,
        count => {
            terminal::text(&show::blocks(&found, now()))?;
            if count >= limit as usize {
                eprintln!("only the newest {count} are shown: --limit shows more");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn events(socket: &Path, request: &Request, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut conversation = Conversation::begin(socket, request)?;
    while let Some(reply) = conversation.next()? {
        match reply {
            Reply::Event(event) if as_json => terminal::json(&event)?,
            Reply::Event(event) => terminal::line(&show::seen(&event))?,
            Reply::Decision(decision) if as_json => terminal::json(&serde_json::json!({ "decision": decision }))?,
            Reply::Decision(decision) => terminal::line(&tone(&show::decision(&decision), Tone::Strong))?,
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
                is_blocked = why.blocked;
                if as_json { terminal::json(&why)? } else { terminal::text(&show::why(&why, now()))? }
            }
            other => return Err(refusal(other)),
        }
    }
    Ok(if is_blocked { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn send_blocks(socket: &Path, all: bool, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut conversation = Conversation::begin(socket, &Request::SendBlocks { all })?;
    let mut rows = Vec::new();
    while let Some(reply) = conversation.next()? {
        match reply {
            Reply::Block(block) if as_json => terminal::json(&block)?,
            Reply::Block(block) => rows.extend(show::send_block(&block, now())),
            other => return Err(refusal(other)),
        }
    }
    match rows.len() {
        _ if as_json => {}
        0 => terminal::line("nobody's sending is blocked")?,
        _ => terminal::text(&show::table(show::SEND_BLOCK, &rows))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn never(socket: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut conversation = Conversation::begin(socket, &Request::NeverList)?;
    let mut rows = Vec::new();
    while let Some(reply) = conversation.next()? {
        match reply {
            Reply::Never(entry) if as_json => terminal::json(&entry)?,
            Reply::Never(entry) => rows.push(vec![
                Subject::Network(entry.net).to_string(),
                entry.until.map_or_else(|| "always".to_owned(), show::clock),
                entry.by.clone(),
                entry.reason.clone(),
            ]),
            other => return Err(refusal(other)),
        }
    }
    if !as_json {
        terminal::text(&show::table(&["network", "until", "by", "reason"], &rows))?;
    }
    Ok(ExitCode::SUCCESS)
}
