//! On what terms nodes share: who is let in at Valkey, which rules are all nodes', who may not send.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::agree::{Member, until_agreed};
use super::faults::{all, block, offend, release, with, with_nodes};
use crate::e2e::{SOON, Test};
use crate::lab::node::{Node, Wanted};
use crate::lab::valkey::{Kind, Valkey};
use crate::process::{output, wait_for};

pub(super) fn tests() -> Vec<Test> {
    vec![
        Test::alone("nodes_join_over_tls_each_with_a_user", |program| with(program, Kind::Secured, secured)),
        Test::alone("rules_set_on_one_node_hold_on_all", rules),
        Test::alone("a_send_block_holds_on_every_node", send_blocks),
    ]
}

/// Far apart, so that nothing is widened.
const OFFENDERS: [&str; 3] = ["192.0.2.10", "198.51.100.10", "203.0.113.10"];

fn secured(valkey: &mut Valkey, nodes: &mut [Node]) -> Result<()> {
    block(&nodes[0], "192.0.2.1")?;
    until_agreed(valkey, &all(nodes), &["192.0.2.1"])?;
    let dir = valkey.dir().display().to_string();
    fs::write(valkey.dir().join("wrong.password"), "not-the-secret\n")?;
    let good = valkey.toml("mx3");
    let wrong = |from: &str, to: &str| -> Result<String> {
        ensure!(good.contains(from), "{good} has no {from}");
        Ok(good.replace(from, to))
    };
    let cases = [
        (wrong(&format!("{dir}/ca.pem"), &format!("{dir}/other.pem"))?, "no secure connection"),
        (wrong("mx3.password", "wrong.password")?, "refuses the user or password"),
        (
            wrong("mx3@", "reader@")?.replace("mx3.password", "reader.password"),
            "ACL does not let this user do what is needed",
        ),
    ];
    let config = fs::read_to_string(nodes[2].fairban.config())?;
    for (number, (bad, said)) in cases.iter().enumerate() {
        let node = &mut nodes[2];
        node.fairban.stop()?;
        node.fairban.write_config(&config.replace(&good, bad))?;
        node.fairban.start(&node.net)?;
        let status = wait_for(&format!("`fleet status` to say: {said}"), SOON, || {
            let status = node.fairban.ask(&["fleet", "status"])?;
            Ok((status.status == 1 && status.text.contains(said)).then_some(status.text))
        })?;
        ensure!(!status.contains("secret"), "a secret is told: {status}");
        println!("{}", status.lines().find(|line| line.contains("PROBLEM")).unwrap_or_default());
        offend(node, OFFENDERS[number])?;
    }
    release(&nodes[1], "192.0.2.1")?;
    nodes[2].fairban.stop()?;
    nodes[2].fairban.write_config(&config)?;
    nodes[2].begin()?;
    until_agreed(valkey, &all(nodes), &OFFENDERS)
}

/// The administrator's API, from the machine itself.
const WEB: &str = "127.0.0.1:8625";
const KEY: &str = "rule.login.threshold";

/// The API of one node, as an administrator.
struct Api<'n> {
    node: &'n Node,
    token: String,
}

impl<'n> Api<'n> {
    fn of(node: &'n Node) -> Result<Api<'n>> {
        let token = node.fairban.tell(&["token", "create", "--scope", "admin", "--name", &node.name])?;
        Ok(Api { node, token: token.trim().to_owned() })
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "20", "-X", method, "-H", &format!("Authorization: Bearer {}", self.token)]);
        if let Some(body) = body {
            curl.args(["-H", "Content-Type: application/json", "-d", &body.to_string()]);
        }
        curl.arg(format!("http://{WEB}/api/v1/{path}"));
        let text = self.node.net.on_server(|| output(&mut curl))?;
        serde_json::from_str(&text).with_context(|| format!("{method} {path}: {text}"))
    }

    /// Sets the threshold, or takes it back; returns the answer's text.
    fn set(&self, value: Option<&str>, reason: &str) -> Result<String> {
        let answer = self.call("PATCH", "rules", Some(&json!({ "values": { KEY: value }, "reason": reason })))?;
        answer["message"].as_str().map(str::to_owned).with_context(|| format!("no message: {answer}"))
    }

    /// The threshold with where it comes from.
    fn threshold(&self) -> Result<(String, String)> {
        let rules = self.call("GET", "rules", None)?;
        let rows = rules["values"].as_array().with_context(|| format!("no values: {rules}"))?;
        let row = rows.iter().find(|row| row["key"] == KEY).with_context(|| format!("no {KEY}: {rules}"))?;
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        Ok((text("value"), text("from")))
    }

    fn until_threshold(&self, value: &str) -> Result<()> {
        let mut has = (String::new(), String::new());
        wait_for(&format!("the threshold of {} to be {value}", self.node.name), SOON * 3, || {
            has = self.threshold()?;
            Ok((has.0 == value).then_some(()))
        })
        .with_context(|| format!("it is {has:?}"))
    }

    fn newest_change(&self) -> Result<Value> {
        let changes = self.call("GET", "rules/changes", None)?;
        let list = ["rows", "changes", "items"].iter().find_map(|name| changes[name].as_array()).or(changes.as_array());
        list.and_then(|list| list.first()).cloned().with_context(|| format!("no changes: {changes}"))
    }
}

/// The newer value wins on all nodes that share rules, and on no other.
fn rules(program: &Path) -> Result<()> {
    let more = format!("[web]\nlisten = \"{WEB}\"\n");
    let sharing = Wanted { more: &more, ..Wanted::default() };
    let wanted = [sharing, sharing, Wanted { fleet: "share_rules = false\n", ..sharing }];
    with_nodes(program, Kind::One, wanted, |valkey, nodes| {
        {
            let [one, two, apart] = [Api::of(&nodes[0])?, Api::of(&nodes[1])?, Api::of(&nodes[2])?];
            let told = one.set(Some("150"), "a trial")?;
            ensure!(told.contains("in effect on mx1, mx2") && !told.contains("mx3"), "not said where it holds: {told}");
            two.until_threshold("150")?;
            let change = two.newest_change()?;
            let (by, reason) = (change["by"].to_string(), change["reason"].to_string());
            ensure!(by.contains("mx1"), "the audit of mx2 does not say who: {change}");
            ensure!(reason.contains("a trial (on mx1)"), "the audit of mx2 does not say where: {change}");
            ensure!(apart.threshold()?.0 == "250", "a node that shares no rules has another's");
            apart.set(Some("500"), "its own")?;
            two.set(Some("200"), "newer")?;
            one.until_threshold("200")?;
            let seq = one.newest_change()?["seq"].as_i64().context("no number")?;
            one.call("POST", &format!("rules/changes/{seq}/revert"), None)?;
            two.until_threshold("150")?;
        }
        // It is not only shown: three failures suffice there.
        nodes[1].fail("192.0.2.1", 3)?;
        until_agreed(valkey, &all(nodes), &["192.0.2.1"])?;
        // Set on both while neither hears the other: the newer one wins, though its node is told later.
        valkey.kill(0)?;
        Api::of(&nodes[1])?.set(Some("300"), "older")?;
        Api::of(&nodes[0])?.set(Some("350"), "newer")?;
        nodes[1].fairban.kill()?;
        valkey.begin(0)?;
        nodes[1].begin()?;
        for node in &nodes[..2] {
            Api::of(node)?.until_threshold("350")?;
        }
        Api::of(&nodes[1])?.set(None, "as it was")?;
        for node in &nodes[..2] {
            Api::of(node)?.until_threshold("250")?;
        }
        ensure!(Api::of(&nodes[2])?.threshold()?.0 == "500", "a node that shares no rules was told others'");
        Ok(())
    })
}

/// Where Fairban answers Postfix.
const POLICY: &str = "127.0.0.1:10625";

/// The answer to a recipient, as Postfix asks.
fn asked(node: &Node, return_path: &str) -> Result<String> {
    let question = format!(
        "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nclient_address=198.51.100.20\n\
         helo_name=client.example.net\nsender={return_path}\nrecipient=alice@example.test\nsasl_username=\n\n"
    );
    node.net.on_server(|| {
        let mut stream = TcpStream::connect(POLICY)?;
        stream.set_read_timeout(Some(SOON))?;
        stream.write_all(question.as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    })
}

fn send_blocks(program: &Path) -> Result<()> {
    let more = format!("[postfix]\nlisten = \"{POLICY}\"\n\n[send]\nlocal_domains = [\"example.test\"]\n");
    let wanted = Wanted { more: &more, ..Wanted::default() };
    with_nodes(program, Kind::One, [wanted; 3], |valkey, nodes| {
        let refusing = |nodes: &[Node], is_refused: bool| -> Result<()> {
            for node in nodes {
                let answer = asked(node, "spam@evil.test")?;
                let refuses = answer.starts_with("action=5") || answer.starts_with("action=REJECT");
                ensure!(refuses == is_refused, "{} answers {answer}", node.name);
                ensure!(asked(node, "good@evil.test")?.contains("DUNNO"), "{} refuses another sender", node.name);
            }
            Ok(())
        };
        refusing(nodes, false)?;
        let told = nodes[0].fairban.tell(&["send-block", "add", "spam@evil.test", "--for", "1h"])?;
        println!("{told}");
        let subject = nodes[0].fairban.blocked()?.into_iter().next().context("no send block")?;
        until_agreed(valkey, &nodes.iter().map(Member::from).collect::<Vec<_>>(), &[&subject])?;
        refusing(nodes, true)?;
        let told = nodes[2].fairban.tell(&["send-block", "remove", "spam@evil.test"])?;
        ensure!(super::NAMES.iter().all(|name| told.contains(name)), "the release does not name all nodes: {told}");
        until_agreed(valkey, &all(nodes), &[])?;
        refusing(nodes, false)
    })
}
