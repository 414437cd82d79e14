//! A server of the test's own: Debian's redis-server, in a folder that goes away, ended by its id.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub(crate) struct Server {
    child: Option<Child>,
    folder: tempfile::TempDir,
    options: Vec<String>,
}

impl Server {
    /// `None`: this machine has no redis-server, and the test has nothing to say.
    pub(crate) fn start(options: &[&str]) -> Option<Server> {
        if Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            eprintln!("skipped: no redis-server here (apt-get install redis-server)");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server = Server { child: None, folder, options };
        server.begin();
        Some(server)
    }

    fn socket(&self) -> String {
        self.folder.path().join("s").display().to_string()
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket())
    }

    pub(crate) fn begin(&mut self) {
        let child = Command::new("redis-server")
            .args(["--port", "0", "--unixsocket", &self.socket(), "--save", "", "--appendonly", "no", "--dir"])
            .arg(self.folder.path())
            .args(&self.options)
            .stdout(Stdio::null())
            .spawn();
        self.child = Some(child.unwrap());
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::os::unix::net::UnixStream::connect(self.socket()).is_err() {
            assert!(Instant::now() < deadline, "redis-server does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Has it write down what it knows now: when it is ended and begun again, that is what it knows.
    pub(crate) fn save(&self) {
        let saved = Command::new("redis-cli").args(["-s", &self.socket(), "SAVE"]).output().unwrap();
        assert!(saved.status.success());
    }

    /// Asks it by hand.
    pub(crate) fn ask(&self, words: &[&str]) -> String {
        let answer = Command::new("redis-cli").args(["--raw", "-s", &self.socket()]).args(words).output().unwrap();
        assert!(answer.status.success());
        String::from_utf8_lossy(&answer.stdout).trim().to_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.child.as_ref().unwrap().id();
        kill(Pid::from_raw(i32::try_from(id).unwrap()), signal).unwrap();
    }

    /// Ends it at once, with all that it knew.
    pub(crate) fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
