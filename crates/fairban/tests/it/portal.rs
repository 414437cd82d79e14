//! The self-service portal of a running daemon, with a real Dovecot that knows the passwords.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use fairban_store::{AuditEntry, Reader};
use serde_json::{Value, json};

use crate::node::{Node, until};

const OFFICE: &str = "198.51.100.7";

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A Dovecot that knows alice and bob; it ends with this.
struct Dovecot {
    child: Child,
    imap: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // Its master ends its children when asked, not when killed.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

impl Dovecot {
    fn start() -> Option<Dovecot> {
        let programs = ["/usr/sbin/dovecot", "/usr/local/sbin/dovecot"];
        let program = programs.into_iter().map(Path::new).find(|path| path.exists());
        let (Some(program), true) = (program, nix::unistd::geteuid().is_root()) else {
            eprintln!("SKIPPED: the portal was not tried, which needs dovecot and root");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let (dir, imap) = (folder.path(), free_port());
        let shown = dir.display();
        let config = format!(
            "base_dir = {shown}/run
state_dir = {shown}/state
instance_name = fairban-portal-test
log_path = {shown}/dovecot.log
protocols = imap
listen = 127.0.0.1
auth_failure_delay = 0
ssl = no
mail_location = maildir:{shown}/mail/%u
first_valid_uid = 5000
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
passdb {{
  driver = passwd-file
  args = username_format=%u {shown}/users
}}
userdb {{
  driver = static
  args = uid=5000 gid=5000 home={shown}/mail/%u
}}
"
        );
        std::fs::write(dir.join("dovecot.conf"), config).unwrap();
        std::fs::write(dir.join("users"), "alice@example.test:{PLAIN}right\nbob@example.test:{PLAIN}right\n").unwrap();
        std::fs::create_dir(dir.join("mail")).unwrap();
        chown(dir.join("mail"), Some(5000), Some(5000)).unwrap();
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new(program);
        let child = command.arg("-F").arg("-c").arg(dir.join("dovecot.conf")).stdin(Stdio::null()).spawn().unwrap();
        let mut dovecot = Dovecot { child, imap, _folder: folder };
        until("Dovecot listens", || {
            assert!(dovecot.child.try_wait().unwrap().is_none(), "dovecot ended");
            TcpStream::connect((Ipv4Addr::LOCALHOST, imap)).ok()
        });
        Some(dovecot)
    }
}

/// What a server answered.
struct Answer {
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> impl Iterator<Item = &str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The words on the page.
    fn text(&self) -> String {
        let parts = self.body.split('<').map(|part| part.rsplit('>').next().unwrap_or_default());
        parts.collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    fn says(&self, words: &str) -> &Self {
        assert!(self.text().contains(words), "no '{words}' in: {}\n{}", self.head, self.text());
        self
    }

    fn token(&self) -> String {
        let (_, rest) = self.body.split_once("name=\"token\" value=\"").unwrap_or_else(|| panic!("{}", self.body));
        rest.split('"').next().unwrap().to_owned()
    }
}

fn request(port: u16, head: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let length = body.len();
    write!(stream, "{head}Host: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
        .unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    let (head, body) = all.split_once("\r\n\r\n").unwrap();
    Answer { head: head.to_owned(), body: body.to_owned() }
}

/// A Dovecot elsewhere, that asks and reports.
struct Asker(u16);

impl Asker {
    fn say(&self, command: &str, mut what: Value) -> Value {
        what["remote"] = OFFICE.into();
        what["protocol"] = "imap".into();
        let head = format!("POST /?command={command} HTTP/1.1\r\nContent-Type: application/json\r\n");
        serde_json::from_str(&request(self.0, &head, &what.to_string()).body).unwrap()
    }

    /// Whether somebody may sign in from the office: a stranger, to whom nothing there is spared.
    fn may(&self) -> bool {
        self.say("allow", json!({ "login": "carol@example.test", "pwhash": "1" }))["status"] == 0
    }

    /// Enough failures for a block, and the wait for it.
    fn attack(&self, node: &Node, account: &str, salt: &str) -> Value {
        for number in 0..5 {
            let hash = format!("{salt}{number}");
            self.say("report", json!({ "login": account, "pwhash": hash, "session_id": hash, "success": false }));
        }
        until("five failures make a block", || node.json(&["blocks", OFFICE]).into_iter().next())
    }
}

/// Somebody in the office behind a reverse proxy on this machine.
struct Browser {
    port: u16,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn send(&mut self, line: &str, body: &str) -> Answer {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let head = format!(
            "{line} HTTP/1.1\r\nX-Forwarded-For: 192.0.2.99, {OFFICE}\r\nAccept-Language: en\r\nCookie: {cookies}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n"
        );
        let answer = request(self.port, &head, body);
        for line in answer.header("set-cookie") {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let to = answer.header("location").next().map(str::to_owned);
        match to {
            Some(to) => self.send(&format!("GET {to}"), ""),
            None => answer,
        }
    }

    fn sign_in(&mut self, account: &str, password: &str) -> Answer {
        let token = self.send("GET /", "").token();
        self.send("POST /sign-in", &format!("token={token}&account={account}&password={password}"))
    }
}

struct World {
    node: Node,
    asker: Asker,
    portal: u16,
    _dovecot: Dovecot,
}

impl World {
    fn start() -> Option<World> {
        let dovecot = Dovecot::start()?;
        let (asked, portal, imap) = (free_port(), free_port(), dovecot.imap);
        let node = Node::start(&format!(
            "[node]\nname = \"mx1\"\n[dovecot]\nlisten = \"127.0.0.1:{asked}\"\n[portal]\nlisten = \
             \"127.0.0.1:{portal}\"\ntrusted_proxies = [\"127.0.0.1\"]\ndefault_domain = \"example.test\"\n\
             [portal.imap]\nport = {imap}\n"
        ));
        let asker = Asker(asked);
        assert!(asker.may());
        Some(World { node, asker, portal, _dovecot: dovecot })
    }

    fn browser(&self) -> Browser {
        Browser { port: self.portal, cookies: BTreeMap::new() }
    }

    /// What owners did, newest first.
    fn audit(&self) -> Vec<AuditEntry> {
        let reader = Reader::open(&self.node.path("store")).unwrap();
        reader.audit(100, None).unwrap().into_iter().map(|audit| audit.entry).collect()
    }
}

#[test]
fn an_owner_sees_the_block_and_is_let_out() {
    let Some(world) = World::start() else { return };
    let block = world.asker.attack(&world.node, "alice@example.test", "a");
    let code = block["code"].as_str().unwrap();
    assert!(!world.asker.may());
    let mut browser = world.browser();
    browser.send("GET /blocked", "").says("blocked");
    browser.sign_in("alice@example.test", "wrong").says("is not right");
    assert!(!world.asker.may(), "a wrong password lets nobody out");
    let page = browser.sign_in("Alice@example.test", "right");
    for words in ["There was a block. It is lifted.", "lifted on: mx1.", code, "alice@example.test", "IMAP"] {
        page.says(words);
    }
    assert!(world.node.json(&["blocks"]).is_empty());
    assert!(world.asker.may());
    let past = world.node.json(&["blocks", "--all"]).remove(0);
    assert_eq!((&past["code"], &past["ended"]["by"]), (&block["code"], &"portal:alice@example.test".into()));
    let audit = world.audit().remove(0);
    assert_eq!((audit.actor.as_str(), audit.act.as_str()), ("portal:alice@example.test", "release"));
    assert_eq!((audit.subject.as_str(), audit.detail), (OFFICE, format!("asked from {OFFICE}, reference {code}")));
    let status = world.node.fairban(&["status"]).out;
    assert!(status.contains(&format!("people may let themselves out at 127.0.0.1:{}", world.portal)), "{status}");
}

#[test]
fn the_same_blocks_again_until_the_limit_is_reached() {
    let Some(mut world) = World::start() else { return };
    for (round, salt) in ["a", "b", "c"].into_iter().enumerate() {
        let block = world.asker.attack(&world.node, &format!("guessed{round}@example.test"), salt);
        assert_eq!(block["offence"], round + 1, "who is let out climbs on");
        world.browser().sign_in("alice@example.test", "right").says("It is lifted.").says("g•••@…");
        assert!(world.asker.may());
    }
    // What was counted is not forgotten by a restart.
    world.node.end(nix::sys::signal::Signal::SIGTERM);
    world.node.run();
    let block = world.asker.attack(&world.node, "guessed9@example.test", "d");
    let code = block["code"].as_str().unwrap();
    world.browser().sign_in("bob@example.test", "right").says(code);
    assert!(!world.asker.may(), "the address was let out often enough, whoever asks");
    assert_eq!(world.audit().iter().filter(|entry| entry.act == "release").count(), 3);
}

#[test]
fn what_an_administrator_did_stays() {
    let Some(world) = World::start() else { return };
    assert_eq!(world.node.fairban(&["block", "198.51.100.0/24", "--for", "1h"]).status, 0);
    world.asker.may();
    world.browser().sign_in("alice@example.test", "right").says("198.51.100.0/24");
    assert!(!world.asker.may());
    assert_eq!(world.node.json(&["blocks"]).len(), 1);
    assert!(world.audit().iter().all(|entry| entry.act == "block"));
}

#[test]
fn a_port_that_is_taken_is_said() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap();
    let node = Node::idle(&format!("[portal]\nlisten = \"{address}\"\n"));
    let output = node.command().arg("run").arg("--config").arg(node.path("fairban.toml")).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains(&format!("cannot listen on {address}")), "{said}");
}
