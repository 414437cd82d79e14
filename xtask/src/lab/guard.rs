//! Fairban in the lab: its configuration, its process, and questions to it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::asking::fairban_toml;
use super::clock;
use super::mail_log;
use super::net::Net;
use crate::process::{Daemon, output, target, wait_for};

/// Where the explainer listens.
pub(crate) const EXPLAINER: u16 = 4626;
/// The host of the administrator's pages, which have TLS of their own, and their address.
pub(crate) const WEB_HOST: &str = "fairban.example.test";
pub(crate) const WEB: &str = "https://fairban.example.test:8625";
/// Where the portal listens, in the open: the lab has no reverse proxy.
pub(crate) const PORTAL: &str = "http://10.99.0.1:8626";

/// How Fairban is to be run.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The never-block list.
    pub never: Vec<&'static str>,
    /// Whether it may change the kernel's sets.
    pub may_change_kernel: bool,
    /// The program.
    pub program: PathBuf,
    /// Whether the mail servers ask it.
    pub asking: Asking,
    /// Who serves SMTP.
    pub mta: Mta,
    /// Whether blocked clients are told why by the explainer.
    pub explains: bool,
    /// Whether there is a self-service portal.
    pub portal: bool,
    /// Whether there are the administrator's pages.
    pub web: bool,
    /// Whether people are told by mail.
    pub notices: bool,
    /// The profile, if it is not the built-in one.
    pub profile: &'static str,
    /// Whether Dovecot logs digests of wrong passwords.
    pub digests: bool,
    /// What the log of mail holds from before Fairban was there.
    pub history: fn() -> String,
    /// By how many seconds its clock is ahead.
    pub clock_ahead_secs: i64,
}

/// Whether mail servers ask Fairban before they let anybody sign in or send, and how Postfix reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    /// Fairban knows what the logs tell.
    Never,
    /// At an address.
    Tcp,
    /// Through a socket in the file system.
    Unix,
}

/// A server of SMTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mta {
    /// Postfix, which lets Dovecot check passwords.
    Postfix,
    /// Exim, which checks passwords itself.
    Exim,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            never: Vec::new(),
            may_change_kernel: true,
            program: target().join("debug/fairban"),
            asking: Asking::Never,
            mta: Mta::Postfix,
            explains: false,
            portal: false,
            web: false,
            notices: false,
            profile: "fairban",
            digests: true,
            history: String::new,
            clock_ahead_secs: 0,
        }
    }
}

impl Setup {
    /// Dovecot and Postfix ask.
    pub(crate) fn asking() -> Setup {
        Setup { asking: Asking::Tcp, ..Setup::default() }
    }

    /// Nobody asks, and blocked clients are told why by the explainer.
    pub(crate) fn explaining() -> Setup {
        Setup { explains: true, ..Setup::default() }
    }

    /// Counts as most do today, without digests; the blocked are told why, and may let themselves out.
    pub(crate) fn portal() -> Setup {
        Setup { portal: true, notices: true, profile: "autoban", digests: false, ..Setup::explaining() }
    }

    /// Nobody asks, and there are the administrator's pages.
    pub(crate) fn web() -> Setup {
        Setup { web: true, ..Setup::default() }
    }

    /// Dovecot and Exim ask.
    pub(crate) fn exim_asking() -> Setup {
        Setup { mta: Mta::Exim, ..Setup::asking() }
    }
}

/// Fairban's answer to a command.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// The exit status; -1 if a signal ended it.
    pub status: i32,
    /// What it wrote.
    pub text: String,
    /// What it complained about.
    pub complaint: String,
}

/// Fairban, running or not.
#[derive(Debug)]
pub(crate) struct Fairban {
    dir: PathBuf,
    setup: Setup,
    daemon: Option<Daemon>,
}

impl Fairban {
    /// Writes the configuration; starts nothing.
    pub(crate) fn new(dir: &Path, setup: Setup) -> Result<Fairban> {
        let fairban = Fairban { dir: dir.to_owned(), setup, daemon: None };
        fairban.write_config(&fairban.config_text())?;
        Ok(fairban)
    }

    /// The program.
    pub(crate) fn program(&self) -> &Path {
        &self.setup.program
    }

    /// The control socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    /// The configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.dir.join("fairban.toml")
    }

    /// What it wrote to its own log so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.join("fairban.out")).unwrap_or_default()
    }

    /// Replaces the configuration file.
    pub(crate) fn write_config(&self, text: &str) -> Result<()> {
        fs::write(self.config(), text).context("cannot write Fairban's configuration")
    }

    /// The configuration that the lab gives it.
    pub(crate) fn config_text(&self) -> String {
        let dir = self.dir.display();
        format!(
            "profile = {:?}
never = {:?}

[node]
name = \"lab\"

[store]
path = \"{dir}/store\"

[control]
socket = \"{dir}/control.sock\"

[[source]]
file = \"{dir}/dovecot.log\"

[[source]]
file = \"{dir}/{mail}\"

[enforce]
mode = \"nftables\"
reconcile_every = \"10s\"
{asking}{explain}{portal}{web}{notices}",
            self.setup.profile,
            self.setup.never,
            mail = mail_log(self.setup.mta),
            asking = fairban_toml(&self.dir, &self.setup),
            explain = if self.setup.explains { explain_toml(&self.dir) } else { String::new() },
            portal = if self.setup.portal { portal_toml(&self.dir) } else { String::new() },
            web = if self.setup.web { web_toml(&self.dir) } else { String::new() },
            notices = if self.setup.notices { notices_toml(&self.dir) } else { String::new() },
        )
    }

    /// Starts it beside the mail server, and waits until it answers.
    pub(crate) fn start(&mut self, net: &Net) -> Result<()> {
        let program = self.program();
        anyhow::ensure!(program.exists(), "{} is missing: run `cargo build -p fairban`", program.display());
        let mut command = if self.setup.may_change_kernel {
            Command::new(program)
        } else {
            let mut without = Command::new("setpriv");
            without.args(["--bounding-set", "-net_admin", "--inh-caps", "-net_admin", "--"]).arg(program);
            without
        };
        command.arg("run").arg("--config").arg(self.config());
        if self.setup.clock_ahead_secs != 0 {
            clock::set(&mut command, self.setup.clock_ahead_secs)?;
        }
        let log = self.dir.join("fairban.out");
        self.daemon = Some(net.on_server(|| Daemon::start("fairban", &mut command, &log))?);
        wait_for("Fairban to answer `status`", Duration::from_secs(20), || {
            if let Some(status) = self.daemon.as_mut().map(Daemon::ended).transpose()?.flatten() {
                bail!("Fairban ended at once: {status}\n{}", self.log());
            }
            // 1: it runs, and has a problem to tell of.
            Ok(matches!(self.ask(&["status"])?.status, 0 | 1).then_some(()))
        })
    }

    fn daemon(&mut self) -> Result<&mut Daemon> {
        self.daemon.as_mut().context("Fairban does not run")
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.daemon()?.kill()?;
        self.daemon = None;
        Ok(())
    }

    /// Asks it to end.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let status = self.daemon()?.stop()?;
        self.daemon = None;
        anyhow::ensure!(status.success(), "Fairban ended with {status}\n{}", self.log());
        Ok(())
    }

    /// Takes everything that it made out of the kernel, while it does not run.
    pub(crate) fn flush(&self, net: &Net) -> Result<()> {
        let mut command = Command::new(self.program());
        command.args(["run", "--flush", "--config"]).arg(self.config());
        net.on_server(|| output(&mut command)).map(drop)
    }

    /// The most memory that it has held so far.
    pub(crate) fn memory_kib(&self) -> Result<u64> {
        let pid = self.daemon.as_ref().context("Fairban does not run")?.pid();
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let most = most.and_then(|most| most.split_whitespace().next()).context("the kernel does not tell")?;
        Ok(most.parse()?)
    }

    /// Makes it stand still, or go on.
    pub(crate) fn freeze(&mut self, frozen: bool) -> Result<()> {
        self.daemon()?.signal(if frozen { Signal::SIGSTOP } else { Signal::SIGCONT })
    }

    /// Makes it read its configuration again.
    pub(crate) fn reload(&mut self) -> Result<()> {
        self.daemon()?.signal(Signal::SIGHUP)
    }

    /// Runs a command against the daemon, whatever comes of it.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Result<Told> {
        let output = Command::new(self.program())
            .arg("--control")
            .arg(self.socket())
            .args(arguments)
            .output()
            .context("cannot start fairban")?;
        Ok(Told {
            status: output.status.code().unwrap_or(-1),
            text: String::from_utf8_lossy(&output.stdout).into_owned(),
            complaint: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs a command that must succeed, and returns what it wrote.
    pub(crate) fn tell(&self, arguments: &[&str]) -> Result<String> {
        let told = self.ask(arguments)?;
        anyhow::ensure!(
            told.status == 0,
            "`fairban {}` ended with {}: {}{}",
            arguments.join(" "),
            told.status,
            told.complaint,
            told.text
        );
        Ok(told.text)
    }

    /// The objects that a listing command writes, be it as lines or as one list.
    pub(crate) fn list(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let text = self.tell(&[arguments, &["--json"]].concat())?;
        let mut all = Vec::new();
        for value in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
            match value.with_context(|| format!("`fairban {}` wrote no JSON: {text}", arguments.join(" ")))? {
                Value::Array(values) => all.extend(values),
                other => all.push(other),
            }
        }
        Ok(all)
    }

    /// The subjects of the blocks in force.
    pub(crate) fn blocked(&self) -> Result<BTreeSet<String>> {
        let blocks = self.list(&["blocks"])?;
        Ok(blocks.iter().filter_map(|block| block["subject"].as_str().map(str::to_owned)).collect())
    }
}

/// With the certificate of the mail server.
fn explain_toml(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "
[explain]
enabled = true
port = {EXPLAINER}
certificate = \"{dir}/cert.pem\"
key = \"{dir}/key.pem\"
languages = [\"en\", \"de\"]
name = \"mail.example.test\"
"
    )
}

fn portal_toml(dir: &Path) -> String {
    let (listen, dir) = (PORTAL.trim_start_matches("http://"), dir.display());
    format!(
        "
[portal]
listen = \"{listen}\"
url = \"{PORTAL}\"
brand = \"Example Mail\"
contact = \"support@example.test\"
password_url = \"https://mail.example.test/password\"
default_domain = \"example.test\"

[portal.imap]
host = \"10.99.0.1\"
security = \"tls\"
name = \"mail.example.test\"
authority = \"{dir}/cert.pem\"
"
    )
}

fn web_toml(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "
[web]
listen = \"10.99.0.1:8625\"
url = \"{WEB}\"
tls_certificate = \"{dir}/cert.pem\"
tls_key = \"{dir}/key.pem\"
"
    )
}

/// By the lab's own Postfix.
fn notices_toml(dir: &Path) -> String {
    format!(
        "
[notices]
relay = \"10.99.0.1\"
port = 25
security = \"starttls\"
authority = \"{}/cert.pem\"
from = \"Fairban <fairban@example.test>\"
administrator = \"dave@example.test\"
",
        dir.display()
    )
}

/// Empties the kernel's packet filter, as a careless administrator might.
pub(crate) fn empty_kernel(net: &Net) -> Result<()> {
    net.on_server(|| output(Command::new("nft").args(["flush", "ruleset"]))).map(drop)
}

/// The tables of the kernel's packet filter beside the mail server.
pub(crate) fn tables(net: &Net) -> Result<String> {
    net.on_server(|| output(Command::new("nft").args(["list", "tables"])))
}

/// The addresses and networks in the kernel's sets beside the mail server.
pub(crate) fn in_kernel(net: &Net) -> Result<BTreeSet<String>> {
    let text = net.on_server(|| output(Command::new("nft").args(["-j", "list", "ruleset"])))?;
    let ruleset: Value = serde_json::from_str(&text).context("nft wrote no JSON")?;
    let mut found = BTreeSet::new();
    for set in ruleset["nftables"].as_array().into_iter().flatten().filter_map(|object| object.get("set")) {
        // What a set of exceptions or ports holds is not blocked; blocks are addresses that carry a drop.
        let is_address = set["type"].as_str().is_some_and(|kind| kind.ends_with("_addr"));
        // The kernel itself adds to these: who was explained to of late.
        let is_pace = set["name"].as_str().is_some_and(|name| name.starts_with("pace"));
        if !is_address || is_pace {
            continue;
        }
        for element in set["elem"].as_array().into_iter().flatten() {
            found.extend(element_text(element));
        }
    }
    Ok(found)
}

fn element_text(element: &Value) -> Option<String> {
    if let Some(inner) = element.get("elem") {
        return element_text(&inner["val"]);
    }
    if let Some(prefix) = element.get("prefix") {
        return Some(format!("{}/{}", prefix["addr"].as_str()?, prefix["len"].as_u64()?));
    }
    if let Some(range) = element.get("range") {
        return Some(format!("{}-{}", range[0].as_str()?, range[1].as_str()?));
    }
    element.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::element_text;

    #[test]
    fn reads_what_nft_writes() {
        for (element, text) in [
            (json!("192.0.2.7"), "192.0.2.7"),
            (json!({"elem": {"val": "192.0.2.7", "timeout": 600, "expires": 590}}), "192.0.2.7"),
            (json!({"elem": {"val": {"prefix": {"addr": "2001:db8::", "len": 64}}, "expires": 5}}), "2001:db8::/64"),
            (json!({"range": ["192.0.2.1", "192.0.2.5"]}), "192.0.2.1-192.0.2.5"),
        ] {
            assert_eq!(element_text(&element).as_deref(), Some(text));
        }
    }
}
