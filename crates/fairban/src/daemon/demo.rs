//! `fairban run --demo`: the whole real pipeline on a simulated mail server under attack.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use fairban_config::{Config, SourceConfig};
use fairban_simulator::demo::Demo;
use fairban_types::{Action, Decision, Subject, Time, format_duration};
use tokio::sync::mpsc::unbounded_channel;

use super::{Setup, now, serve, sources};
use crate::show;
use crate::terminal::{self, Tone, tone};

/// The demo is the same each time.
const SEED: u64 = 7;
/// The demo's office, in which an old phone fails again and again.
const OFFICE: &str = "192.0.2.10";

/// What the demo has shown so far.
#[derive(Default)]
struct Shown {
    blocks: usize,
    guards: usize,
    blocks_of_office: usize,
}

pub(super) fn run(mut config: Config, socket: PathBuf, time: Option<Duration>) -> anyhow::Result<ExitCode> {
    let folder =
        tempfile::Builder::new().prefix("fairban-demo-").tempdir().context("cannot make a temporary folder")?;
    let log = folder.path().join("mail.log");
    let own_logs = if config.sources.is_empty() { super::machine_logs() } else { config.sources.clone() };
    // The configured socket belongs to a real daemon; the demo has one of its own unless one was named.
    let socket = if socket == config.control.socket { folder.path().join("control.sock") } else { socket };
    greet(&log, &own_logs, &socket)?;
    config.sources = own_logs;
    config.sources.push(SourceConfig::File { path: log.clone() });
    // Its pages too, on a free port of this machine's own.
    config.web.listen.get_or_insert(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
    let setup = Setup { config, config_file: None, socket, forgetful: true, observe: true };
    let shown = Arc::new(Mutex::new(Shown::default()));
    let showing = shown.clone();
    super::runtime()?.block_on(async {
        let (onlooker, mut decisions) = unbounded_channel::<Decision>();
        tokio::spawn(async move {
            while let Some(decision) = decisions.recv().await {
                showing.lock().unwrap_or_else(PoisonError::into_inner).take(&decision);
                if tell(&decision).is_err() {
                    return;
                }
            }
        });
        let writer = tokio::spawn(write(log, time));
        tokio::select! {
            served = serve::run(setup, Some(onlooker)) => served,
            written = writer => written?,
        }
    })?;
    let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
    terminal::text(&shown.farewell())?;
    Ok(ExitCode::SUCCESS)
}

impl Shown {
    fn take(&mut self, decision: &Decision) {
        let is_block = decision.action == Action::Block;
        self.blocks += usize::from(is_block);
        self.guards += usize::from(decision.action == Action::Guard);
        self.blocks_of_office += usize::from(is_block && decision.subject.to_string() == OFFICE);
    }

    fn farewell(&self) -> String {
        let (blocks, guards) = (show::counted(self.blocks, "block"), show::counted(self.guards, "guard"));
        let office = match self.blocks_of_office {
            0 => format!("The office {OFFICE} with its old phone was left alone.\n"),
            _ => String::new(),
        };
        format!(
            "\nThe demo is over: {blocks}, {guards}. {office}Its folder is gone, and nothing was changed on this \
             machine.\n\nNext, on your own mail server:\n  {0} replay /var/log/mail.log   what it would have done\n  \
             {0} check                      whether everything is in place\n  {0} run --observe              guard, but \
             only record\n",
            program()
        )
    }
}

/// The program as it was called, so that what is printed can be pasted.
fn program() -> String {
    let called = std::env::args().next().filter(|called| called.contains('/'));
    called.map_or_else(|| "fairban".to_owned(), |called| show::safe_line(&called))
}

fn greet(log: &Path, own: &[SourceConfig], socket: &Path) -> std::io::Result<()> {
    let program = program();
    let mut text = format!(
        "{}\nA simulated mail server writes {}, and the real Fairban reads it.\nAll addresses are from the ranges for \
         documentation, and nothing is dropped: the demo only observes.\n",
        tone("Fairban demo", Tone::Strong),
        log.display()
    );
    for source in own {
        text.push_str(&format!("Beside it, this machine's own {} is read.\n", sources::spec(source)));
    }
    text.push_str("\nTry in another terminal:\n");
    text.push_str(&format!("  export FAIRBAN_CONTROL={}\n", socket.display()));
    for (command, what) in [
        ("top", "watch it live"),
        ("blocks", "who is blocked, for how long, and why"),
        ("why grace@example.test", "why the owner of the old phone is not"),
        ("events --follow", "what the clients do"),
        ("never add 203.0.113.0/24", "never to block a network, whatever it does"),
        ("status", "how Fairban is"),
    ] {
        text.push_str(&format!("  {program} {command:<25}  {}\n", tone(what, Tone::Quiet)));
    }
    let zone = show::zone(now());
    text.push_str(&format!(
        "\nEverything happens within two minutes, and then again; Ctrl-C ends it. Times are {zone}.\n\n"
    ));
    terminal::text(&text)
}

/// The time of day.
fn time_of_day(time: Time) -> String {
    show::clock(time).split(' ').next_back().unwrap_or_default().to_owned()
}

fn tell(decision: &Decision) -> std::io::Result<()> {
    let subject = show::safe_line(&decision.subject.to_string());
    let what = match (decision.action, decision.until) {
        (Action::Expire, _) => return Ok(()),
        (Action::Release, _) => format!("RELEASE {subject}"),
        (action, until) => {
            let verb = if action == Action::Guard { "GUARD" } else { "BLOCK" };
            let time = until.map_or("permanently".to_owned(), |until| {
                format!("for {}", format_duration(until.since(decision.time)))
            });
            format!("{verb} {subject} {time}: {}", decision.diagnosis.in_words())
        }
    };
    terminal::line(&format!("{}  {}", time_of_day(decision.time), tone(&format!("→ {what}"), Tone::Alarm)))?;
    if !matches!(decision.action, Action::Block | Action::Guard) {
        return Ok(());
    }
    let because = match decision.threshold {
        0 => String::new(),
        threshold => format!("{} points of {threshold}; ", decision.score),
    };
    let (program, code) = (program(), decision.code);
    let release = match &decision.subject {
        Subject::Network(_) => format!("   or: {program} unblock {subject}"),
        Subject::Account(_) | Subject::Pair(..) | Subject::Sending(_) => String::new(),
    };
    terminal::line(&tone(&format!("            {because}try: {program} why {code}{release}"), Tone::Quiet))
}

/// Writes each line when it is due. Ends after the time, or never.
async fn write(path: PathBuf, time: Option<Duration>) -> anyhow::Result<()> {
    let mut log = OpenOptions::new().create(true).append(true).open(&path)?;
    let start = now();
    let end = time.map(|time| start.after(time));
    for step in Demo::new(SEED, start) {
        if let Some(end) = end.filter(|end| step.at > *end) {
            tokio::time::sleep(wait(end)).await;
            return Ok(());
        }
        tokio::time::sleep(wait(step.at)).await;
        if let Some(what) = &step.what {
            terminal::line(&format!("{}  {}", time_of_day(step.at), show::safe_line(what)))?;
        }
        log.write_all(step.line.as_bytes())?;
    }
    Ok(())
}

fn wait(until: Time) -> Duration {
    until.since(now())
}
