//! What the nodes of a fleet share: real redis-servers, one, a cluster, a watched pair, or one with TLS.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fairban_fleet::{FOREVER, Fact};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::backbone::{Backbone, SHARED};
use crate::process::{Daemon, output, wait_for};

const PORT: u16 = 6379;
const SENTINEL: u16 = 26_379;
const PATIENCE: Duration = Duration::from_secs(30);
/// What docs/fleet.md gives a node.
const RULE: [&str; 7] = ["~fairban:*", "+@read", "+@write", "+@scripting", "+@connection", "+info", "+time"];

/// How many servers there are, and how they are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One.
    One,
    /// Three shards.
    Cluster,
    /// A master, its replica, and a sentinel who watches them.
    Watched,
    /// One, with TLS, and a user for each node.
    Secured,
}

#[derive(Debug)]
struct Server {
    arguments: Vec<String>,
    address: SocketAddr,
    daemon: Option<Daemon>,
}

/// The servers, in a namespace of their own. Fields go in this order: first the servers, then the ground.
#[derive(Debug)]
pub(crate) struct Valkey {
    kind: Kind,
    servers: Vec<Server>,
    dir: TempDir,
    /// Where the nodes reach them.
    pub backbone: Backbone,
}

impl Valkey {
    /// Starts them, and waits until they answer.
    pub(crate) fn start(kind: Kind) -> Result<Valkey> {
        let mut valkey = Valkey { kind, servers: Vec::new(), dir: tempfile::tempdir()?, backbone: Backbone::new()? };
        let more = match kind {
            Kind::One => vec![Vec::new()],
            // Who connects is known by the address that they come from.
            Kind::Cluster => {
                SHARED.map(|own| words(&format!("--cluster-enabled yes --cluster-announce-ip {own}"))).to_vec()
            }
            Kind::Watched => {
                vec![Vec::new(), words(&format!("--replicaof {} {PORT}", SHARED[0]))]
            }
            Kind::Secured => vec![valkey.secrets()?],
        };
        for (address, more) in SHARED.iter().zip(more) {
            valkey.add(address, more)?;
        }
        for index in 0..valkey.servers.len() {
            valkey.begin(index)?;
        }
        match kind {
            Kind::Cluster => valkey.join_shards()?,
            Kind::Watched => valkey.watch()?,
            Kind::One | Kind::Secured => {}
        }
        Ok(valkey)
    }

    fn add(&mut self, host: &str, more: Vec<String>) -> Result<()> {
        let dir = self.dir.path().join(host);
        fs::create_dir(&dir)?;
        let ports = if self.kind == Kind::Secured { "--port 0 --tls-port 6379" } else { "--port 6379" };
        let mut arguments = words(ports);
        let dir = dir.display().to_string();
        arguments.extend(["--bind", host, "--bind-source-addr", host, "--dir", &dir, "--save", ""].map(str::to_owned));
        arguments.extend(words("--protected-mode no --appendonly no --repl-diskless-sync-delay 0"));
        arguments.extend(more);
        let address = SocketAddr::new(host.parse()?, PORT);
        self.servers.push(Server { arguments, address, daemon: None });
        Ok(())
    }

    /// Starts one of them, with nothing in it.
    pub(crate) fn begin(&mut self, index: usize) -> Result<()> {
        let log = self.dir.path().join("valkey.out");
        let server = &mut self.servers[index];
        let mut command = Command::new("redis-server");
        command.args(&server.arguments);
        let address = server.address;
        server.daemon = Some(self.backbone.inside(|| Daemon::start("redis-server", &mut command, &log))?);
        wait_for(&format!("redis-server at {address}"), PATIENCE, || {
            let is_there = self.backbone.inside(|| Ok(TcpStream::connect(address).is_ok()))?;
            Ok(is_there.then_some(()))
        })
        .with_context(|| fs::read_to_string(self.dir.path().join("valkey.out")).unwrap_or_default())
    }

    /// Ends one of them as a power cut would.
    pub(crate) fn kill(&mut self, index: usize) -> Result<()> {
        self.servers[index].daemon.take().context("redis-server does not run")?.kill()
    }

    /// Sends a signal to one of them.
    pub(crate) fn signal(&self, index: usize, signal: Signal) -> Result<()> {
        self.servers[index].daemon.as_ref().context("redis-server does not run")?.signal(signal)
    }

    /// What a node writes into its configuration, as `[fleet]`, to reach them.
    pub(crate) fn toml(&self, node: &str) -> String {
        let dir = self.dir.path().display();
        let hosts: Vec<String> = SHARED.iter().map(|address| format!("{address}:{PORT}")).collect();
        match self.kind {
            Kind::One => format!("url = \"redis://{}\"\n", hosts[0]),
            Kind::Cluster => format!("url = \"redis+cluster://{}\"\n", hosts.join(",")),
            Kind::Watched => format!("url = \"redis+sentinel://{}:{SENTINEL}/fleet\"\n", SHARED[2]),
            Kind::Secured => format!(
                "url = \"rediss://{node}@{}\"\npassword_file = \"{dir}/{node}.password\"\nauthority = \
                 \"{dir}/ca.pem\"\n",
                hosts[0]
            ),
        }
    }

    /// The folder with certificates and passwords.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Asks one of them by hand.
    pub(crate) fn ask(&self, index: usize, command: &[&str]) -> Result<String> {
        let address = self.servers[index].address;
        let mut cli = Command::new("redis-cli");
        cli.args(["--raw", "-h", &address.ip().to_string(), "-p", &address.port().to_string()]);
        if self.kind == Kind::Cluster {
            cli.arg("-c");
        }
        if self.kind == Kind::Secured {
            let authority = self.dir.path().join("ca.pem");
            cli.args(["--tls", "--user", "admin", "--pass", "secret-of-admin", "--no-auth-warning", "--cacert"]);
            cli.arg(authority);
        }
        self.backbone.inside(|| output(cli.args(command)))
    }

    /// All facts that are there, by the word of one of them.
    pub(crate) fn facts(&self, index: usize) -> Result<Vec<Fact>> {
        let text = self.ask(index, &["HVALS", "fairban:{all}:facts"])?;
        let fact = |line: &str| -> Result<Fact> { Ok(Fact { ends: FOREVER, ..serde_json::from_str(line)? }) };
        text.lines().filter(|line| !line.is_empty()).map(fact).collect()
    }

    fn join_shards(&self) -> Result<()> {
        let hosts = SHARED.map(|address| format!("{address}:{PORT}"));
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(&hosts).args(["--cluster-replicas", "0", "--cluster-yes"]);
        self.backbone.inside(|| output(&mut create))?;
        for index in 0..self.servers.len() {
            wait_for("the cluster to be whole", PATIENCE, || {
                Ok(self.ask(index, &["CLUSTER", "INFO"])?.contains("cluster_state:ok").then_some(()))
            })?;
        }
        Ok(())
    }

    /// Has a sentinel watch the first of them, once the second one follows.
    fn watch(&mut self) -> Result<()> {
        wait_for("the replica to follow", PATIENCE, || {
            Ok(self.ask(1, &["INFO", "replication"])?.contains("master_link_status:up").then_some(()))
        })?;
        let file = self.dir.path().join("sentinel.conf");
        let (master, own) = (SHARED[0], SHARED[2]);
        let text = format!(
            "port {SENTINEL}\nbind {own}\nprotected-mode no\ndir {dir}\nsentinel monitor fleet {master} {PORT} 1\n\
             sentinel down-after-milliseconds fleet 1000\nsentinel failover-timeout fleet 5000\n",
            dir = self.dir.path().display()
        );
        fs::write(&file, text)?;
        let arguments = vec![file.display().to_string(), "--sentinel".to_owned()];
        self.servers.push(Server { arguments, address: SocketAddr::new(own.parse()?, SENTINEL), daemon: None });
        self.begin(2)?;
        wait_for("the sentinel to know the replica", PATIENCE, || {
            Ok(self.ask(2, &["SENTINEL", "REPLICAS", "fleet"])?.contains(SHARED[1]).then_some(()))
        })
    }

    /// Waits until the replica has been made the master.
    pub(crate) fn until_promoted(&self) -> Result<()> {
        wait_for("the sentinel to promote the replica", PATIENCE, || {
            Ok(self.ask(1, &["ROLE"])?.starts_with("master").then_some(()))
        })
    }

    /// An authority, the server's certificate, and users with their passwords: of the nodes mx1 to mx3, of one who may
    /// only read, and of the administrator.
    fn secrets(&self) -> Result<Vec<String>> {
        let dir = self.dir.path();
        certify(dir)?;
        let file = |name: &str| dir.join(name).display().to_string();
        let mut arguments = words("--tls-auth-clients no --user default off");
        for (option, name) in
            [("--tls-cert-file", "valkey.pem"), ("--tls-key-file", "valkey.key"), ("--tls-ca-cert-file", "ca.pem")]
        {
            arguments.extend([option.to_owned(), file(name)]);
        }
        let mut user = |name: &str, rule: &[&str]| {
            let password = format!("secret-of-{name}");
            fs::write(dir.join(format!("{name}.password")), format!("{password}\n"))?;
            arguments.extend(["--user", name, "on", &format!(">{password}")].map(str::to_owned));
            arguments.extend(rule.iter().map(|word| (*word).to_owned()));
            Ok::<(), std::io::Error>(())
        };
        for node in ["mx1", "mx2", "mx3"] {
            user(node, &RULE)?;
        }
        user("reader", &["~fairban:*", "+@read", "+@connection"])?;
        user("admin", &["~*", "+@all"])?;
        Ok(arguments)
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Two authorities, one of which has signed the server's certificate.
fn certify(dir: &Path) -> Result<()> {
    let file = |name: &str| -> PathBuf { dir.join(name) };
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    for name in ["ca", "other"] {
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-days", "2", "-subj", &format!("/CN=Authority {name}")]).args(key);
        command.arg("-keyout").arg(file(&format!("{name}.key"))).arg("-out").arg(file(&format!("{name}.pem")));
        output(&mut command)?;
    }
    let mut request = Command::new("openssl");
    request.args(["req", "-subj", "/CN=valkey.example.test"]).args(key);
    request.arg("-keyout").arg(file("valkey.key")).arg("-out").arg(file("valkey.csr"));
    output(&mut request)?;
    fs::write(file("san"), format!("subjectAltName=IP:{}\nbasicConstraints=critical,CA:FALSE\n", SHARED[0]))?;
    let mut sign = Command::new("openssl");
    sign.args(["x509", "-req", "-days", "2", "-CAcreateserial", "-in"]).arg(file("valkey.csr"));
    sign.arg("-CA").arg(file("ca.pem")).arg("-CAkey").arg(file("ca.key"));
    sign.arg("-extfile").arg(file("san")).arg("-out").arg(file("valkey.pem"));
    output(&mut sign)?;
    ensure!(file("valkey.pem").exists(), "openssl has signed nothing");
    Ok(())
}
