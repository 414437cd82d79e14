//! A daemon of the real program in a folder of its own, with a log that tests write.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use fairban_types::Time;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// So long may a condition take to come true before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn json(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }
}

/// Runs the program with no daemon, and this on its standard input.
pub(crate) fn fairban(args: &[&str], input: &[u8]) -> Said {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fairban"))
        .args(args)
        .env_remove("FAIRBAN_CONTROL")
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read its input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    Said {
        status: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Looks again and again until there is something.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "this did not come true: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A folder with a configuration, a log and a daemon.
pub(crate) struct Node {
    folder: tempfile::TempDir,
    daemon: Option<Child>,
}

impl Node {
    /// With a running daemon whose configuration has this beside folder, socket and log.
    pub(crate) fn start(extra: &str) -> Self {
        let mut node = Node::idle(extra);
        node.run();
        node
    }

    /// Without a daemon yet.
    pub(crate) fn idle(extra: &str) -> Self {
        let node = Node { folder: tempfile::tempdir().unwrap(), daemon: None };
        node.configure(extra);
        File::create(node.path("mail.log")).unwrap();
        node
    }

    /// Writes the configuration: these keys first, then tables.
    pub(crate) fn configure(&self, extra: &str) {
        let has = |table: &str| extra.contains(table);
        let mut text = extra.to_owned();
        let folder = self.folder.path().display();
        for (table, line) in [
            ("[store]", format!("path = \"{folder}/store\"")),
            ("[enforce]", "mode = \"observe\"".to_owned()),
            ("[[source]]", format!("file = \"{folder}/mail.log\"")),
        ] {
            if !has(table) {
                text.push_str(&format!("\n{table}\n{line}\n"));
            }
        }
        if !has("[control]") {
            text.push_str(&format!("\n[control]\nsocket = \"{folder}/control.sock\"\n"));
        }
        std::fs::write(self.path("fairban.toml"), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fairban"));
        command.env("TZ", "UTC").env_remove("FAIRBAN_LOG").env_remove("FAIRBAN_CONTROL").stdin(Stdio::null());
        command
    }

    /// Starts the daemon and waits until it answers.
    pub(crate) fn run(&mut self) {
        let log = OpenOptions::new().create(true).append(true).open(self.path("stderr")).unwrap();
        let config = self.path("fairban.toml");
        let child = self.command().arg("run").arg("--config").arg(config).stderr(log).spawn().unwrap();
        self.daemon = Some(child);
        until("the daemon answers", || {
            let gone = self.daemon.as_mut().unwrap().try_wait().unwrap();
            assert!(gone.is_none(), "the daemon ended: {gone:?} {}", self.stderr());
            (self.fairban(&["status"]).status != 3).then_some(())
        });
    }

    /// What the daemon has said.
    pub(crate) fn stderr(&self) -> String {
        std::fs::read_to_string(self.path("stderr")).unwrap()
    }

    pub(crate) fn fairban(&self, args: &[&str]) -> Said {
        let socket = self.path("control.sock");
        let mut all = vec!["--control", socket.to_str().unwrap()];
        all.extend(args);
        fairban(&all, b"")
    }

    /// The answer to a command that must succeed.
    pub(crate) fn json(&self, args: &[&str]) -> Vec<Value> {
        let mut args = args.to_vec();
        args.push("--json");
        let said = self.fairban(&args);
        assert_eq!(said.status, 0, "{args:?}: {said:?}");
        said.json()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.daemon.as_ref().unwrap().id();
        kill(Pid::from_raw(i32::try_from(id).unwrap()), signal).unwrap();
    }

    /// Sends a signal that ends the daemon, and waits for its end.
    pub(crate) fn end(&mut self, with: Signal) {
        self.signal(with);
        self.daemon.take().unwrap().wait().unwrap();
    }

    /// Appends a line to the log as it is.
    pub(crate) fn write(&self, line: &[u8]) {
        append(&self.path("mail.log"), line);
    }

    /// One failed sign-in with a password of its own.
    pub(crate) fn fail(&self, account: &str, client: &str) {
        self.write(failure(account, client).as_bytes());
    }

    /// Enough failures for a block, and the wait for it.
    pub(crate) fn attack(&self, account: &str, client: &str) -> Value {
        (0..5).for_each(|_| self.fail(account, client));
        until("five failures make a block", || self.json(&["blocks", client]).into_iter().next())
    }

    /// How many events the log holds.
    pub(crate) fn events(&self) -> usize {
        self.json(&["events", "--limit", "1000000"]).len()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

fn append(path: &Path, line: &[u8]) {
    let mut log = OpenOptions::new().append(true).open(path).unwrap();
    log.write_all(&[line, b"\n"].concat()).unwrap();
}

/// A failed sign-in as Dovecot tells it, now, with a digest that no other has.
pub(crate) fn failure(account: &str, client: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    client.parse::<IpAddr>().unwrap();
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = Time::from(SystemTime::now());
    format!(
        "{now} mx dovecot: auth: passwd-file({account},{client},<s{number}>): Password mismatch (SHA1 of given \
         password: {number:06x})"
    )
}
