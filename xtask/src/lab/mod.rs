//! The test lab: a real mail server, Fairban beside it, and clients with addresses of their own, on one machine and
//! without touching its network or its files.

mod asking;
pub(crate) mod backbone;
pub(crate) mod browser;
pub(crate) mod client;
mod clock;
pub(crate) mod commands;
mod exim;
pub(crate) mod guard;
pub(crate) mod net;
pub(crate) mod node;
mod servers;
pub(crate) mod smtp;
pub(crate) mod tls;
pub(crate) mod valkey;

use std::fs::{self, File, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::process::{Daemon, wait_for};
use client::{Answer, Idle, Try, Way};
use guard::{Fairban, Mta, Setup};
use net::Net;
use smtp::Session;

/// The ports of the mail server that clients can reach.
pub(crate) const PORTS: [u16; 8] = [25, 587, 465, 143, 993, 110, 995, 4190];

/// The log of mail, below the lab's folder.
fn mail_log(mta: Mta) -> &'static str {
    match mta {
        Mta::Postfix => "mail.log",
        Mta::Exim => exim::LOG,
    }
}

/// Everything that runs. Fields go in this order: first who watches, then who is watched, then the ground.
#[derive(Debug)]
pub(crate) struct Lab {
    /// Fairban.
    pub fairban: Fairban,
    dovecot: Daemon,
    mta: Daemon,
    /// The namespaces.
    pub net: Net,
    dir: TempDir,
}

impl Lab {
    /// Starts everything, and waits until each part answers.
    pub(crate) fn start(setup: Setup) -> Result<Lab> {
        let net = Net::new()?;
        let dir = tempfile::Builder::new().prefix(&format!("{}-", net.name())).tempdir()?;
        // The servers' own users must get in.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
        servers::queue(&dir.path().join("postfix"))?;
        let dovecot = servers::start_dovecot(&net, dir.path(), &setup)?;
        let history = (setup.history)();
        if !history.is_empty() {
            fs::write(dir.path().join(mail_log(setup.mta)), history)?;
        }
        let mta = match setup.mta {
            Mta::Postfix => servers::start_postfix(&net, dir.path(), &setup)?,
            Mta::Exim => exim::start_exim(&net, dir.path(), &setup)?,
        };
        let fairban = Fairban::new(dir.path(), setup)?;
        let mut lab = Lab { fairban, dovecot, mta, net, dir };
        lab.wait_for_servers()?;
        lab.fairban.start(&lab.net)?;
        Ok(lab)
    }

    /// The folder with all files of the lab.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Who serves SMTP.
    pub(crate) fn mta(&self) -> &'static str {
        self.mta.name()
    }

    fn wait_for_servers(&mut self) -> Result<()> {
        // A client that never does anything else, so that its connections cannot matter to a test.
        let from: IpAddr = "198.51.100.254".parse()?;
        for port in PORTS {
            wait_for(&format!("port {port} to open"), Duration::from_secs(20), || {
                for daemon in [&mut self.dovecot, &mut self.mta] {
                    if let Some(status) = daemon.ended()? {
                        let name = daemon.name();
                        let said = fs::read_to_string(self.dir.path().join(format!("{name}.out"))).unwrap_or_default();
                        anyhow::bail!("{name} ended at once: {status}\n{said}");
                    }
                }
                Ok(self.net.connect(from, port, Duration::from_secs(1))?.is_ok().then_some(()))
            })?;
        }
        Ok(())
    }

    /// One try of a client.
    pub(crate) fn attempt(&self, from: &str, way: Way, name: &str, password: &str) -> Result<Answer> {
        let from = from.parse().with_context(|| format!("'{from}' is not an address"))?;
        client::attempt(&self.net, from, &Try { way, name: name.to_owned(), password: password.to_owned() })
    }

    /// A sign-in with the right password.
    pub(crate) fn sign_in(&self, from: &str, way: Way, account: &str) -> Result<Answer> {
        self.attempt(from, way, account, &format!("right-{account}"))
    }

    /// Whether the kernel drops the client's connections to the port.
    pub(crate) fn is_dropped(&self, from: &str, port: u16) -> Result<bool> {
        client::is_dropped(&self.net, from.parse()?, port)
    }

    /// A client that has connected to SMTP and said EHLO.
    pub(crate) fn smtp(&self, from: &str, port: u16, helo: &str) -> Result<Session> {
        Session::open(&self.net, from, port, helo)
    }

    /// What Dovecot has logged so far.
    pub(crate) fn dovecot_log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.dir().join("dovecot.log"))?).into_owned())
    }

    /// What the server of SMTP has logged so far.
    pub(crate) fn mail_log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.dir().join("mail.log"))?).into_owned())
    }

    /// A connection of the client's to IMAP, on which nothing happens yet.
    pub(crate) fn idle(&self, from: &str) -> Result<Idle> {
        Idle::open(&self.net, from.parse()?)
    }

    /// Moves Dovecot's log aside and makes it begin a new one, as logrotate does.
    pub(crate) fn rotate_dovecot_log(&self) -> Result<()> {
        self.move_aside("dovecot.log")?;
        self.dovecot.signal(Signal::SIGUSR1)
    }

    fn move_aside(&self, name: &str) -> Result<()> {
        let log = self.dir().join(name);
        let aside = (1..).map(|number| self.dir().join(format!("{name}.{number}"))).find(|path| !path.exists());
        Ok(fs::rename(log, aside.context("no name is free")?)?)
    }

    /// Moves Postfix's log aside and makes it begin a new one.
    pub(crate) fn rotate_postfix_log(&self) -> Result<()> {
        self.move_aside("mail.log")?;
        self.mta.signal(Signal::SIGHUP)
    }

    /// Copies Dovecot's log and empties it in place, as logrotate's `copytruncate` does.
    pub(crate) fn empty_dovecot_log(&self) -> Result<()> {
        let log = self.dir().join("dovecot.log");
        fs::copy(&log, self.dir().join("dovecot.log.copy"))?;
        File::options().write(true).open(&log)?.set_len(0)?;
        Ok(())
    }

    /// The last lines of every log, for a person who wants to know why a test failed.
    pub(crate) fn last_words(&self) -> String {
        let mut text = String::new();
        for name in ["fairban.out", "dovecot.log", "mail.log", exim::LOG] {
            let log = fs::read(self.dir().join(name)).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            if log.is_empty() {
                continue;
            }
            let lines: Vec<&str> = log.lines().collect();
            text.push_str(&format!("--- end of {name}, {} lines\n", lines.len()));
            for line in lines.iter().skip(lines.len().saturating_sub(15)) {
                text.push_str(&format!("{line}\n"));
            }
        }
        text
    }

    /// Fails unless all parts still run.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        ensure!(self.dovecot.ended()?.is_none(), "Dovecot has ended");
        ensure!(self.mta.ended()?.is_none(), "{} has ended", self.mta.name());
        Ok(())
    }
}
