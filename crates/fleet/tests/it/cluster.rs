//! Three shards, each of a third of all slots.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) struct Cluster {
    children: Vec<Child>,
    ports: Vec<u16>,
    _folders: Vec<tempfile::TempDir>,
}

impl Cluster {
    /// `None`: this machine has no redis-server.
    pub(crate) fn start() -> Option<Cluster> {
        Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().ok()?;
        // The bus of the cluster listens 10,000 ports higher.
        let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok();
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let ports: Vec<u16> =
            std::iter::repeat_with(free).map(|port| port % 20_000 + 20_000).filter(is_free).take(3).collect();
        let mut cluster = Cluster { children: Vec::new(), ports, _folders: Vec::new() };
        for port in cluster.ports.clone() {
            let folder = tempfile::tempdir().unwrap();
            let child = Command::new("redis-server")
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--cluster-enabled", "yes", "--save", ""])
                .args(["--appendonly", "no", "--dir"])
                .arg(folder.path())
                .stdout(Stdio::null())
                .spawn();
            cluster.children.push(child.unwrap());
            cluster._folders.push(folder);
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        let until = |what: &str, mut test: Box<dyn FnMut() -> bool>| {
            while !test() {
                assert!(Instant::now() < deadline, "no cluster: {what}");
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        for port in cluster.ports.clone() {
            until("no answer", Box::new(move || cli(port, &["PING"]).contains("PONG")));
        }
        let hosts: Vec<String> = cluster.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let made = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(hosts)
            .args(["--cluster-replicas", "0", "--cluster-yes"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        for port in cluster.ports.clone() {
            until("not whole", Box::new(move || cli(port, &["CLUSTER", "INFO"]).contains("cluster_state:ok")));
        }
        Some(cluster)
    }

    pub(crate) fn url(&self) -> String {
        let hosts: Vec<String> = self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }
}

fn cli(port: u16, words: &[&str]) -> String {
    let answer = Command::new("redis-cli").args(["-p", &port.to_string()]).args(words).output().unwrap();
    String::from_utf8_lossy(&answer.stdout).into_owned()
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in &mut self.children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
