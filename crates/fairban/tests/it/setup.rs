//! `fairban setup` on copies of configurations, with the real Postfix's and Dovecot's own programs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::node::Said;

const MAIN_CF: &str = "\
# The administrator's own.
compatibility_level = 3.6
myhostname = mail.example.test
mydomain = example.test
mydestination = $mydomain, localhost
smtpd_recipient_restrictions = permit_mynetworks,
  # trusted people
  permit_sasl_authenticated,
  reject_unauth_destination
";

const MASTER_CF: &str = "\
smtp       inet  n       -       n       -       -       smtpd
submission inet  n       -       n       -       -       smtpd
  -o syslog_name=postfix/submission
  -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject
pickup     unix  n       -       n       60      1       pickup
cleanup    unix  n       -       n       -       0       cleanup
qmgr       unix  n       -       n       300     1       qmgr
";

const DOVECOT_CONF: &str = "# The administrator's own.\nprotocols = imap\nauth_mechanisms = plain login\n";

/// Configurations of a Postfix, a Dovecot and a Fairban in a folder.
struct Machine {
    folder: tempfile::TempDir,
    path: Option<PathBuf>,
}

impl Machine {
    fn new() -> Self {
        for program in ["/usr/sbin/postconf", "/usr/bin/doveconf"] {
            assert!(Path::new(program).exists(), "{program} is missing: `cargo xtask test` installs what tests need");
        }
        let machine = Machine { folder: tempfile::tempdir().unwrap(), path: None };
        for (name, text) in [("main.cf", MAIN_CF), ("master.cf", MASTER_CF), ("dovecot.conf", DOVECOT_CONF)] {
            fs::write(machine.file(name), text).unwrap();
        }
        fs::write(machine.file("fairban.toml"), "# mine\nnever = [\"192.0.2.7\"]\n").unwrap();
        fs::set_permissions(machine.file("main.cf"), fs::Permissions::from_mode(0o640)).unwrap();
        machine
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap()
    }

    /// Every configuration, by name.
    fn all(&self) -> Vec<(String, String)> {
        let mut all: Vec<(String, String)> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().is_file())
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
            .collect();
        all.sort();
        all
    }

    fn setup(&self, args: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fairban"));
        command.arg("setup").args(["--only", "postfix", "--only", "dovecot", "--no-reload"]);
        command.arg("--config").arg(self.file("fairban.toml")).arg("--postfix-dir").arg(self.folder.path());
        command.arg("--dovecot-conf").arg(self.file("dovecot.conf")).arg("--state").arg(self.file("state"));
        if let Some(path) = &self.path {
            let usual = std::env::var("PATH").unwrap();
            command.env("PATH", format!("{}:{usual}", path.display()));
        }
        let output = command.args(args).env_remove("FAIRBAN_CONTROL").output().unwrap();
        Said {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn good(&self, args: &[&str]) -> String {
        let said = self.setup(args);
        assert_eq!(said.status, 0, "{args:?}: {said:?}");
        said.out
    }

    /// What Postfix makes of a parameter.
    fn postconf(&self, name: &str) -> String {
        run(Command::new("postconf").arg("-c").arg(self.folder.path()).args(["-x", "-h", name]))
    }

    /// What Dovecot makes of a setting.
    fn doveconf(&self, name: &str) -> String {
        run(Command::new("doveconf").arg("-P").arg("-c").arg(self.file("dovecot.conf")).args(["-h", name]))
    }
}

fn run(command: &mut Command) -> String {
    command.env("PATH", format!("/usr/sbin:{}", std::env::var("PATH").unwrap()));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn setup_alone_shows_and_changes_nothing() {
    let machine = Machine::new();
    let before = machine.all();
    let shown = machine.good(&[]);
    for part in [
        "+ smtpd_recipient_restrictions = $fairban_policy, permit_mynetworks,",
        "+   -o smtpd_recipient_restrictions=$fairban_policy,permit_sasl_authenticated,reject",
        "+ auth_policy_server_url = http://127.0.0.1:4625/",
        "+ !include_try fairban.conf",
        "+ listen = \"127.0.0.1:10625\"",
        "mail flows without it",
        "Nothing was changed.",
    ] {
        assert!(shown.contains(part), "no '{part}' in {shown}");
    }
    assert!(!shown.contains('\u{1b}'), "colours are for terminals");
    let json: Value = serde_json::from_str(&machine.good(&["--json"])).unwrap();
    assert_eq!(json["parts"].as_array().unwrap().len(), 3, "{json}");
    assert_eq!(machine.all(), before);
    assert!(!machine.file("state").exists());
}

#[test]
fn setup_is_applied_once_and_undone() {
    let machine = Machine::new();
    let before = machine.all();
    let said = machine.good(&["--apply"]);
    assert!(said.contains("fairban setup --check"), "{said}");

    let asked = "check_policy_service { inet:127.0.0.1:10625, timeout=3s, try_limit=2, default_action=DUNNO }";
    let list = machine.postconf("smtpd_recipient_restrictions");
    assert!(list.starts_with(asked) && list.ends_with("reject_unauth_destination"), "{list}");
    assert_eq!(machine.postconf("smtpd_end_of_data_restrictions"), asked);
    assert_eq!(machine.doveconf("auth_policy_server_url"), "http://127.0.0.1:4625/");
    assert_eq!(machine.doveconf("auth_verbose_passwords"), "sha1:6");
    let key = machine.doveconf("auth_policy_server_api_header").split_once(": ").unwrap().1.to_owned();
    let own = machine.read("fairban.toml");
    assert!(own.starts_with("# mine\nnever = [\"192.0.2.7\"]\n"), "{own}");
    assert!(own.contains(&format!("api_key = \"{key}\"")) && key.len() >= 32, "{own}");
    let mode = |name: &str| fs::metadata(machine.file(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("main.cf"), mode("fairban.conf"), mode("state")), (0o640, 0o600, 0o700));

    let applied = machine.all();
    assert!(machine.good(&["--apply"]).contains("Nothing was to be changed."));
    assert!(machine.good(&[]).contains("Nothing is to be changed."));
    assert_eq!(machine.all(), applied, "a second time changes nothing");

    machine.good(&["--undo"]);
    assert_eq!(machine.all(), before);
    assert!(machine.good(&["--undo"]).contains("nothing to undo"));
}

#[test]
fn undoing_leaves_what_others_changed_since() {
    let machine = Machine::new();
    machine.good(&["--apply"]);
    for (name, line) in [("main.cf", "message_size_limit = 1000\n"), ("dovecot.conf", "mail_debug = no\n")] {
        fs::write(machine.file(name), machine.read(name) + line).unwrap();
    }
    let said = machine.good(&["--undo"]);
    assert_eq!(said.matches("changed since").count(), 2, "{said}");
    assert_eq!(machine.read("main.cf"), format!("{MAIN_CF}\nmessage_size_limit = 1000\n"));
    assert_eq!(machine.read("dovecot.conf"), format!("{DOVECOT_CONF}\nmail_debug = no\n"));
    assert!(!machine.file("fairban.conf").exists());
    assert_eq!(machine.read("master.cf"), MASTER_CF);
}

#[test]
fn what_a_checker_complains_of_is_taken_back() {
    let mut machine = Machine::new();
    let before = machine.all();
    let programs = machine.file("bin");
    fs::create_dir(&programs).unwrap();
    // Dovecot as it is, but for a dislike of Fairban's file.
    let script = "#!/bin/sh\nif [ \"$3\" = -n ] && [ -e \"$(dirname \"$2\")/fairban.conf\" ]; then\n  echo \
                  'doveconf: Fatal: no such setting' >&2\n  exit 89\nfi\nexec /usr/bin/doveconf \"$@\"\n";
    fs::write(programs.join("doveconf"), script).unwrap();
    fs::set_permissions(programs.join("doveconf"), fs::Permissions::from_mode(0o755)).unwrap();
    machine.path = Some(programs);
    let said = machine.setup(&["--apply"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.err.contains("Dovecot complains") && said.err.contains("no such setting"), "{said:?}");
    assert_eq!(machine.all(), before, "all files, of all servers");
    assert!(machine.good(&["--undo"]).contains("nothing to undo"));
}

#[test]
fn what_is_wrong_already_is_told_before_anything_is_changed() {
    let machine = Machine::new();
    fs::write(machine.file("dovecot.conf"), "protocols = imap\nno_such_setting = 1\n").unwrap();
    let before = machine.all();
    let said = machine.setup(&["--apply"]);
    assert!(said.status != 0 && said.err.contains("no_such_setting"), "{said:?}");
    assert_eq!(machine.all(), before);

    let machine = Machine::new();
    fs::write(machine.file("fairban.toml"), "nevr = []\n").unwrap();
    let said = machine.setup(&["--apply"]);
    assert!(said.status == 2 && said.err.contains("nevr"), "{said:?}");
    assert_eq!(machine.read("main.cf"), MAIN_CF);
}

#[test]
fn checking_needs_the_daemon() {
    let said = Machine::new().setup(&["--check"]);
    assert_eq!(said.status, 3, "{said:?}");
    assert!(said.err.contains("no daemon is running here"), "{said:?}");
}
