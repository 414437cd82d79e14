//! Bad files and every word of what is told about them.

use expect_test::{Expect, expect};
use fairban_config::Config;

fn check(text: &str, expected: Expect) {
    match Config::from_toml(text, "fairban.toml") {
        Ok(_) => panic!("was accepted: {text}"),
        Err(problems) => expected.assert_eq(&format!("{problems}\n")),
    }
}

#[test]
fn unknown_keys_and_the_nearest_right_one() {
    check(
        r#"perod = "20m"
neverr = []
whitelist = []
[enforce]
mod = "observe"
socket = "/run/x"
listen = "127.0.0.1:1"
[rule.login]
perod = "20m"
maxretry = 5
findtime = "10m"
zzz = 1
points = { login-failed = 50, nonsense = 1, login_refused = 5 }
[stroe]
path = "/x"
"#,
        expect![[r#"
            fairban.toml:1:1: perod: unknown key; 'period' belongs in [rule.NAME], in [widen], in [guard], in [outbound] or in [portal.lift]
            fairban.toml:2:1: neverr: unknown key; did you mean 'never'?
            fairban.toml:3:1: whitelist: unknown key; did you mean 'never'?
            fairban.toml:5:1: enforce.mod: unknown key; did you mean 'mode'?
            fairban.toml:6:1: enforce.socket: unknown key; 'socket' belongs in [control]
            fairban.toml:7:1: enforce.listen: unknown key; 'listen' belongs in [dovecot], in [postfix], in [web] or in [portal]
            fairban.toml:9:1: rule.login.perod: unknown key; did you mean 'period'?
            fairban.toml:10:1: rule.login.maxretry: unknown key; did you mean 'threshold'?
            fairban.toml:11:1: rule.login.findtime: unknown key; did you mean 'period'?
            fairban.toml:12:1: rule.login.zzz: unknown key; known here: enabled, points, services, subject, period, threshold, repeats, spares_familiar, resets_on_success, effect, ladder, then_permanent, forget, linger
            fairban.toml:13:12: rule.login.points.login-failed: not an event kind; did you mean 'login_failed'?
            fairban.toml:13:31: rule.login.points.nonsense: not an event kind
            fairban.toml:13:45: rule.login.points.login_refused: never earns points: it is the answer to a block, not a reason for one
            fairban.toml:14:2: stroe: unknown key; did you mean 'store'?
        "#]],
    );
}

#[test]
fn wrong_types() {
    check(
        r#"profile = 5
never = "192.0.2.7"
node = 5
source = 5
rule = 5
[store]
path = ["/a"]
[control]
mode = true
[enforce]
ports = 25
[limits]
memory = 512
"#,
        expect![[r#"
            fairban.toml:1:11: profile: takes "fairban", "autoban", "vpop3", "fail2ban", "hmailserver", "mailcow" or "cphulk", not 5
            fairban.toml:2:9: never: takes a list, each an address or a network (CIDR), not "192.0.2.7"
            fairban.toml:3:8: node: is a section, written [node], not 5
            fairban.toml:4:1: source: is a list of sections, each written [[source]]
            fairban.toml:5:8: rule: is a section for each rule, written [rule.NAME]
            fairban.toml:7:8: store.path: takes an absolute path, not a list
            fairban.toml:9:8: control.mode: takes permissions from "0600" to "0777", not true
            fairban.toml:11:9: enforce.ports: takes a list that is not empty, each a port from 1 to 65535, not 25
            fairban.toml:13:10: limits.memory: takes an amount of memory from "16MiB" to "1024GiB", not 512; write the unit, as in "512MiB"
        "#]],
    );
}

#[test]
fn wrong_values() {
    check(
        r#"profile = "fairbann"
never = ["192.0.2.256", "mx1.example.test", 5, "192.0.2.0/33"]
mail_servers_ask = "yes"
[node]
name = "mx 1"
[store]
path = "var/lib"
event_retention = "1m"
[control]
mode = "0888"
[enforce]
mode = "iptables"
ports = [0, 70000, "25"]
priority = 1.5
[limits]
memory = "1MiB"
[widen]
ipv4_prefix = 32
ladder = []
[dovecot]
listen = "localhost:4625"
[web]
listen = "127.0.0.1"
[portal]
listen = "[::1]"
"#,
        expect![[r#"
            fairban.toml:1:11: profile: takes "fairban", "autoban", "vpop3", "fail2ban", "hmailserver", "mailcow" or "cphulk", not "fairbann"; did you mean "fairban"?
            fairban.toml:2:10: never: takes an address or a network (CIDR), not "192.0.2.256"
            fairban.toml:2:25: never: takes an address or a network (CIDR), not "mx1.example.test"
            fairban.toml:2:45: never: takes an address or a network (CIDR), not 5
            fairban.toml:2:48: never: takes an address or a network (CIDR), not "192.0.2.0/33"
            fairban.toml:3:20: mail_servers_ask: takes `true`, `false` or `"auto"`, not "yes"
            fairban.toml:5:8: node.name: takes a name of 1 to 64 letters, digits, '.', '_' or '-', not "mx 1"
            fairban.toml:7:8: store.path: takes an absolute path, not "var/lib"
            fairban.toml:8:19: store.event_retention: takes a duration from "1h" to "3650d", not "1m"
            fairban.toml:10:8: control.mode: takes permissions from "0600" to "0777", not "0888"
            fairban.toml:12:8: enforce.mode: takes "nftables" or "observe", not "iptables"; did you mean "nftables"?
            fairban.toml:13:10: enforce.ports: takes a port from 1 to 65535, not 0
            fairban.toml:13:13: enforce.ports: takes a port from 1 to 65535, not 70000
            fairban.toml:13:20: enforce.ports: takes a port from 1 to 65535, not "25"; write the bare number
            fairban.toml:14:12: enforce.priority: takes a whole number from -400 to 400, not a fraction
            fairban.toml:16:10: limits.memory: takes an amount of memory from "16MiB" to "1024GiB", not "1MiB"
            fairban.toml:18:15: widen.ipv4_prefix: takes a prefix length from 16 to 31, not 32
            fairban.toml:19:10: widen.ladder: takes 1 to 32 members, not 0
            fairban.toml:21:10: dovecot.listen: takes an address and port, such as "127.0.0.1:8625", not "localhost:4625"; names are not looked up: write the address
            fairban.toml:23:10: web.listen: takes an address and port, such as "127.0.0.1:8625", not "127.0.0.1"; the port is missing: "127.0.0.1:PORT"
            fairban.toml:25:10: portal.listen: takes an address and port, such as "127.0.0.1:8625", not "[::1]"; the port is missing: "[::1]:PORT"
        "#]],
    );
}

#[test]
fn rules() {
    check(
        r#"[rule.login]
period = "32d"
threshold = 0
subject = "adress"
repeats = "twice"
ladder = ["soon", 5, "0s"]
effect = "reject"
services = ["smtpd", "imap"]
enabled = "true"
[rule.harvest]
points = 50
period = 20
threshold = "250"
[rule.relay]
points = { relay_denied = 0 }
[rule.protocl]
threshold = 5
[rule.mine]
threshold = 5
[rule."a b"]
points = { spam = 1 }
period = "1m"
threshold = 1
ladder = ["1m"]
[rule.manual]
points = { spam = 1 }
period = "1m"
threshold = 1
ladder = ["1m"]
"#,
        expect![[r#"
            fairban.toml:2:10: rule.login.period: takes a duration from "1s" to "31d", not "32d"
            fairban.toml:3:13: rule.login.threshold: takes a whole number from 1 to 1000000, not 0
            fairban.toml:4:11: rule.login.subject: takes "address", "account" or "pair", not "adress"; did you mean "address"?
            fairban.toml:5:11: rule.login.repeats: takes "once" or "count", not "twice"
            fairban.toml:6:11: rule.login.ladder: takes a duration from "1s" to "3650d", not "soon", which is none: write it as in "90s", "20m", "1h30m", "7d"
            fairban.toml:6:19: rule.login.ladder: takes a duration from "1s" to "3650d", not 5; with its unit it is "5s", "5m" or "5h"
            fairban.toml:6:22: rule.login.ladder: takes a duration from "1s" to "3650d", not "0s"
            fairban.toml:7:10: rule.login.effect: takes "drop", "observe", "explain", "soft" or "tarpit", not "reject"
            fairban.toml:8:13: rule.login.services: takes "smtp", "submission", "imap", "pop3", "sieve", "lmtp", "webmail" or "unknown", not "smtpd"; did you mean "smtp"?
            fairban.toml:9:11: rule.login.enabled: takes `true` or `false`, not "true"; write it without quotes
            fairban.toml:11:10: rule.harvest.points: takes a table of event kinds, each with a whole number from 0 to 100000, such as { login_failed = 50 }, not 50
            fairban.toml:12:10: rule.harvest.period: takes a duration from "1s" to "31d", not 20; with its unit it is "20s", "20m" or "20h"
            fairban.toml:13:13: rule.harvest.threshold: takes a whole number from 1 to 1000000, not "250"; write it without quotes
            fairban.toml:15:10: rule.relay.points: no event kind earns points, so the threshold can never be reached
            fairban.toml:16:7: rule.protocl: profile 'fairban' has no such rule to override; did you mean 'protocol'? a new rule needs points, period, ladder too
            fairban.toml:18:7: rule.mine: profile 'fairban' has no such rule to override, only login, login-slow, login-familiar, relay, harvest, content, protocol; a new rule needs points, period, ladder too
            fairban.toml:20:7: rule.a b: a rule's name has 1 to 40 letters, digits, '.', '_' or '-', and is none of manual, widen, guard, outbound
            fairban.toml:25:7: rule.manual: a rule's name has 1 to 40 letters, digits, '.', '_' or '-', and is none of manual, widen, guard, outbound
        "#]],
    );
}

#[test]
fn sources() {
    check(
        r#"[[source]]
[[source]]
file = "/var/log/mail.log"
stdin = true
[[source]]
units = ["dovecot.service"]
[[source]]
file = "mail.log"
[[source]]
syslog = "udp:127.0.0.1:514"
[[source]]
syslog = "udp://127.0.0.1"
[[source]]
stdin = true
[[source]]
stdin = true
"#,
        expect![[r#"
            fairban.toml:1:1: source: needs one of file, journald, syslog or stdin
            fairban.toml:2:1: source: is more than one source: give each a [[source]] of its own
            fairban.toml:5:1: source: units belong to journald = true
            fairban.toml:8:8: source.file: takes an absolute path, not "mail.log"
            fairban.toml:10:10: source.syslog: takes "udp://ADDRESS:PORT", "tcp://ADDRESS:PORT" or "unix:/path", not "udp:127.0.0.1:514"
            fairban.toml:12:10: source.syslog: takes "udp://ADDRESS:PORT", "tcp://ADDRESS:PORT" or "unix:/path", not "udp://127.0.0.1"; the port is missing: "127.0.0.1:PORT"
            fairban.toml:15:1: source: the same source again
        "#]],
    );
}

#[test]
fn formats() {
    check(
        r#"[[format]]
name = "a"
pattern = "from (?P<client>[0-9.]+) x"
kind = "login_fail"
examples = []
[[format]]
name = "b"
pattern = "^from (?P<clent>[0-9.]+)"
[[format]]
name = "c"
pattern = "^from ([0-9.]+)"
kind = "login_failed"
examples = [{ line = "x", client = "mx1", more = 1 }, { line = "x" }, 5]
[[format]]
name = "d"
pattern = "^from (?P<client>[0-9.]+"
kind = "login_failed"
examples = [{ line = "x", client = "192.0.2.7" }]
[[format]]
name = "e"
pattern = "^from (?P<client>[0-9.]+)"
kind = "login_failed"
examples = [{ line = "from 192.0.2.7", client = "192.0.2.7" }]
[[format]]
name = "e"
pattern = "^from (?P<client>[0-9.]+)"
kind = "login_failed"
examples = [{ line = "from 192.0.2.7", client = "192.0.2.7" }]
"#,
        expect![[r#"
            fairban.toml:4:8: format.kind: takes the name of an event kind, not "login_fail"; did you mean "login_failed"?
            fairban.toml:5:12: format.examples: takes 1 to 100 members, not 0
            fairban.toml:6:1: format: needs kind, examples
            fairban.toml:8:11: format.pattern: has a group 'clent'; known are client, account, digest, helo, return_path, recipient, session, reason
            fairban.toml:11:11: format.pattern: has no group (?P<client>…), so nobody would be blamed
            fairban.toml:13:36: format.examples.client: takes an address, such as "192.0.2.7", not "mx1"
            fairban.toml:13:43: format.examples.more: unknown key; known here: line, client
            fairban.toml:13:55: format.examples: needs client
            fairban.toml:13:71: format.examples: takes `{ line = "…", client = "ADDRESS" }`
            fairban.toml:16:11: format.pattern: not a pattern: unclosed group
            fairban.toml:24:1: format: a format named 'e' is there already
        "#]],
    );
}

#[test]
fn settings_that_disagree() {
    check(
        r#"[address]
ipv4_prefix = 24
[widen]
ipv6_prefix = 64
"#,
        expect![[r#"
            fairban.toml:2:15: address.ipv4_prefix: the networks of [widen] (/24) must be wider than those of [address] (/24)
            fairban.toml:4:15: widen.ipv6_prefix: the networks of [widen] (/64) must be wider than those of [address] (/64)
        "#]],
    );
}

#[test]
fn broken_toml() {
    check(
        r#"never = [
[node
name = "a"
"#,
        expect![[r#"
            fairban.toml:2:2: not valid TOML: this is no value; is a list before it not closed?
            fairban.toml:3:1: not valid TOML: missing comma between array elements, expected `,`
            fairban.toml:3:1: not valid TOML: this is no value; is a list before it not closed?
            fairban.toml:3:6: not valid TOML: unexpected `=` in array, expected value, `]`
            fairban.toml:3:8: not valid TOML: missing comma between array elements, expected `,`
            fairban.toml:3:11: not valid TOML: unclosed array, expected `]`
        "#]],
    );
}

#[test]
fn the_same_key_twice() {
    check(
        r#"[node]
name = "a"
name = "b"
[rule.login]
[rule.login]
"#,
        expect![[r#"
            fairban.toml:3:1: not valid TOML: duplicate key
            fairban.toml:5:7: not valid TOML: duplicate key
        "#]],
    );
}

#[test]
fn text_of_the_file_is_shown_safely() {
    check(
        r#""\u001b[31mred" = 1
[node]
name = "\u001b[31mxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
"#,
        expect![[r#"
            fairban.toml:1:1: \u{1b}[31mred: unknown key; known here: profile, never, mail_servers_ask, node, store, control, enforce, source, format, rule, address, familiar, widen, guard, outbound, diagnosis, limits, send, messages, dovecot, postfix, explain, web, portal, notices, notify, fleet
            fairban.toml:3:8: node.name: takes a name of 1 to 64 letters, digits, '.', '_' or '-', not "\u{1b}[31mxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…"
        "#]],
    );
}

#[test]
fn a_hopeless_file_is_not_told_in_full() {
    let text: String = (0..150).map(|number| format!("x{number} = 1\n")).collect();
    let problems = Config::from_toml(&text, "fairban.toml").unwrap_err();
    assert_eq!((problems.list.len(), problems.more), (100, 50));
    assert!(problems.to_string().ends_with("\n… and 50 more"));
}

#[test]
fn deep_and_wide_files_are_refused() {
    for text in [
        format!("x = {}", "[".repeat(100_000)),
        format!("{} = 1", vec!["a"; 100_000].join(".")),
        format!("[{}]", vec!["a"; 100_000].join(".")),
        format!("x = {}1{}", "{a=".repeat(50_000), "}".repeat(50_000)),
        (0..100_000).map(|number| format!("x{number}=1\n")).collect::<String>(),
    ] {
        assert!(Config::from_toml(&text, "fairban.toml").is_err());
    }
}

#[test]
fn a_text_needs_quotes() {
    check(
        "[enforce]\nmode = observe\n[store]\npath = /var/lib/x # note\nevent_retention = 20m\n",
        expect![[r#"
        fairban.toml:2:8: not valid TOML: string values must be quoted, expected literal string
        fairban.toml:4:8: not valid TOML: string values must be quoted, expected literal string
        fairban.toml:5:19: not valid TOML: string values must be quoted, expected literal string
    "#]],
    );
}

#[test]
fn no_cut_of_a_file_panics() {
    let text = "never = ['192.0.2.0/24', \"ü\"]\n[rule.login]\npoints = { spam = 5 }\nladder = ['1m']\n[[source]]\nfile = '/ü'\n";
    for (index, _) in text.char_indices() {
        let _ = Config::from_toml(&text[..index], "fairban.toml");
        let _ = Config::from_toml(&text[index..], "fairban.toml");
    }
}
