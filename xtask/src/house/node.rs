//! The real program over a store, in observe mode, with its pages on a port of this machine.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::http::Client;
use crate::process::{Daemon, output, wait_for};

/// A large store is read for a while before the first answer.
const PATIENCE: Duration = Duration::from_secs(300);
const PASSWORD: &str = "blue tractor seven moons";

/// A daemon and where its pages are.
pub(super) struct Node {
    folder: PathBuf,
    program: PathBuf,
    pub(super) address: SocketAddr,
    daemon: Daemon,
}

impl Node {
    /// On the store in the folder, with this beside what every configuration here has.
    pub(super) fn start(program: &Path, folder: &Path, extra: &str) -> Result<Node> {
        // Free a moment ago, and nobody else here listens.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let place = folder.display();
        let config = format!(
            "{extra}\n[node]\nname = \"mx1\"\n[store]\npath = \"{place}/store\"\n[control]\nsocket = \"{place}/control.sock\"\n\
             [[source]]\nfile = \"{place}/mail.log\"\n[enforce]\nmode = \"observe\"\n[web]\nlisten = \"{address}\"\n"
        );
        fs::write(folder.join("fairban.toml"), config)?;
        fs::write(folder.join("mail.log"), "")?;
        let mut command = Command::new(program);
        command.arg("run").arg("--config").arg(folder.join("fairban.toml")).env_remove("FAIRBAN_CONTROL");
        let daemon = Daemon::start("fairban", &mut command, &folder.join("fairban.out"))?;
        let mut node = Node { folder: folder.to_owned(), program: program.to_owned(), address, daemon };
        wait_for("Fairban to answer", PATIENCE, || {
            if let Some(status) = node.daemon.ended()? {
                bail!("Fairban ended at once: {status}\n{}", node.log());
            }
            Ok(Client::new(node.address).get("/healthz").is_ok().then_some(()))
        })?;
        Ok(node)
    }

    /// What it wrote to its own log.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("fairban.out")).unwrap_or_default()
    }

    /// Waits until it does nothing for half a second.
    pub(super) fn until_idle(&self) -> Result<()> {
        let mut before = (Instant::now(), None);
        wait_for("Fairban to be idle", PATIENCE, || {
            if before.0.elapsed() < Duration::from_millis(500) {
                return Ok(None);
            }
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.daemon.pid()))?;
            // After the name, which may hold anything: user and system time, in hundredths of a second.
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
            let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
            let spent = ticks(11) + ticks(12);
            let (_, last) = std::mem::replace(&mut before, (Instant::now(), Some(spent)));
            Ok(last.is_some_and(|last: u64| spent - last <= 2).then_some(()))
        })
    }

    /// What a command against the daemon writes.
    pub(super) fn tell(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.arg("--control").arg(self.folder.join("control.sock")).args(arguments).env("TZ", "UTC");
        output(&mut command)
    }

    /// A token of this scope.
    pub(super) fn token(&self, arguments: &[&str]) -> Result<String> {
        let said = self.tell(&[&["token", "create", "--name", "measuring"], arguments].concat())?;
        Ok(said.trim().to_owned())
    }

    /// Somebody who is signed in.
    pub(super) fn sign_in(&self, arguments: &[&str]) -> Result<Client> {
        let said = self.tell(&[&["user", "link"], arguments].concat())?;
        let link = said.split("link=").nth(1).context("`fairban user link` told no link")?.trim().to_owned();
        let mut client = Client::new(self.address);
        let page = client.get(&format!("/set-up?link={link}"))?;
        let token = page.body.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        let token = token.context("the page has no form")?;
        // A store may know visitors of earlier runs.
        let letters: String = link.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
        let name = format!("user{}", letters.to_lowercase());
        let fields = [("token", token), ("link", &link), ("name", &name), ("password", PASSWORD), ("again", PASSWORD)];
        let answer = client.post_form("/set-up", &fields)?;
        ensure!(answer.status == 303, "nobody was signed in: {} {}", answer.status, answer.body);
        Ok(client)
    }

    /// Ends it in good order.
    pub(super) fn stop(mut self) -> Result<()> {
        let status = self.daemon.stop()?;
        ensure!(status.success(), "Fairban ended with {status}\n{}", self.log());
        Ok(())
    }
}
