use std::path::{Path, PathBuf};
use std::time::Duration;

use expect_test::{Expect, expect};
use fairban_config::{Config, EnforceMode, Listen, LoadError, MailSecurity, OnBlock, SourceConfig, SyslogListen};
use fairban_types::EventKind;

fn read(text: &str) -> Config {
    Config::from_toml(text, "fairban.toml").unwrap_or_else(|problems| panic!("{problems}"))
}

fn check_warnings(config: &Config, expected: &Expect) {
    let lines: Vec<String> = config.warnings.iter().map(|warning| format!("{warning}\n")).collect();
    expected.assert_eq(&lines.concat());
}

/// The keys that scripts may set, as the design fixes them.
const FIXED: &str = r#"
profile = "fairban"
never = ["192.0.2.0/24"]
[node]
name = "mx1"
[store]
path = "/var/lib/fairban"
[control]
socket = "/run/fairban/control.sock"
[[source]]
file = "/var/log/mail.log"
[[source]]
journald = true
[[source]]
syslog = "udp://127.0.0.1:5514"
[[source]]
stdin = true
[enforce]
mode = "nftables"
[dovecot]
listen = "127.0.0.1:4625"
api_key = "0123456789abcdef"
[postfix]
listen = "unix:/run/fairban/policy.sock"
[web]
listen = "127.0.0.1:8625"
[portal]
listen = "127.0.0.1:8626"
[fleet]
url = "redis://:hidden@127.0.0.1:6379"
"#;

#[test]
fn the_fixed_keys_are_read() {
    let config = read(FIXED);
    assert_eq!(config.policy.never, ["192.0.2.0/24".parse().unwrap()]);
    assert_eq!(config.node.name.as_deref(), Some("mx1"));
    assert_eq!(config.store.path, Path::new("/var/lib/fairban"));
    assert_eq!(config.control.socket, Path::new("/run/fairban/control.sock"));
    assert_eq!(config.enforce.mode, EnforceMode::Nftables);
    assert_eq!(config.postfix.listen, Some(Listen::Unix(PathBuf::from("/run/fairban/policy.sock"))));
    assert_eq!(
        config.sources,
        [
            SourceConfig::File { path: PathBuf::from("/var/log/mail.log") },
            SourceConfig::Journald { units: Vec::new() },
            SourceConfig::Syslog { listen: SyslogListen::Udp("127.0.0.1:5514".parse().unwrap()) },
            SourceConfig::Stdin,
        ]
    );
}

#[test]
fn what_this_version_lacks_is_told() {
    check_warnings(&read(FIXED), &expect![""]);
}

#[test]
fn secrets_are_not_shown() {
    let config = read(FIXED);
    let shown = format!("{config:?}");
    assert!(!shown.contains("hidden") && !shown.contains("0123456789abcdef"), "{shown}");
    assert_eq!(config.fleet.url.as_ref().map(|url| url.reveal()), Some("redis://:hidden@127.0.0.1:6379"));
    for (wrong, secret) in
        [("[fleet]\nurl = \"http://hidden\"", "hidden"), ("[dovecot]\napi_key = \"hidden key\"", "hidden")]
    {
        let problems = Config::from_toml(wrong, "fairban.toml").unwrap_err();
        assert!(!problems.to_string().contains(secret), "{problems}");
    }
}

#[test]
fn without_a_file() {
    let config = Config::builtin();
    assert_eq!(config, Config::from_toml("", "built-in").unwrap());
    assert_eq!(config.warnings, []);
    assert_eq!(config.sources, []);
    assert_eq!(config.enforce.mode, EnforceMode::Nftables);
    assert_eq!(config.enforce.ports, [25, 110, 143, 465, 587, 993, 995, 4190]);
    assert_eq!(config.control.mode, 0o660);
    assert_eq!(config.policy.profile, "fairban");
    assert_eq!(config.policy.memory_bytes_max, 512 << 20);
    assert!(!config.policy.mail_servers_ask);
}

#[test]
fn one_value_is_overridden_and_the_others_stay() {
    let before = Config::builtin().policy;
    let mut after = read("[rule.login]\nthreshold = 500").policy;
    assert_eq!(after.rules[0].threshold, 500);
    after.rules[0].threshold = before.rules[0].threshold;
    assert_eq!(after, before);

    let mut after = read("[rule.login]\npoints = { relay_denied = 7 }").policy;
    assert_eq!(after.rules[0].points.of(EventKind::RelayDenied), 7);
    after.rules[0].points = before.rules[0].points.clone();
    assert_eq!(after, before);

    let mut after = read("widen.period = \"2d\"").policy;
    let widen = after.widen.as_mut().unwrap();
    assert_eq!(widen.period, Duration::from_secs(2 * 86_400));
    widen.period = before.widen.as_ref().unwrap().period;
    assert_eq!(after, before);
}

#[test]
fn rules_are_added_after_and_turned_off() {
    let policy = read(
        "[rule.mine]\npoints = { spam = 1 }\nperiod = \"1m\"\nthreshold = 1\nladder = [\"1m\"]\n[rule.login]\nenabled = false\n",
    )
    .policy;
    let names: Vec<&str> = policy.rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names.last(), Some(&"mine"));
    assert!(!names.contains(&"login") && names.contains(&"login-slow"), "{names:?}");
    assert!(read("[widen]\nenabled = false\n[guard]\nenabled = false").policy.guard.is_none());
}

#[test]
fn another_profile_keeps_what_fits_it() {
    let config = read("never = [\"192.0.2.7\"]\n[rule.relay]\nthreshold = 100\n[rule.login]\nthreshold = 9\n");
    let other = config.with_profile("autoban").unwrap();
    assert_eq!(other.policy.profile, "autoban");
    assert_eq!(other.policy.never, config.policy.never);
    assert_eq!(other.policy.rules.len(), 1);
    assert_eq!(other.policy.rules[0].threshold, 9);
    check_warnings(
        &other,
        &expect![[r#"
        fairban.toml:2:7: rule.relay: left out: profile 'autoban' has no such rule to override
    "#]],
    );
    let wrong = config.with_profile("autobann").unwrap_err().to_string();
    expect!["profile: there is no 'autobann'; did you mean 'autoban'? there are fairban, autoban, vpop3, fail2ban, hmailserver, mailcow, cphulk"].assert_eq(&wrong);
}

#[test]
fn who_asks_is_what_is_served() {
    assert!(read("[dovecot]\nlisten = \"127.0.0.1:4625\"").policy.mail_servers_ask);
    assert!(!read("mail_servers_ask = false\n[dovecot]\nlisten = \"127.0.0.1:4625\"").policy.mail_servers_ask);
    assert!(!read("[postfix]\nlisten = \"127.0.0.1:10625\"").policy.mail_servers_ask);
    assert!(!read("mail_servers_ask = false").policy.mail_servers_ask);
    assert!(read("mail_servers_ask = true").policy.mail_servers_ask);
}

#[test]
fn what_answers_say_is_one_harmless_line() {
    let config = read(
        "[send]\nlocal_domains = [\"B\u{fc}cher.test.\"]\n[messages]\nportal = \"https://x.test/u\"\n[postfix]\non_block = \"reject\"",
    );
    assert_eq!(config.policy.send.local_domains, ["xn--bcher-kva.test"]);
    assert_eq!(config.policy.send.recipient_delimiters, "+");
    assert_eq!(config.send.answer, "550 5.7.1 Access denied");
    assert_eq!(config.messages.blocked, "Your connection has been blocked temporarily - Try again later");
    assert_eq!(config.messages.portal.as_deref(), Some("https://x.test/u"));
    assert_eq!((config.postfix.on_block, config.postfix.mode), (OnBlock::Reject, 0o666));
    assert_eq!(config.dovecot.tarpit, Duration::from_secs(10));
    for wrong in [
        "[send]\nanswer = \"250 ok\"",
        "[send]\nanswer = \"550\"",
        "[send]\nanswer = \"5500 no\"",
        "[send]\nanswer = \"550 4.7.1 no\"",
        "[send]\nanswer = \"550 no\\r\\n250 yes\"",
        "[send]\nrecipient_delimiters = \"@\"",
        "[send]\nlocal_domains = [\"a b\"]",
        "[messages]\nblocked = \"line\\nbreak\"",
        "[messages]\nportal = \"javascript:x\"",
        "[messages]\nportal = \"https://x.test/ y\"",
        "[dovecot]\ntarpit = \"1h\"",
        "[rule.outbound]\nthreshold = 1",
    ] {
        assert!(Config::from_toml(wrong, "fairban.toml").is_err(), "{wrong}");
    }
}

#[test]
fn what_is_odd_is_warned_of() {
    let config = read(
        r#"
never = ["192.0.2.7/24", "::ffff:198.51.100.0/120", "10.0.0.0/8", "::/0", "192.0.2.0/24"]
mail_servers_ask = true
[enforce]
ports = [443, 25, 25]
[[source]]
syslog = "tcp://0.0.0.0:514"
[rule.login]
ladder = ["4h", "1h"]
effect = "tarpit"
[widen]
addresses = 9
failures = 2
[outbound]
floor = 9000
"#,
    );
    let never: Vec<String> = config.policy.never.iter().map(ToString::to_string).collect();
    assert_eq!(never, ["10.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24", "::/0"]);
    assert_eq!(config.enforce.ports, [25, 443]);
    check_warnings(
        &config,
        &expect![[r#"
            fairban.toml:2:10: never: 192.0.2.7/24 is read as 192.0.2.0/24: the bits after the prefix do not count
            fairban.toml:2:53: never: 10.0.0.0/8 is very wide: nothing in it will ever be blocked
            fairban.toml:2:67: never: ::/0 is very wide: nothing in it will ever be blocked
            fairban.toml:3:20: mail_servers_ask: without [dovecot] listen no mail server can ask, so addresses with familiar accounts will not be blocked by anyone
            fairban.toml:5:9: enforce.ports: port 443 serves other things than mail: blocks will close it too
            fairban.toml:7:10: source.syslog: whoever can reach 0.0.0.0:514 can write log lines: let only your servers through
            fairban.toml:9:10: rule.login.ladder: a later offence is blocked for a shorter time
            fairban.toml:13:12: widen.failures: 9 addresses fail that often anyway: the number of addresses alone decides
            fairban.toml:15:9: outbound.floor: is more than any account may send (recipients_max, messages_max), and so never reached
        "#]],
    );
}

#[test]
fn files_are_read_and_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let good = file("good", b"[node]\nname = \"mx1\"\n");
    assert_eq!(Config::load(&good).unwrap().node.name.as_deref(), Some("mx1"));
    assert!(matches!(Config::load(&folder.path().join("none")), Err(LoadError::Unreadable { .. })));
    for (name, bytes, message) in [
        ("latin", b"profile = \"fairban\"\n# f\xfcr".as_slice(), ":2:4: not UTF-8, in which configuration is written"),
        ("large", &vec![b'\n'; (1 << 20) + 1], ": is larger than 1024 KiB, which no configuration is"),
        ("wrong", b"x = 1", ":1:1: x: unknown key"),
    ] {
        let path = file(name, bytes);
        let told = Config::load(&path).unwrap_err().to_string();
        assert!(told.starts_with(&format!("{}{message}", path.display())), "{told}");
    }
    assert!(Config::load(&file("full", &vec![b'\n'; 1 << 20])).is_ok());
}

#[test]
fn the_portal_has_sensible_defaults() {
    let portal = Config::builtin().portal;
    assert_eq!((portal.listen, portal.language.as_str()), (None, "en"));
    assert_eq!((portal.lift.per_account, portal.lift.per_address, portal.lift.period.as_secs()), (3, 3, 86_400));
    assert_eq!((portal.links.audience.as_str(), portal.links.lifetime.as_secs()), ("fairban-portal", 600));
    for (text, port, security) in [
        ("", 143, MailSecurity::Plain),
        ("host = \"::1\"", 143, MailSecurity::Plain),
        ("host = \"mail.example.test\"", 993, MailSecurity::Tls),
        ("security = \"tls\"", 993, MailSecurity::Tls),
        ("host = \"192.0.2.1\"\nsecurity = \"starttls\"", 143, MailSecurity::StartTls),
        ("host = \"192.0.2.1\"\nport = 9993", 9993, MailSecurity::Tls),
    ] {
        let imap = read(&format!("[portal.imap]\n{text}")).portal.imap;
        assert_eq!((imap.port(), imap.security()), (port, security), "{text}");
    }
}

#[test]
fn blocked_clients_are_told_of_the_portal() {
    let url = "url = \"https://u.example.test\"\ntrusted_proxies = [\"127.0.0.1\"]";
    let config = read(&format!("[portal]\nlisten = \"127.0.0.1:8626\"\n{url}"));
    assert_eq!(config.messages.portal.as_deref(), Some("https://u.example.test"));
    let config = read(&format!("[messages]\nportal = \"https://x.example.test/\"\n[portal]\n{url}"));
    assert_eq!(config.messages.portal.as_deref(), Some("https://x.example.test/"));
    assert_eq!(read(&format!("[portal]\n{url}")).messages.portal, None, "it does not run here");
}

#[test]
fn what_leaves_passwords_or_addresses_in_the_open_is_told() {
    check_warnings(
        &read("[portal]\nlisten = \"0.0.0.0:8626\"\n"),
        &expect![[r#"
            fairban.toml:2:10: portal.listen: passwords would cross the network unprotected: set tls_certificate and tls_key, or url to the https address of your reverse proxy
        "#]],
    );
    check_warnings(
        &read("[portal]\nlisten = \"127.0.0.1:8626\"\nurl = \"https://u.example.test\"\n"),
        &expect![[r#"
            fairban.toml:3:7: portal.url: everybody would seem to come from the reverse proxy that speaks https: set trusted_proxies
        "#]],
    );
    let both = "[portal.links]\nsecret = \"/s\"\npublic_key = \"/p\"";
    let problems = Config::from_toml(both, "fairban.toml").unwrap_err().to_string();
    assert!(problems.contains("set either secret or public_key"), "{problems}");
}
