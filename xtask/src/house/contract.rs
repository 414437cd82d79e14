//! What the API's document promises, tried by schemathesis, which is somebody else's program: it reads the document, makes
//! up requests that fit it and such that do not, and looks whether each answer is one that the document tells of.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::fill::{self, Size};
use super::http::Client;
use super::node::Node;
use crate::debian;
use crate::process::{find, output, run, target, wait_for};

/// Another version may look for other things: then it is raised on purpose.
const VERSION: &str = "4.32.5";

/// A value may be of the right form and make no sense all the same: a domain administrator without a domain, a sender whom
/// nobody can be. That is answered by 422, which the document tells of for every call.
const SETTINGS: &str = "[checks.positive_data_acceptance]\nexpected-statuses = [\"2xx\", \"304\", \"401\", \"403\", \"404\", \"409\", \"422\", \"429\"]\n";

/// How much is tried.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// So many made-up requests for each call.
    #[arg(long, default_value_t = 100)]
    examples: u32,
    /// Use this program instead of building one.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Handed on to schemathesis.
    #[arg(last = true)]
    more: Vec<String>,
}

impl Args {
    /// As much as every run of all tests can wait for.
    pub(crate) fn short(program: PathBuf) -> Args {
        Args { examples: 8, program: Some(program), more: Vec::new() }
    }
}

/// Tries it; `Some`: it was not, for this reason.
pub(crate) fn run_contract(args: &Args) -> Result<Option<String>> {
    let program = crate::process::built(args.program.as_deref())?;
    let tool = match schemathesis() {
        Ok(tool) => tool,
        // Silence would look like success in continuous integration, where this must not be missed.
        Err(error) if std::env::var_os("CI").is_some() => return Err(error),
        Err(error) => return Ok(Some(format!("schemathesis cannot be installed: {error:#}"))),
    };
    let folder = tempfile::tempdir()?;
    fill::fill(&folder.path().join("store"), Size { events: 3000, blocks: 60 })?;
    let node = Node::start(&program, folder.path(), "")?;
    let token = node.token(&["--scope", "admin"])?;
    let outcome = examine(&node, &tool, &token, args, folder.path());
    let log = node.log();
    node.stop()?;
    outcome.with_context(|| last_lines(&log, 20))?;
    ensure!(!log.contains("panicked"), "the daemon panicked:\n{}", last_lines(&log, 40));
    Ok(None)
}

fn examine(node: &Node, tool: &Path, token: &str, args: &Args, folder: &Path) -> Result<()> {
    let document = format!("http://{}/api/v1/openapi.json", node.address);
    let examples = args.examples.to_string();
    let settings = format!("headers = {{ Authorization = \"Bearer {token}\" }}\n{SETTINGS}");
    std::fs::write(folder.join("schemathesis.toml"), settings)?;
    // What is asked with wrong tokens comes last and alone: after some of them the address is told to wait, whatever it
    // asks, and nothing else would be tried any more.
    for checks in [["--checks", "all", "--exclude-checks", "ignored_auth"].as_slice(), &["--checks", "ignored_auth"]] {
        let mut command = Command::new(tool);
        command.current_dir(folder).env("PYTHONDONTWRITEBYTECODE", "1").args(["run", &document]).args(checks).args([
            "--max-examples",
            &examples,
            "--generation-deterministic",
            "--request-timeout",
            "20",
            // Its own token is not to be taken away while it works; and a stream has no end.
            "--exclude-operation-id",
            "revokeToken",
            "--exclude-operation-id",
            "stream",
            "--no-color",
        ]);
        run(command.args(&args.more))?;
    }
    // It has asked a lot: the daemon still answers, and is as it was.
    wait_for("the daemon to answer", Duration::from_secs(20), || {
        Ok((Client::new(node.address).get("/healthz")?.status == 200).then_some(()))
    })
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// The program, in a virtual environment among the builds.
fn schemathesis() -> Result<PathBuf> {
    let folder = target().join(format!("schemathesis-{VERSION}"));
    let (program, done) = (folder.join("bin/schemathesis"), folder.join("installed"));
    if done.exists() {
        return Ok(program);
    }
    let has_venv = || output(Command::new("python3").args(["-c", "import venv, ensurepip"])).is_ok();
    if !has_venv() {
        debian::install(&["python3", "python3-venv"])?;
    }
    ensure!(find("python3").is_some() && has_venv(), "there is no python3 with venv");
    output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let wanted = format!("schemathesis=={VERSION}");
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", &wanted];
    if let Err(error) = output(Command::new(folder.join("bin/python")).args(pip)) {
        bail!("{error:#}");
    }
    std::fs::write(done, "")?;
    Ok(program)
}
