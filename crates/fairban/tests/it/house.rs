//! What the daemon tells others: metrics, and notifications.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;

use crate::node::{Node, PATIENCE, until};

/// An address where nobody listens yet.
fn free() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = until("the pages answer", || TcpStream::connect(address).ok());
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Names that begin as ours do.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !is_part(c)).filter(|word| word.starts_with("fairban_"));
    words.map(str::to_owned).collect()
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let (web, dovecot) = (free(), free());
    let _node = Node::start(&format!(
        "[web]\nlisten = \"{web}\"\n[dovecot]\nlisten = \"{dovecot}\"\n[[notify]]\ncommand = [\"/bin/true\"]\n"
    ));
    let page = get(web, "/metrics");
    let told: BTreeSet<String> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).map(str::to_owned).collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/grafana/fairban.json");
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let asked = names(&dashboard.to_string());
    assert!(asked.len() > 20, "{asked:?}");
    let missing: Vec<&String> = asked.difference(&told).collect();
    assert!(missing.is_empty(), "{missing:?} are asked for, and not among {told:?}");
    let unseen: Vec<&String> = told.difference(&asked).collect();
    assert!(unseen.is_empty(), "no panel shows {unseen:?}");
}

/// The headers and the body of a message.
type Heard = (Vec<(String, String)>, Value);

/// As much of HTTP as a webhook's other end needs. Answers with these, one after the other, the last again and again.
fn listener(answers: &'static [&'static str]) -> (SocketAddr, Receiver<Heard>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let Ok(stream) = stream else { return };
            let mut reader = BufReader::new(stream);
            let mut headers = Vec::new();
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap() <= 2 {
                    break;
                }
                let (name, value) = line.trim().split_once([':', ' ']).unwrap();
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            let length = headers.iter().find(|(name, _)| name == "content-length").unwrap().1.parse().unwrap();
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let answer = answers[number.min(answers.len() - 1)];
            write!(reader.get_mut(), "HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n").unwrap();
            if tell.send((headers, serde_json::from_slice(&body).unwrap())).is_err() {
                return;
            }
        }
    });
    (address, told)
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> &'a str {
    headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

#[test]
fn a_webhook_is_told_again_until_it_takes_it() {
    let (address, told) = listener(&["503 not now", "204 no content"]);
    let node = Node::idle("");
    let secret = node.path("secret");
    std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
    node.configure(&format!(
        "[[notify]]\nwebhook = \"http://{address}/in\"\nsecret_file = \"{}\"\noccasions = [\"blocked\"]\n",
        secret.display()
    ));
    let mut node = node;
    node.run();
    assert_eq!(node.fairban(&["block", "192.0.2.7", "--permanent", "--reason", "scanner"]).status, 0);
    let (first, body) = told.recv_timeout(PATIENCE).unwrap();
    let (second, again) = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!((&body["type"], &body["data"]["subject"]), (&"blocked".into(), &"192.0.2.7".into()), "{body}");
    assert_eq!((header(&first, "webhook-id"), &body), (header(&second, "webhook-id"), &again));
    assert!(header(&first, "webhook-signature").starts_with("v1,"), "{first:?}");
    assert!(header(&first, "webhook-timestamp").parse::<i64>().is_ok());
    // The same subject again is no news.
    assert_eq!(node.fairban(&["block", "192.0.2.7", "--for", "1h"]).status, 0);
    assert_eq!(node.fairban(&["block", "192.0.2.8", "--for", "1h"]).status, 0);
    let (_, body) = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(body["data"]["subject"], "192.0.2.8");
    until("both are counted", || {
        let status = &node.json(&["status"])[0]["notify"][0];
        (status["told"] == 2 && status["waiting"] == 0 && status["problem"].is_null()).then_some(())
    });
    let said = node.fairban(&["notify", "--test"]);
    assert_eq!((said.status, said.out.trim()), (0, "webhook  webhook  it was taken"), "{said:?}");
    assert_eq!(told.recv_timeout(PATIENCE).unwrap().1["type"], "test");
}

#[test]
fn a_program_is_told_without_a_shell() {
    let node = Node::idle("");
    let (program, heard) = (node.path("tell"), node.path("heard"));
    let script = format!("#!/bin/sh\nprintf '%s\\n' \"$1\" >> {0}\ncat >> {0}\necho >> {0}\n", heard.display());
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    node.configure(&format!(
        "[[notify]]\ncommand = [\"{}\", \"$(id) ; rm\"]\noccasions = [\"source_failed\", \"blocked\"]\n\
         [[notify]]\nname = \"none\"\ncommand = [\"{}\"]\noccasions = [\"blocked\"]\n",
        program.display(),
        node.path("nothing").display()
    ));
    let mut node = node;
    node.run();
    assert_eq!(node.fairban(&["block", "192.0.2.7", "--for", "1h"]).status, 0);
    let lines = until("the program is told", || {
        let text = std::fs::read_to_string(&heard).ok()?;
        (text.lines().count() >= 2).then(|| text.lines().map(str::to_owned).collect::<Vec<_>>())
    });
    assert_eq!(lines[0], "$(id) ; rm");
    let told: Value = serde_json::from_str(&lines[1]).unwrap();
    assert_eq!(told["data"]["subject"], "192.0.2.7");
    let problem = until("the failure is shown", || {
        let status = node.json(&["status"])[0]["notify"][1].clone();
        status["problem"].as_str().map(str::to_owned)
    });
    assert!(problem.contains("cannot be started"), "{problem}");
    let said = node.fairban(&["notify", "--test", "none"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert_eq!(node.fairban(&["notify", "--test", "nobody"]).status, 1);
    assert!(node.fairban(&["status"]).out.contains("none: "), "what fails is a note in `status`");
}
