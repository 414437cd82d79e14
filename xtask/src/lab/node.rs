//! A node of a fleet without a mail server: a log, Fairban, and something that answers at a port of mail.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{IpAddr, TcpListener};
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use fairban_types::Time;
use tempfile::TempDir;

use super::guard::{Fairban, Setup};
use super::net::{Net, SERVER_V4};
use super::valkey::Valkey;
use crate::process::wait_for;

/// The port that answers.
pub(crate) const IMAP: u16 = 143;

/// How a node is to be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted<'w> {
    /// By how many seconds its clock is ahead.
    pub clock_ahead_secs: i64,
    /// More of `[fleet]`.
    pub fleet: &'w str,
    /// Sections beside it.
    pub more: &'w str,
}

/// One node. Fields go in this order: first who watches, then the ground.
#[derive(Debug)]
pub(crate) struct Node {
    /// Fairban.
    pub fairban: Fairban,
    /// The namespaces.
    pub net: Net,
    /// Its name in the fleet.
    pub name: String,
    log: File,
    clock_ahead_secs: i64,
    _dir: TempDir,
}

impl Node {
    /// Starts it, and waits until it is in step with the others.
    pub(crate) fn start(valkey: &Valkey, program: &Path, name: &str, wanted: Wanted<'_>) -> Result<Node> {
        let net = Net::new()?;
        valkey.backbone.plug(&net)?;
        let dir = tempfile::Builder::new().prefix(net.name()).tempdir()?;
        for log in ["dovecot.log", "mail.log"] {
            fs::write(dir.path().join(log), "")?;
        }
        // Something that answers, so that silence can only come from the kernel.
        let listener = net.on_server(|| Ok(TcpListener::bind((SERVER_V4, IMAP))?))?;
        thread::spawn(move || listener.incoming().for_each(drop));
        let Wanted { clock_ahead_secs, fleet, more } = wanted;
        let setup = Setup { program: program.to_owned(), clock_ahead_secs, ..Setup::default() };
        let fairban = Fairban::new(dir.path(), setup)?;
        let config = fairban.config_text().replace("name = \"lab\"", &format!("name = \"{name}\""));
        fairban.write_config(&format!("{config}\n[fleet]\n{}{fleet}\n{more}", valkey.toml(name)))?;
        let log = File::options().append(true).open(dir.path().join("mail.log"))?;
        let mut node = Node { fairban, net, name: name.to_owned(), log, clock_ahead_secs, _dir: dir };
        node.begin()?;
        Ok(node)
    }

    /// Starts Fairban again, and waits until it is in step with the others.
    pub(crate) fn begin(&mut self) -> Result<()> {
        self.fairban.start(&self.net)?;
        self.until_in_step()
    }

    /// Waits until it is in step with the others.
    pub(crate) fn until_in_step(&self) -> Result<()> {
        wait_for(&format!("{} to be in step", self.name), Duration::from_secs(30), || {
            Ok((self.fairban.ask(&["fleet", "status"])?.status == 0).then_some(()))
        })
    }

    /// Waits until it knows that it is alone.
    pub(crate) fn until_alone(&self) -> Result<()> {
        wait_for(&format!("{} to say that it is alone", self.name), Duration::from_secs(30), || {
            Ok((self.fairban.ask(&["fleet", "status"])?.status == 1).then_some(()))
        })
    }

    /// A client fails so often to sign in, each time with another account.
    pub(crate) fn fail(&mut self, client: &str, times: usize) -> Result<()> {
        let now = Time::from_secs(Time::from(SystemTime::now()).secs() + self.clock_ahead_secs);
        let lines: String = (0..times).map(|number| failure(now, client, number)).collect();
        Ok(self.log.write_all(lines.as_bytes())?)
    }

    /// Adds lines to its log.
    pub(crate) fn write(&mut self, lines: &str) -> Result<()> {
        Ok(self.log.write_all(lines.as_bytes())?)
    }

    /// Whether the kernel drops a client here.
    pub(crate) fn is_dropped(&self, client: &str) -> Result<bool> {
        let client: IpAddr = client.parse()?;
        Ok(self.net.connect(client, IMAP, Duration::from_millis(100))?.is_err())
    }
}

/// A line of Postfix about a wrong password.
pub(crate) fn failure(now: Time, client: &str, number: usize) -> String {
    format!(
        "{now} mx postfix/submission/smtpd[{number}]: warning: unknown[{client}]: SASL LOGIN authentication failed: \
         (reason unavailable), sasl_username=account{number}-{client}\n"
    )
}
