//! What a service manager is told.

use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::node::{Node, PATIENCE};

/// A daemon that does not outlive a test that fails.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_service_manager_is_told_ready_alive_and_ending() {
    let node = Node::idle("");
    let manager = UnixDatagram::bind(node.path("notify")).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    // A watchdog is meant for one process, by its id.
    let mut daemon = Ending(
        Command::new("sh")
            .args(["-c", "WATCHDOG_PID=$$ exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_fairban")])
            .arg("run")
            .arg("--config")
            .arg(node.path("fairban.toml"))
            .env("NOTIFY_SOCKET", node.path("notify"))
            .env("WATCHDOG_USEC", "10000000")
            .spawn()
            .unwrap(),
    );
    let next = |wanted: &str| {
        let mut told = [0; 256];
        loop {
            let len = manager.recv(&mut told).unwrap();
            let text = String::from_utf8_lossy(&told[..len]).into_owned();
            if text.lines().any(|line| line == wanted) {
                return text;
            }
            assert!(text.contains("WATCHDOG=1"), "{text}");
        }
    };
    assert!(next("READY=1").contains("STATUS=guarding"));
    assert_eq!(node.fairban(&["blocks"]).status, 0, "who is ready answers");
    next("WATCHDOG=1");
    kill(Pid::from_raw(i32::try_from(daemon.0.id()).unwrap()), Signal::SIGTERM).unwrap();
    next("STOPPING=1");
    assert!(daemon.0.wait().unwrap().success());
}
