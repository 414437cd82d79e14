//! `fairban fleet`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use fairban_fleet::{Settings, State};
use fairban_types::Time;
use toml_edit::{DocumentMut, Item, Table, value};

use crate::cli::FleetCommand;
use crate::control::client::{Conversation, act, refusal};
use crate::control::{Reply, Request, SOCKET};
use crate::{show, terminal};

pub(crate) fn run(command: FleetCommand, socket: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let socket = socket.unwrap_or_else(|| PathBuf::from(SOCKET));
    match command {
        FleetCommand::Status { json } => status(&socket, json),
        FleetCommand::Join { url, config } => join(&url, &config),
        FleetCommand::Leave { config } => leave(&config),
        FleetCommand::Accept { node } => act(&socket, &Request::FleetAccept { node }),
    }
}

fn status(socket: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut conversation = Conversation::begin(socket, &Request::Status)?;
    let fleet = match conversation.next()? {
        Some(Reply::Status(status)) => status.fleet,
        Some(other) => return Err(refusal(other)),
        None => None,
    };
    let Some(fleet) = fleet else {
        terminal::line("This node is in no fleet: see `fairban fleet join`.")?;
        return Ok(ExitCode::FAILURE);
    };
    if as_json {
        terminal::line(&serde_json::to_string(&fleet)?)?;
    } else {
        terminal::text(&show::fleet::status(&fleet, Time::from(std::time::SystemTime::now())))?;
    }
    Ok(if fleet.state == State::Alone { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn join(url: &str, config: &Path) -> anyhow::Result<ExitCode> {
    Settings::new(url, "").check()?;
    change(config, |document| {
        let fleet = document.entry("fleet").or_insert_with(|| Item::Table(Table::new()));
        fleet["url"] = value(url);
    })?;
    terminal::line(&format!(
        "[fleet] url is set in {}. Restart the daemon to join; then `fairban fleet status` shows the others.",
        config.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn leave(config: &Path) -> anyhow::Result<ExitCode> {
    change(config, |document| {
        if let Some(fleet) = document.get_mut("fleet").and_then(Item::as_table_like_mut) {
            fleet.remove("url");
        }
    })?;
    terminal::line(&format!(
        "[fleet] url is taken out of {}. Restart the daemon to leave; blocks that it has stay until their time is over.",
        config.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Changes the file beside it, and puts it in place only if the daemon would take it.
fn change(path: &Path, change: impl FnOnce(&mut DocumentMut)) -> anyhow::Result<()> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        read => read.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let mut document: DocumentMut = text.parse().with_context(|| format!("cannot read {}", path.display()))?;
    change(&mut document);
    let fresh = path.with_extension("toml.new");
    std::fs::write(&fresh, document.to_string()).with_context(|| format!("cannot write {}", fresh.display()))?;
    if let Ok(before) = std::fs::metadata(path) {
        std::fs::set_permissions(&fresh, before.permissions())?;
    }
    if let Err(error) = fairban_config::Config::load(&fresh) {
        std::fs::remove_file(&fresh)?;
        return Err(error).with_context(|| format!("{} was not changed", path.display()));
    }
    std::fs::rename(&fresh, path).with_context(|| format!("cannot replace {}", path.display()))
}
