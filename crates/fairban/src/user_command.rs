//! `fairban user`: who can sign in to the administrator's pages.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

use crate::cli::UserCommand;
use crate::control::client::{Conversation, refusal};
use crate::control::{AccessWish, Reply, Request, SOCKET};
use crate::{show, terminal};

/// What a daemon answers to a wish about users and tokens.
pub(crate) fn ask(socket: &Path, wish: AccessWish) -> anyhow::Result<Vec<Value>> {
    let mut conversation = Conversation::begin(socket, &Request::Access(wish))?;
    let mut values = Vec::new();
    while let Some(reply) = conversation.next()? {
        match reply {
            Reply::Data(value) => values.push(value),
            other => return Err(refusal(other)),
        }
    }
    Ok(values)
}

/// A field of an answer as text that steers no terminal.
pub(crate) fn field(value: &Value, name: &str) -> String {
    match &value[name] {
        Value::String(text) => show::safe_line(text),
        Value::Array(list) => {
            list.iter().map(|one| show::safe_line(one.as_str().unwrap_or_default())).collect::<Vec<_>>().join(" ")
        }
        Value::Bool(true) => "yes".to_owned(),
        Value::Null | Value::Bool(false) => "-".to_owned(),
        other => other.to_string(),
    }
}

/// One line each, or as JSON.
pub(crate) fn list(values: &[Value], fields: &[&str], as_json: bool) -> anyhow::Result<ExitCode> {
    for value in values {
        if as_json {
            terminal::json(value)?;
        } else {
            let fields: Vec<String> = fields.iter().map(|name| field(value, name)).collect();
            terminal::line(&fields.join("  "))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn run(command: UserCommand, socket: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let socket = socket.unwrap_or_else(|| PathBuf::from(SOCKET));
    match command {
        UserCommand::Link { name, role, domains, time } => {
            let seconds = time.map(|time| time.as_secs().max(1));
            for told in ask(&socket, AccessWish::Link { user: name, role, domains, seconds })? {
                terminal::line(&format!(
                    "Open this link, which works once, until {}:\n  {}",
                    field(&told, "expires"),
                    field(&told, "link")
                ))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        UserCommand::List { json } => {
            let users = ask(&socket, AccessWish::Users)?;
            list(&users, &["name", "role", "domains", "signed_in"], json)
        }
        UserCommand::Role { name, role, domains } => {
            list(&ask(&socket, AccessWish::SetRole { name, role, domains })?, &["message"], false)
        }
        UserCommand::SignOut { name } => list(&ask(&socket, AccessWish::SignOut { name })?, &["message"], false),
        UserCommand::Remove { name } => list(&ask(&socket, AccessWish::RemoveUser { name })?, &["message"], false),
    }
}
