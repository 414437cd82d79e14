//! `fairban notify`: whether those who are to be told can be.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::NotifyArgs;
use crate::control::client::{Conversation, refusal};
use crate::control::{Reply, Request, SOCKET};
use crate::terminal;
use crate::user_command::field;

pub(crate) fn run(args: NotifyArgs, socket: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let socket = socket.unwrap_or_else(|| PathBuf::from(SOCKET));
    let mut conversation = Conversation::begin(&socket, &Request::NotifyTest { name: args.name })?;
    let mut all_told = true;
    while let Some(reply) = conversation.next()? {
        let Reply::Data(told) = reply else { return Err(refusal(reply)) };
        all_told &= told["told"] == true;
        if args.json {
            terminal::json(&told)?;
        } else {
            let fields: Vec<String> = ["name", "by", "outcome"].map(|name| field(&told, name)).into();
            terminal::line(&fields.join("  "))?;
        }
    }
    Ok(if all_told { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
