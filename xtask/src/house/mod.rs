//! The administrator's house over a large store: every page and list, asked of the real program, and how long each took.

pub(crate) mod contract;
mod fill;
mod http;
mod node;
mod requests;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use fill::Size;
use http::Client;
use node::Node;
use requests::{Measured, Request, Who, requests};

/// No answer takes longer than this.
const LIMIT: Duration = Duration::from_millis(200);

/// Fills a store with so many rows (unless the folder has one), asks for everything, and is an error if something took
/// too long.
pub(crate) fn measure(program: &Path, folder: Option<&Path>, events: u64, blocks: u64, rounds: usize) -> Result<()> {
    let own = tempfile::tempdir()?;
    let folder = folder.unwrap_or(own.path());
    std::fs::create_dir_all(folder)?;
    if !folder.join("store").exists() {
        fill::fill(&folder.join("store"), Size { events, blocks })?;
    }
    let (node, measured) = ask_everything(program, folder, rounds)?;
    node.stop()?;
    println!("\n{:<58} {:>7} {:>9} {:>9} {:>9}  200 ms", "page or call", "rows", "median ms", "slowest", "KiB");
    let mut late = Vec::new();
    for (request, measured) in &measured {
        let holds = measured.slowest() <= LIMIT;
        println!(
            "{:<58} {:>7} {:>9.1} {:>9.1} {:>9}  {}",
            request.name,
            measured.rows,
            measured.median().as_secs_f64() * 1e3,
            measured.slowest().as_secs_f64() * 1e3,
            measured.bytes / 1024,
            if holds { "holds" } else { "NO" },
        );
        if !holds {
            late.push(request.name.as_str());
        }
    }
    println!("{} of {} within {} ms", measured.len() - late.len(), measured.len(), LIMIT.as_millis());
    ensure!(late.is_empty(), "too slow: {}", late.join(", "));
    Ok(())
}

/// The same over a small store, where every answer has to be one, however long it takes.
pub(crate) fn check(program: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    fill::fill(&folder.path().join("store"), Size { events: 100_000, blocks: 2_000 })?;
    let (node, measured) = ask_everything(program, folder.path(), 1)?;
    node.stop()?;
    println!("{} pages and calls over 100000 events and 2000 blocks answered", measured.len());
    Ok(())
}

fn ask_everything(program: &Path, folder: &Path, rounds: usize) -> Result<(Node, Vec<(Request, Measured)>)> {
    let node = Node::start(program, folder, "")?;
    let mut visitors = Visitors::of(&node)?;
    // What happened lately is counted in the background; pages are not to be measured while that takes one of the cores.
    node.until_idle()?;
    let list = requests(visitors.client(Who::Token))?;
    let mut measured: Vec<(Request, Measured)> =
        list.into_iter().map(|request| (request, Measured::default())).collect();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}: {} pages and calls", measured.len());
        for (request, measured) in &mut measured {
            let answer = visitors.client(request.who).get(&request.path)?;
            ensure!(
                answer.status == request.status,
                "{} ({}): {} {}\n{}",
                request.name,
                request.path,
                answer.status,
                answer.body.chars().take(600).collect::<String>(),
                node.log(),
            );
            measured.take(&answer, request.is_file);
        }
    }
    Ok((node, measured))
}

struct Visitors {
    administrator: Client,
    domain: Client,
    token: Client,
}

impl Visitors {
    fn of(node: &Node) -> Result<Visitors> {
        let domain = ["--role", "domain-administrator", "--domain", "site7.test"];
        let mut token = Client::new(node.address);
        token.token = Some(node.token(&["--scope", "admin"])?);
        Ok(Visitors {
            administrator: node.sign_in(&[]).context("the administrator")?,
            domain: node.sign_in(&domain).context("the domain administrator")?,
            token,
        })
    }

    fn client(&mut self, who: Who) -> &mut Client {
        match who {
            Who::Administrator => &mut self.administrator,
            Who::Domain => &mut self.domain,
            Who::Token => &mut self.token,
        }
    }
}
