//! `fairban token`: what programs show to the API.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::TokenCommand;
use crate::control::{AccessWish, SOCKET};
use crate::terminal;
use crate::user_command::{ask, field, list};

pub(crate) fn run(command: TokenCommand, socket: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let socket = socket.unwrap_or_else(|| PathBuf::from(SOCKET));
    match command {
        TokenCommand::Create { scope, name, domains, expires, json } => {
            let seconds = expires.map(|time| time.as_secs().max(1));
            for made in ask(&socket, AccessWish::MakeToken { name, scope, domains, seconds })? {
                // Alone on its line, so that a script can take it.
                if json { terminal::json(&made)? } else { terminal::line(&field(&made, "token"))? }
            }
            Ok(ExitCode::SUCCESS)
        }
        TokenCommand::List { json } => {
            let tokens = ask(&socket, AccessWish::Tokens)?;
            list(&tokens, &["id", "role", "domains", "name", "expires", "used"], json)
        }
        TokenCommand::Revoke { id } => list(&ask(&socket, AccessWish::RevokeToken { id })?, &["message"], false),
    }
}
