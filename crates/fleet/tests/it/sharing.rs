//! Nodes and a real server.

use std::collections::BTreeSet;
use std::time::Duration;

use fairban_fleet::{Change, Failure, Fleet, Heard, Settings, State};
use fairban_types::{Event, EventKind, Service, Subject, Time};
use nix::sys::signal::Signal;
use tokio::sync::mpsc::Receiver;

use crate::cluster::Cluster;
use crate::merging::{BY, block};
use crate::server::Server;

/// A node whose engine is a set.
struct Node {
    fleet: Fleet,
    heard: Receiver<Heard>,
    standing: BTreeSet<Subject>,
}

/// A wrong password for alice.
fn failure_of(client: &str, digest: &str) -> Failure {
    let client = client.parse().unwrap();
    let event = Event::new(EventKind::LoginFailed, now(), client, Service::Imap).account("alice");
    Failure { event: event.digest(digest.to_owned()), home: fairban_types::single(client), neighbourhood: None }
}

fn now() -> Time {
    Time::from(std::time::SystemTime::now())
}

impl Node {
    async fn join(server: &Server, name: &str) -> Node {
        Node::join_at(&server.url(), name).await
    }

    async fn join_at(url: &str, name: &str) -> Node {
        let node = Node::with(Settings::new(url, name));
        let joining = tokio::time::timeout(Duration::from_secs(30), node.until(State::Connected));
        assert!(joining.await.is_ok(), "{name} does not join: {:?}", node.fleet.status());
        node
    }

    fn with(settings: Settings) -> Node {
        let (fleet, heard) = Fleet::start(settings, &[]).unwrap();
        Node { fleet, heard, standing: BTreeSet::new() }
    }

    /// The password digests of failures that were seen elsewhere, once there are some.
    async fn hears(&mut self) -> (Vec<String>, Vec<String>) {
        let mut familiar = Vec::new();
        loop {
            let heard = self.heard.recv().await.unwrap();
            familiar.extend(heard.familiar.iter().map(|(who, at, _)| format!("{who} {at}")));
            if !heard.failures.is_empty() {
                let digest = |(_, event): &(u64, Event<'_>)| event.digest.as_deref().unwrap().to_owned();
                return (heard.failures.iter().map(digest).collect(), familiar);
            }
        }
    }

    async fn until(&self, state: State) {
        while self.fleet.status().state != state {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn block(&mut self, subject: &str, code: u64) {
        let decision = block(subject, code, now(), Some(now().after(Duration::from_secs(600))));
        self.standing.insert(decision.subject.clone());
        self.fleet.decided(&decision);
    }

    fn carry_out(&mut self) {
        for change in self.fleet.take() {
            match change {
                Change::Block { decision, .. } => drop(self.standing.insert(decision.subject.clone())),
                Change::Lift { subject, .. } | Change::Release { subject, .. } => drop(self.standing.remove(&subject)),
                _ => {}
            }
        }
        self.fleet.carried_out();
    }

    /// Carries out what comes until the same stands here.
    async fn until_standing(&mut self, subjects: &[&str]) {
        let wanted: BTreeSet<Subject> = subjects.iter().map(|subject| subject.parse().unwrap()).collect();
        let done = tokio::time::timeout(Duration::from_secs(20), async {
            while self.standing != wanted {
                self.fleet.changed().await;
                self.carry_out();
            }
        });
        if done.await.is_err() {
            panic!("{} has {:?} and not {wanted:?}: {:?}", self.fleet.node(), self.standing, self.fleet.status());
        }
    }

    /// Carries out whatever comes, for ever.
    fn serve(mut self) -> tokio::task::JoinHandle<()> {
        tokio::spawn(async move {
            loop {
                self.fleet.changed().await;
                self.carry_out();
            }
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_and_its_release_reach_every_node() {
    let Some(server) = Server::start(&[]) else { return };
    let (mut one, mut two) = (Node::join(&server, "mx1").await, Node::join(&server, "mx2").await);
    one.block("192.0.2.7", 1);
    two.until_standing(&["192.0.2.7"]).await;
    let three = Node::join(&server, "mx3").await.serve();
    let subject: Subject = "192.0.2.7".parse().unwrap();
    two.standing.remove(&subject);
    let ticket = two.fleet.released(&subject, BY).unwrap();
    let fleet = two.fleet.clone();
    let confirming = tokio::spawn(async move { fleet.confirm(&ticket, Duration::from_secs(10)).await });
    one.until_standing(&[]).await;
    let confirmation = confirming.await.unwrap();
    assert_eq!(confirmation.unreached, [""; 0]);
    assert_eq!(confirmation.reached.len(), 3);
    // A node that is there but does not carry out is named.
    three.abort();
    let ticket = two.fleet.released(&subject, BY).unwrap();
    let serving = one.serve();
    let confirmation = two.fleet.confirm(&ticket, Duration::from_secs(10)).await;
    assert_eq!(confirmation.unreached, ["mx3"]);
    serving.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_lost_everything_is_told_again() {
    let Some(mut server) = Server::start(&[]) else { return };
    let (mut one, mut two) = (Node::join(&server, "mx1").await, Node::join(&server, "mx2").await);
    one.block("192.0.2.7", 1);
    two.until_standing(&["192.0.2.7"]).await;
    server.end();
    one.until(State::Alone).await;
    assert!(one.fleet.status().problem.is_some());
    // Both sides go on alone.
    one.block("192.0.2.8", 2);
    two.block("192.0.2.9", 3);
    server.begin();
    let all = ["192.0.2.7", "192.0.2.8", "192.0.2.9"];
    one.until_standing(&all).await;
    two.until_standing(&all).await;
    let mut fresh = Node::join(&server, "mx3").await;
    fresh.until_standing(&all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_lost_its_last_moments_is_told_again() {
    let Some(mut server) = Server::start(&[]) else { return };
    let (mut one, mut two) = (Node::join(&server, "mx1").await, Node::join(&server, "mx2").await);
    one.block("192.0.2.7", 1);
    one.block("192.0.2.8", 2);
    two.until_standing(&["192.0.2.7", "192.0.2.8"]).await;
    // A replica that lags takes over: it knows neither the release nor the last block.
    server.save();
    let subject: Subject = "192.0.2.7".parse().unwrap();
    two.standing.remove(&subject);
    two.fleet.released(&subject, BY);
    two.block("192.0.2.9", 3);
    one.until_standing(&["192.0.2.8", "192.0.2.9"]).await;
    server.end();
    one.until(State::Alone).await;
    server.begin();
    let mut three = Node::join(&server, "mx3").await;
    three.until_standing(&["192.0.2.8", "192.0.2.9"]).await;
    one.until(State::Connected).await;
    two.until(State::Connected).await;
    one.carry_out();
    two.carry_out();
    assert_eq!(one.standing, three.standing);
    assert_eq!(two.standing, three.standing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_makes_nobody_wait() {
    let Some(server) = Server::start(&[]) else { return };
    let (mut one, mut two) = (Node::join(&server, "mx1").await, Node::join(&server, "mx2").await);
    server.signal(Signal::SIGSTOP);
    one.block("192.0.2.7", 1);
    one.until(State::Alone).await;
    two.until(State::Alone).await;
    two.block("192.0.2.8", 2);
    server.signal(Signal::SIGCONT);
    one.until_standing(&["192.0.2.7", "192.0.2.8"]).await;
    two.until_standing(&["192.0.2.7", "192.0.2.8"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_away_catches_up_though_the_stream_was_trimmed() {
    let Some(server) = Server::start(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        stream_max: 10,
        journal: Some(folder.path().join("fleet.journal")),
        ..Settings::new(&server.url(), "mx1")
    };
    let mut one = Node::with(settings.clone());
    one.until(State::Connected).await;
    one.block("192.0.2.7", 1);
    let mut two = Node::join(&server, "mx2").await;
    two.until_standing(&["192.0.2.7"]).await;
    one.fleet.stop().await;
    drop(one);
    // Every entry is pushed out, and the release with it.
    let subject: Subject = "192.0.2.7".parse().unwrap();
    two.standing.remove(&subject);
    two.fleet.released(&subject, BY);
    for n in 0..400 {
        two.block(&format!("198.51.100.{}", n % 200), 100 + n);
    }
    // It comes back with what its store has.
    let stored = block("192.0.2.7", 1, now(), Some(now().after(Duration::from_secs(600))));
    let (fleet, heard) = Fleet::start(settings, std::slice::from_ref(&stored)).unwrap();
    let mut one = Node { fleet, heard, standing: [subject].into() };
    let all: Vec<String> = (0..200).map(|n| format!("198.51.100.{n}")).collect();
    one.until_standing(&all.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_add_up_over_nodes_and_the_same_password_counts_once() {
    let Some(server) = Server::start(&[]) else { return };
    let (mut one, mut two) = (Node::join(&server, "mx1").await, Node::join(&server, "mx2").await);
    let failure = |digest: &str| failure_of("192.0.2.7", digest);
    one.fleet.greet("Alice", "198.51.100.7".parse().unwrap(), "198.51.100.7/32".parse().unwrap(), now());
    one.fleet.count(failure("0001"));
    one.fleet.count(failure("0002"));
    one.fleet.count(failure("0002"));
    while one.fleet.status().counted < 6 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    two.fleet.count(failure("0002"));
    // The other node's second password is the one that was tried here: it is not told again.
    assert_eq!(two.hears().await, (vec!["0001".to_owned()], vec!["alice 198.51.100.7".to_owned()]));
    // Who has not failed here may be asked about too.
    two.fleet.ask("198.51.100.7/32".parse().unwrap());
    let heard = two.heard.recv().await.unwrap();
    assert_eq!(heard.familiar[0].0, "alice");
    // Only what is new is told.
    one.fleet.count(failure("0003"));
    while one.fleet.status().counted < 8 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    two.fleet.count(failure("0004"));
    assert_eq!(two.hears().await.0, ["0003"]);
    // What led to a block is spent.
    two.fleet.spend(&"192.0.2.7".parse().unwrap());
    two.fleet.spend(&"alice".parse().unwrap());
    two.fleet.count(failure("0005"));
    while two.fleet.status().counted < 6 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    one.fleet.count(failure("0006"));
    assert_eq!(one.hears().await.0, ["0005"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_three_shards_is_as_good_as_one_server() {
    let Some(cluster) = Cluster::start() else { return };
    let mut one = Node::join_at(&cluster.url(), "mx1").await;
    let mut two = Node::join_at(&cluster.url(), "mx2").await;
    let all: Vec<String> = (0..50).map(|n| format!("192.0.2.{n}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    for (code, subject) in all.iter().enumerate() {
        one.block(subject, code as u64);
    }
    two.until_standing(&all).await;
    for n in 0..50 {
        one.fleet.count(failure_of(&format!("198.51.100.{n}"), "0001"));
        two.fleet.count(failure_of(&format!("198.51.100.{n}"), "0002"));
    }
    while one.fleet.status().counted < 100 || two.fleet.status().counted < 100 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    one.fleet.count(failure_of("198.51.100.7", "0003"));
    let heard = one.hears().await.0;
    assert!(heard.contains(&"0002".to_owned()), "{heard:?}");
    let serving = one.serve();
    let subject: Subject = "192.0.2.7".parse().unwrap();
    let ticket = two.fleet.released(&subject, BY).unwrap();
    let confirmation = two.fleet.confirm(&ticket, Duration::from_secs(10)).await;
    assert_eq!((confirmation.reached.len(), confirmation.unreached.len()), (2, 0), "{confirmation:?}");
    serving.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_clearly() {
    let Some(server) = Server::start(&[
        "--user",
        "default",
        "off",
        "--user",
        "mx1",
        "on",
        ">secret",
        "~fairban:*",
        "+@read",
        "+@connection",
    ]) else {
        return;
    };
    let url = |login: &str| server.url().replace("://", &format!("://{login}@"));
    for (url, part) in [
        (server.url(), "refuses the user or password"),
        (url("mx1:wrong"), "refuses the user or password"),
        (url("mx1:secret"), "ACL does not let"),
        ("redis://127.0.0.1:1".to_owned(), "cannot be reached"),
        (format!("rediss://{}", "127.0.0.1:1"), "cannot be reached"),
    ] {
        let node = Node::with(Settings::new(&url, "mx1"));
        while node.fleet.status().problem.is_none() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let status = node.fleet.status();
        let problem = status.problem.unwrap();
        assert_eq!(status.state, State::Alone);
        assert!(problem.contains(part), "{url}: {problem}");
        assert!(!problem.contains("secret"));
    }
    assert!(Fleet::start(Settings::new("nonsense", "mx1"), &[]).is_err());
    // With the rule that docs/fleet.md names, everything works.
    let rule = ["~fairban:*", "+@read", "+@write", "+@scripting", "+@connection", "+info", "+time"];
    let options: Vec<&str> =
        ["--user", "default", "off", "--user", "mx1", "on", ">secret"].into_iter().chain(rule).collect();
    let Some(server) = Server::start(&options) else { return };
    let mut node = Node::with(Settings::new(&server.url().replace("://", "://mx1:secret@"), "mx1"));
    node.until(State::Connected).await;
    node.block("192.0.2.7", 1);
    let ticket = node.fleet.released(&"192.0.2.7".parse().unwrap(), BY).unwrap();
    assert_eq!(node.fleet.confirm(&ticket, Duration::from_secs(5)).await.unreached, [""; 0]);
    let status = node.fleet.status();
    assert_eq!((status.unsent, status.problem), (0, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eviction_is_said_and_survived() {
    let Some(server) = Server::start(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]) else { return };
    let node = Node::join(&server, "mx1").await;
    assert!(node.fleet.status().warnings.iter().any(|said| said.contains("noeviction")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_evicts_is_told_again_at_once() {
    let Some(server) = Server::start(&[]) else { return };
    let (mut one, mut two) = (Node::join(&server, "mx1").await, Node::join(&server, "mx2").await);
    one.block("192.0.2.7", 1);
    two.block("192.0.2.8", 2);
    let both = ["192.0.2.7", "192.0.2.8"];
    one.until_standing(&both).await;
    two.until_standing(&both).await;
    let key = |name: &str| format!("fairban:{{all}}:{name}");
    for evicted in [vec!["ranks"], vec!["facts"], vec!["ends"], vec!["birth"], vec!["facts", "ranks", "ends"]] {
        let keys: Vec<String> = evicted.iter().map(|name| key(name)).collect();
        let words: Vec<&str> = ["DEL"].into_iter().chain(keys.iter().map(String::as_str)).collect();
        server.ask(&words);
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        let has = |command: &str, name: &str| server.ask(&[command, &key(name)]) == "2";
        while !(has("HLEN", "ranks") && has("HLEN", "facts") && has("ZCARD", "ends")) {
            assert!(std::time::Instant::now() < deadline, "{evicted:?} does not come back");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let mut fresh = Node::join(&server, "mx3").await;
    fresh.until_standing(&both).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_but_not_carried_out_comes_again_after_a_crash() {
    let Some(server) = Server::start(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let settings =
        Settings { journal: Some(folder.path().join("fleet.journal")), ..Settings::new(&server.url(), "mx1") };
    let one = Node::with(settings.clone());
    one.until(State::Connected).await;
    let two = Node::join(&server, "mx2").await;
    let listed = "192.0.2.0/24".parse().unwrap();
    two.fleet.never(listed, true, None, BY);
    let is_listed = |change: &Change| matches!(change, Change::Never { net, listed: true, .. } if *net == listed);
    let taken = async |node: &Node| {
        while !node.fleet.take().iter().any(is_listed) {
            node.fleet.changed().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), taken(&one)).await.expect("the entry comes");
    // It ends here, before the store has it.
    one.fleet.stop().await;
    drop(one);
    let one = Node::with(settings.clone());
    tokio::time::timeout(Duration::from_secs(20), taken(&one)).await.expect("the entry comes again");
    one.fleet.carried_out();
    one.fleet.stop().await;
    drop(one);
    let one = Node::with(settings);
    one.until(State::Connected).await;
    assert!(!one.fleet.take().iter().any(is_listed), "what was carried out comes no more");
}
