//! What was understood, sent to the running daemon: the never-block list first, so that it wins.

use std::collections::HashMap;
use std::path::Path;

use fairban_types::{Subject, Time};
use ipnet::IpNet;

use super::found::{Becomes, Found, shown};
use crate::control::client::Conversation;
use crate::control::{MANY_MAX, Reply, Request};
use crate::show::Exit;

/// What the daemon did.
#[derive(Debug, Default)]
pub(super) struct Applied {
    pub(super) never: usize,
    pub(super) blocks: usize,
    /// What it would not do, and why.
    pub(super) refused: Vec<(String, String)>,
}

pub(super) fn apply(found: &Found, from: &str, socket: &Path, now: Time) -> anyhow::Result<Applied> {
    let mut applied = Applied::default();
    applied.never = send(never(found, from, now), socket, &mut applied.refused)?;
    applied.blocks = send(blocks(found, from, now), socket, &mut applied.refused)?;
    Ok(applied)
}

fn reason(from: &str, detail: &str) -> String {
    if detail.is_empty() { format!("imported from {from}") } else { format!("imported from {from}: {detail}") }
}

fn seconds(until: Option<Time>, now: Time) -> Option<u64> {
    until.map(|until| until.since(now).as_secs().max(1))
}

/// Of several of one network the one that ends last; `None` never ends.
fn latest<'f>(
    found: &'f Found,
    pick: impl Fn(&'f Becomes) -> Option<(IpNet, Option<Time>)>,
) -> Vec<(IpNet, Option<Time>, &'f str)> {
    let mut kept: Vec<(IpNet, Option<Time>, &str)> = Vec::new();
    let mut at: HashMap<IpNet, usize> = HashMap::new();
    for item in &found.items {
        let Some((net, until)) = pick(&item.becomes) else { continue };
        let index = *at.entry(net).or_insert(kept.len());
        match kept.get_mut(index) {
            None => kept.push((net, until, item.reason.as_str())),
            Some(entry) if entry.1.is_some_and(|known| until.is_none_or(|until| until > known)) => {
                *entry = (net, until, item.reason.as_str());
            }
            Some(_) => {}
        }
    }
    kept
}

fn never(found: &Found, from: &str, now: Time) -> Vec<(String, Request)> {
    let pick = |becomes: &Becomes| match becomes {
        Becomes::Never { net, until } => Some((*net, *until)),
        _ => None,
    };
    let request = |(net, until, detail): (IpNet, Option<Time>, &str)| {
        (shown(net), Request::NeverAdd { net, reason: reason(from, detail), seconds: seconds(until, now) })
    };
    latest(found, pick).into_iter().map(request).collect()
}

fn blocks(found: &Found, from: &str, now: Time) -> Vec<(String, Request)> {
    let pick = |becomes: &Becomes| match becomes {
        Becomes::Block { net, until } => Some((*net, *until)),
        _ => None,
    };
    let request = |(net, until, detail): (IpNet, Option<Time>, &str)| {
        let (reason, seconds) = (reason(from, detail), seconds(until, now));
        (shown(net), Request::Block { subject: Subject::Network(net), seconds, reason })
    };
    latest(found, pick).into_iter().map(request).collect()
}

/// Sends requests, many at a time. Returns how many were done.
fn send(requests: Vec<(String, Request)>, socket: &Path, refused: &mut Vec<(String, String)>) -> anyhow::Result<usize> {
    let mut done = 0;
    let mut requests = requests.into_iter().peekable();
    while requests.peek().is_some() {
        let (names, batch): (Vec<String>, Vec<Request>) = requests.by_ref().take(MANY_MAX).unzip();
        let mut conversation = Conversation::begin(socket, &Request::Many(batch))?;
        let mut names = names.into_iter();
        while let Some(reply) = conversation.next()? {
            match reply {
                Reply::Many(replies) => {
                    for (name, reply) in names.by_ref().zip(replies) {
                        match reply {
                            Reply::Done(_) => done += 1,
                            Reply::No(why) | Reply::Wrong(why) => refused.push((name, why)),
                            other => return Err(strange(&other)),
                        }
                    }
                }
                Reply::No(why) => {
                    return Err(Exit { status: 1, message: format!("after {done} entries: {why}") }.into());
                }
                other => return Err(strange(&other)),
            }
        }
    }
    Ok(done)
}

fn strange(reply: &Reply) -> anyhow::Error {
    Exit { status: 3, message: format!("the daemon is of another version: {reply:?}") }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::found::Place;

    #[test]
    fn of_several_ends_the_latest_counts() {
        let mut found = Found::default();
        let (now, net) = (Time::from_secs(100), "192.0.2.7/32".parse().unwrap());
        for (until, reason) in [(Some(200), "a"), (Some(300), "b"), (Some(250), "c")] {
            found.block(Place::whole(Path::new("x")), net, until.map(Time::from_secs), now, reason);
        }
        let sent = |found: &Found| format!("{:?}", blocks(found, "CSF", now));
        assert!(sent(&found).contains("seconds: Some(200), reason: \"imported from CSF: b\""), "{}", sent(&found));
        found.block(Place::whole(Path::new("x")), net, None, now, "d");
        assert!(sent(&found).contains("seconds: None"), "{}", sent(&found));
        assert_eq!(blocks(&found, "CSF", now).len(), 1);
    }
}
