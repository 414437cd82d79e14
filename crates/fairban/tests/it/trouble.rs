//! What goes wrong around a daemon: other daemons, damaged files, full disks, unreadable logs.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::sys::signal::Signal;

use crate::node::{Node, until};

/// Runs a second daemon, which must end by itself.
fn second(node: &Node, config: &Path) -> Output {
    node.command().arg("run").arg("--config").arg(config).stderr(Stdio::piped()).output().unwrap()
}

#[test]
fn a_second_daemon_is_refused() {
    let node = Node::start("");
    node.attack("alice@example.test", "198.51.100.7");
    let config = node.path("second.toml");
    let (store, socket) = (node.path("store"), node.path("control.sock"));
    for (store, socket, words) in [
        (node.path("other"), socket.clone(), "a daemon is already running on"),
        (store.clone(), node.path("other.sock"), "is Fairban already running on it?"),
    ] {
        let text = format!(
            "[store]\npath = \"{}\"\n[control]\nsocket = \"{}\"\n[enforce]\nmode = \"observe\"\n",
            store.display(),
            socket.display()
        );
        std::fs::write(&config, text).unwrap();
        let output = second(&node, &config);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(words), "{said}");
    }
    assert!(!node.path("other.sock").exists(), "a refused daemon leaves no socket");
    assert_eq!(node.json(&["blocks"]).len(), 1, "the first one goes on");
}

#[test]
fn a_damaged_database_is_moved_aside() {
    let mut node = Node::start("");
    node.attack("alice@example.test", "198.51.100.7");
    node.end(Signal::SIGKILL);
    std::fs::write(node.path("store/fairban.db"), "this is no database".repeat(1000)).unwrap();
    let _ = std::fs::remove_file(node.path("store/fairban.db-wal"));
    node.run();
    assert!(node.stderr().contains("the database is damaged and was moved aside"), "{}", node.stderr());
    let names = std::fs::read_dir(node.path("store")).unwrap().map(|entry| entry.unwrap().file_name());
    let aside: Vec<_> = names.filter(|name| name.to_string_lossy().contains("damaged")).collect();
    assert!(!aside.is_empty());
    until("the log is read again", || (!node.json(&["blocks"]).is_empty()).then_some(()));
}

#[test]
fn a_source_that_cannot_be_read_says_what_to_do() {
    let node = Node::idle("");
    let folder = node.path("folder.log");
    std::fs::create_dir(&folder).unwrap();
    node.configure(&format!(
        "[[source]]\nfile = \"{}\"\n[[source]]\nfile = \"{}\"\n",
        folder.display(),
        node.path("mail.log").display()
    ));
    let mut node = node;
    node.run();
    let said = until("the status tells of it", || {
        let said = node.fairban(&["status"]);
        (said.status == 1).then_some(said)
    });
    assert!(said.out.contains("PROBLEM: ") && said.out.contains("folder.log is not a plain file"), "{}", said.out);
    node.attack("alice@example.test", "198.51.100.7");
}

#[test]
fn the_control_socket_is_for_its_group_only() {
    let group = nix::unistd::Group::from_gid(nix::unistd::getegid()).unwrap().unwrap().name;
    let node = Node::idle("");
    let socket = node.path("control.sock");
    node.configure(&format!("[control]\nsocket = \"{}\"\ngroup = \"{group}\"\n", socket.display()));
    let mut node = node;
    node.run();
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o007, 0, "closed to others");
    let text = format!("[control]\nsocket = \"{}x\"\ngroup = \"no-such-group\"\n", socket.display());
    let config = node.path("second.toml");
    std::fs::write(&config, format!("{text}[store]\npath = \"{}\"\n", node.path("other").display())).unwrap();
    let output = second(&node, &config);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("there is no group 'no-such-group'"));
}

/// A disk so small that it can be filled.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn new(at: PathBuf) -> Result<Self, String> {
        std::fs::create_dir_all(&at).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs"]).arg(&at).output();
        match mount {
            Ok(output) if output.status.success() => Ok(SmallDisk(at)),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn fill(&self) {
        let _ = std::fs::write(self.0.join("filler"), vec![1; 48 << 20]);
    }

    fn clear(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_stops_no_decision() {
    let mut node = Node::idle("");
    let disk = match SmallDisk::new(node.path("store")) {
        Ok(disk) => disk,
        Err(reason) => {
            eprintln!("skipped: a small disk cannot be mounted here: {reason}");
            return;
        }
    };
    node.run();
    node.attack("alice@example.test", "198.51.100.7");
    disk.fill();
    // More than the room that is left in what the database has taken already.
    for number in 0..3000 {
        node.fail(&format!("{}{number}", "x".repeat(200)), &format!("198.18.{}.{}", number / 250, number % 250 + 1));
    }
    let said = until("the status tells of it", || {
        let said = node.fairban(&["status"]);
        said.out.contains("no room left").then_some(said)
    });
    assert_eq!(said.status, 1, "{said:?}");
    let refused = node.fairban(&["block", "203.0.113.7"]);
    assert!(refused.status == 1 && refused.err.contains("cannot be stored"), "{refused:?}");
    disk.clear();
    until("all is stored", || (node.fairban(&["status"]).status == 0).then_some(()));
    until("nothing was lost", || (node.events() == 3005).then_some(()));
    node.end(Signal::SIGKILL);
    node.run();
    assert_eq!(node.json(&["blocks", "203.0.113.7"]).len(), 1, "what was decided meanwhile is durable now");
    node.end(Signal::SIGTERM);
    drop(disk);
}
