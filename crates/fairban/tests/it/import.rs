//! Taking over what other tools had: every format, dry and applied.

use fairban_config::Config;
use serde_json::Value;

use crate::node::{Node, Said, fairban};

/// Imports one file of the given name and contents, with these further arguments.
fn import(from: &str, name: &str, text: &[u8], more: &[&str]) -> Said {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    std::fs::write(&file, text).unwrap();
    let mut args = vec!["import", from, file.to_str().unwrap()];
    args.extend(more);
    let mut said = fairban(&args, b"");
    let folder = folder.path().to_str().unwrap();
    said.out = said.out.replace(folder, "DIR");
    said
}

/// Each entry as `line what -> becomes`, or `line what: why not`.
fn told(said: &Said) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entries = said.json().into_iter().filter(|entry| entry.get("becomes").is_some());
    let shown = entries.map(|entry| {
        let line = entry["line"].as_u64().map_or("-".to_owned(), |line| line.to_string());
        match entry["becomes"].as_str() {
            None => format!("{line} {}: {}", text(&entry["what"]), text(&entry["why"])),
            Some("setting") => format!("{line} {} -> {}", text(&entry["what"]), text(&entry["setting"])),
            Some(becomes) => {
                let until = entry["until"].as_str().map_or(String::new(), |until| format!(" until {until}"));
                format!("{line} {} -> {becomes}{until} ({})", text(&entry["subject"]), text(&entry["reason"]))
            }
        }
    });
    shown.collect()
}

fn json(from: &str, name: &str, text: &[u8], more: &[&str]) -> Vec<String> {
    let mut args = vec!["--json"];
    args.extend(more);
    let said = import(from, name, text, &args);
    assert_eq!(said.err, "", "{said:?}");
    told(&said)
}

const CSF_DENY: &[u8] = b"# a head\n192.0.2.7 # lfd: (smtpauth) 5 in the last 300 secs\n198.51.100.9/24 # do not delete\n\
    d=25:s=1.2.3.4\ntcp|in|d=25|s=192.0.2.9 # advanced\nInclude /etc/csf/more.deny\nbad.example.test\n0.0.0.0/0\n2001:db8::1\n";

#[test]
fn csf() {
    assert_eq!(
        json("csf", "csf.deny", CSF_DENY, &[]),
        [
            "2 192.0.2.7 -> block (lfd: (smtpauth) 5 in the last 300 secs)",
            "3 198.51.100.0/24 -> block (do not delete)",
            "9 2001:db8::1 -> block ()",
            "4 d=25:s=1.2.3.4: an advanced filter, for certain ports or users; Fairban closes the mail ports, for everybody",
            "5 tcp|in|d=25|s=192.0.2.9: an advanced filter, for certain ports or users; Fairban closes the mail ports, for \
             everybody",
            "6 Include /etc/csf/more.deny: another file is included: import it by its own name, as csf.allow or csf.deny, or \
             as a list",
            "7 bad.example.test: neither an address nor a network (CIDR); names are not looked up",
            "8 0.0.0.0/0: too wide for a block that nobody looked at: use `fairban block` if it is meant",
        ]
    );
    for name in ["csf.allow", "csf.ignore"] {
        assert_eq!(json("csf", name, b"192.0.2.7#office\n", &[]), ["1 192.0.2.7 -> never (office)"]);
    }
    let bans =
        "4102444800|192.0.2.1|*|inout|3600|why | so\n1|192.0.2.2||in|60|over\n1|192.0.2.3|25|in|60|one port\nx\n";
    assert_eq!(
        json("csf", "csf.tempban", bans.as_bytes(), &[]),
        [
            "1 192.0.2.1 -> block until 2100-01-01T01:00:00Z (why | so)",
            "2 192.0.2.2: has ended",
            "3 1|192.0.2.3|25|in|60|one port: an advanced filter, for certain ports or users; Fairban closes the mail ports, \
             for everybody",
            "4 x: not an entry of CSF: time|address|port|direction|seconds|reason",
        ]
    );
    let said = import("csf", "deny.txt", b"192.0.2.7\n", &[]);
    assert!(said.status == 2 && said.err.contains("csf.deny"), "{said:?}");
}

#[test]
fn lists() {
    let text = "\u{feff}192.0.2.7 ; a spammer\n\n# nothing\n192.0.2.0/255.255.255.0\tx\n::1/129\n".as_bytes();
    assert_eq!(
        json("list", "l", text, &[]),
        [
            "1 192.0.2.7 -> block (a spammer)",
            "4 192.0.2.0/24 -> block ()",
            "5 ::1/129: neither an address nor a network (CIDR)",
        ]
    );
    assert_eq!(json("list", "l", b"192.0.2.7", &["--never"]), ["1 192.0.2.7 -> never ()"]);
    let said = fairban(&["import", "list", "-", "--for", "1h", "--json"], b"192.0.2.7\n");
    assert!(told(&said)[0].starts_with("1 192.0.2.7 -> block until 20"), "{said:?}");
}

#[test]
fn crowdsec() {
    let text = br#"[{"id":1,"decisions":[
        {"duration":"3h","until":"2100-01-01T00:00:00Z","scope":"Ip","type":"ban","value":"192.0.2.7","scenario":"x/smtp","simulated":false},
        {"duration":"-3h2m0.5s","scope":"Ip","type":"ban","value":"192.0.2.8"},
        {"duration":"3h","scope":"Ip","type":"captcha","value":"192.0.2.9"},
        {"duration":"3h","scope":"Country","type":"ban","value":"XX"},
        {"duration":"3h","scope":"Ip","type":"ban","value":"192.0.2.10","simulated":true},
        {"duration":"soon","scope":"Ip","type":"ban","value":"192.0.2.11"}]},
        {"decisions":null}, 7, {"scope":"range","value":"198.51.100.0/24","until":"2100-01-01T00:00:00Z","reason":"manual"}]"#;
    assert_eq!(
        json("crowdsec", "d.json", text, &[]),
        [
            "- 192.0.2.7 -> block until 2100-01-01T00:00:00Z (x/smtp)",
            "- 198.51.100.0/24 -> block until 2100-01-01T00:00:00Z (manual)",
            "- 192.0.2.8: has ended",
            "- Ip 192.0.2.9: a captcha is nothing that a mail server has",
            "- Country XX: only addresses and ranges can be taken over",
            "- Ip 192.0.2.10: only simulated",
            "- Ip 192.0.2.11: its duration 'soon' cannot be read",
            "- element 3: neither an alert nor a decision",
        ]
    );
    let raw = "id,source,ip,reason,action,country,as,events_count,expiration,simulated,alert_id\n\
        1,crowdsec,Ip:2001:db8::7,\"x/a, b\",ban,XX,1 Y,6,900000h,false,1\n2,crowdsec,Range:198.51.100.0/24,y,ban,,,1,-1h,false,2\n";
    let found = json("crowdsec", "d.csv", raw.as_bytes(), &[]);
    assert!(found[0].starts_with("2 2001:db8::7 -> block until 21") && found[0].ends_with("(x/a, b)"), "{found:?}");
    assert_eq!(found[1], "3 198.51.100.0/24: has ended");
    let plain = json("crowdsec", "d.csv", b"duration,scope,value\n24h,ip,192.0.2.7\n", &[]);
    assert!(plain[0].starts_with("2 192.0.2.7 -> block until 20"), "{plain:?}");
    assert_eq!(import("crowdsec", "d.json", b"null", &[]).status, 1);
    for text in [&b""[..], b"[{", b"{}", b"a,b\n1,2\n"] {
        assert_eq!(import("crowdsec", "d", text, &[]).status, 2);
    }
}

const JAIL_LOCAL: &[u8] = b"[DEFAULT]\nbantime = %(long)s\nlong = 1h\nfindtime = 15m\nignoreip = 127.0.0.1/8 ::1 192.0.2.0/24\n  \
    office.example.test 2001:db8::/48\n[sshd]\nenabled = true\n[dovecot]\nenabled = true\nmaxretry = 6\n[postfix-sasl]\n\
    enabled = yes\nmaxretry = 4\n[postfix]\nenabled = true\nbantime = -1\n[sieve]\nenabled = false\n[my-mail]\nenabled = 1\n\
    port = smtp,imap\nmaxretry = many\n[recidive]\nenabled = true\nbantime = 1w\nfindtime = 1d\nmaxretry = 3\n";

#[test]
fn jails_of_fail2ban() {
    let said = import("fail2ban", "jail.local", JAIL_LOCAL, &["--json"]);
    assert_eq!(
        told(&said),
        [
            "5 192.0.2.0/24 -> never (ignoreip)",
            "5 2001:db8::/48 -> never (ignoreip)",
            "10 jail dovecot: 6 in 15m, then 1h -> [rule.login] period = \"15m\", threshold = 6, ladder = [\"1h\", \"1h\", \
             \"7d\"], forget = \"1d\"",
            "16 jail postfix: 5 in 15m, then for good -> [rule.reject] period = \"15m\", threshold = 5, ladder = [\"30d\"], \
             then_permanent = true, forget = \"1d\"",
            "13 jail postfix-sasl: 4 in 15m, then 1h -> [rule.login], which has a threshold of 6 by another jail",
            "5 127.0.0.1/8: not needed: loopback is always on the never-block list",
            "5 ::1: not needed: loopback is always on the never-block list",
            "5 office.example.test: neither an address nor a network (CIDR); names are not looked up",
            "21 jail my-mail: its maxretry 'many' cannot be read",
            "8 jail sshd: not about mail: Fairban guards mail servers only, so leave it to fail2ban",
        ]
    );
    let settings = said.json().into_iter().find_map(|entry| Some(entry["settings"].as_str()?.to_owned())).unwrap();
    let config = Config::from_toml(&settings, "settings").unwrap_or_else(|wrong| panic!("{wrong}\n{settings}"));
    assert_eq!((config.warnings.len(), config.policy.never.len()), (0, 2));
    let login = config.policy.rules.iter().find(|rule| rule.name == "login").unwrap();
    assert_eq!((login.threshold, login.period.as_secs()), (6, 900));
}

#[test]
fn a_folder_of_fail2ban_is_laid_in_order_and_settings_go_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("jail.d")).unwrap();
    for (name, text) in [
        ("jail.conf", "[DEFAULT]\nmaxretry = 5\n[dovecot]\nport = imap\n"),
        ("jail.d/a.conf", "[dovecot]\nmaxretry = 7\n"),
        ("jail.local", "[dovecot]\nenabled = true\nmaxretry = 8\nbantime.increment = false\n"),
        ("jail.d/z.local", "[DEFAULT]\nbantime.increment = true\nbantime.maxtime = 1h\n[dovecot]\nmaxretry = 9\n"),
    ] {
        std::fs::write(path(name), text).unwrap();
    }
    let (from, out) = (folder.path().to_str().unwrap(), path("out.toml"));
    let args = ["import", "fail2ban", from, "--config-out", out.to_str().unwrap()];
    let said = fairban(&args, b"");
    assert!(said.status == 0 && said.out.contains("settings written to"), "{said:?}");
    let written = std::fs::read_to_string(&out).unwrap();
    assert!(written.contains("threshold = 9") && written.contains(r#"["10m", "20m", "40m", "1h"]"#), "{written}");
    assert_eq!(fairban(&args, b"").status, 2, "a file that is there stays as it is");
}

/// A database as fail2ban 1.0 makes it.
fn database(path: &std::path::Path) {
    let database = rusqlite::Connection::open(path).unwrap();
    let table = "CREATE TABLE bips(ip TEXT NOT NULL, jail TEXT NOT NULL, timeofban INTEGER NOT NULL, bantime INTEGER NOT \
                 NULL, bancount INTEGER NOT NULL default 1, data JSON, PRIMARY KEY(ip, jail));";
    let rows = "INSERT INTO bips VALUES ('192.0.2.1', 'dovecot', 4102444800, 3600, 1, '{}'), ('192.0.2.2', 'postfix', 5, -1, \
                1, '{}'), ('192.0.2.3', 'dovecot', 5, 60, 1, '{}'), ('192.0.2.4', 'sshd', 4, -1, 1, '{}'), ('x', 'sieve', \
                3, -1, 1, '{}'), ('192.0.2.5', 'sieve', 2, -2, 1, '{}'), ('192.0.2.6', 'sieve', 'soon', 1, 1, '{}');";
    database.execute_batch(&format!("{table}{rows}")).unwrap();
}

#[test]
fn bans_of_fail2ban_go_to_the_daemon_and_never_block_wins() {
    let node = Node::start("");
    database(&node.path("f2b.sqlite3"));
    std::fs::write(node.path("jail.local"), "[DEFAULT]\nignoreip = 192.0.2.2 203.0.113.9\n").unwrap();
    let (jails, bans) = (node.path("jail.local"), node.path("f2b.sqlite3"));
    let args = ["import", "fail2ban", jails.to_str().unwrap(), bans.to_str().unwrap()];
    let dry = node.json(&args);
    let shown = format!("{dry:?}");
    for part in ["has ended", "all-jails", "neither an address", "how long", "the table bips"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(node.json(&["blocks"]).len(), 0, "a dry run changes nothing");
    let said = node.fairban(&[&args[..], &["--apply"]].concat());
    assert!(said.out.contains("applied: 1 blocks, 2 never-block entries; refused by the daemon: 1"), "{said:?}");
    assert!(said.out.contains("192.0.2.2 is not blocked: 192.0.2.2/32 is on the never-block list"), "{said:?}");
    let blocks = node.json(&["blocks"]);
    assert_eq!(blocks.len(), 1);
    assert_eq!(blocks[0]["subject"], "192.0.2.1");
    assert_eq!(blocks[0]["reason"], "imported from fail2ban: jail dovecot");
    assert!(blocks[0]["until"].as_str().unwrap().starts_with("2100-01-01T0"), "{blocks:?}");
    let never = node.fairban(&["never", "list"]).out;
    assert!(never.contains("imported from fail2ban: ignoreip"), "{never}");
    let said = node.fairban(&[&args[..], &["--apply", "--all-jails"]].concat());
    assert!(said.out.contains("applied: 2 blocks"), "{said:?}");
}

#[test]
fn long_lists_go_in_parts() {
    let node = Node::start("");
    let list: String = (0..130).map(|n| format!("198.51.100.{n} # {}\n", "\"long\u{1b}\" ".repeat(100))).collect();
    std::fs::write(node.path("list"), list).unwrap();
    let said = node.fairban(&["import", "list", node.path("list").to_str().unwrap(), "--apply", "--for", "1d"]);
    assert!(said.out.contains("applied: 130 blocks") && said.out.contains("30 more"), "{said:?}");
    assert!(!said.out.contains('\u{1b}'));
    assert_eq!(node.json(&["blocks"]).len(), 130);
}

#[test]
fn without_a_daemon_or_anything_understood() {
    let node = Node::idle("");
    std::fs::write(node.path("list"), "192.0.2.7\n").unwrap();
    let list = node.path("list");
    assert_eq!(node.fairban(&["import", "list", list.to_str().unwrap(), "--apply"]).status, 3);
    let said = import("list", "l", b"nonsense\n", &[]);
    assert!(said.status == 1 && said.err.contains("nothing was understood"), "{said:?}");
    for args in [
        &["import", "list"][..],
        &["import", "crowdsec"],
        &["import", "list", "/"],
        &["import", "list", "no-such-file"],
        &["import", "csf", "no-such-file"],
        &["import", "csf", "x", "--never"],
        &["import", "list", "x", "--all-jails"],
        &["import", "denyhosts", "x"],
    ] {
        assert_eq!(fairban(args, b"").status, 2, "{args:?}");
    }
}

#[test]
fn bytes_that_are_no_text_are_told_and_steer_no_terminal() {
    let noise: Vec<u8> =
        (0..=255u8).cycle().take(5000).chain(*b"\n\x1b[2J\n[x\n=%(=\n%(a)s=%(a)s\n\xff\xfe,\"\n").collect();
    for (from, name) in
        [("list", "l"), ("csf", "csf.deny"), ("csf", "csf.tempban"), ("crowdsec", "d"), ("fail2ban", "j")]
    {
        for more in [&[][..], &["--json"]] {
            let said = import(from, name, &noise, more);
            assert!((1..=2).contains(&said.status) && !said.err.contains("panicked"), "{from}: {said:?}");
            assert!(!said.out.contains('\u{1b}') && !said.err.contains('\u{1b}'), "{from}");
        }
    }
    // What only looks like a database.
    let said = import("fail2ban", "db", b"SQLite format 3\0 and no more", &[]);
    assert!(said.status == 2 && said.err.contains("not a database"), "{said:?}");
}
