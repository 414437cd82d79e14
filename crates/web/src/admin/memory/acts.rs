//! What the desk in memory does when it is told to.

use std::time::Duration;

use fairban_types::{Diagnosis, Origin, Subject, Time, single};

use super::{Inside, decision, values};
use crate::access::Act;
use crate::admin::desk::{Outcome, Setting, What};
use crate::admin::view::{AuditRow, ChangedValue, Ended, NeverRow, RuleChange};

pub(super) fn note(inside: &mut Inside, time: Time, actor: &str, act: &str, subject: &str, detail: &str) {
    let seq = inside.audit.len() as i64 + 1;
    inside.audit.push(AuditRow {
        seq,
        time,
        actor: actor.into(),
        act: act.into(),
        subject: subject.into(),
        detail: detail.into(),
        hash: format!("{seq:064x}"),
    });
}

pub(super) fn carry_out(inside: &mut Inside, act: &Act, now: Time) -> Outcome {
    let by = act.by().to_owned();
    match act.what().clone() {
        What::Block { subject, time, reason } => block(inside, subject, time, reason, &by, now),
        What::SendBlock { sending, reason, time } => block(inside, Subject::Sending(sending), time, reason, &by, now),
        What::Release { subject, reason } => {
            let mut count = 0;
            for (block, ended) in inside.blocks.iter_mut().filter(|(_, ended)| ended.is_none()) {
                if block.subject == subject {
                    *ended = Some(Ended { how: "released".into(), time: now, by: by.clone() });
                    count += 1;
                }
            }
            note(inside, now, &by, "release", &subject.to_string(), &reason);
            match count {
                0 => Outcome::No(format!("{subject} is not blocked")),
                _ => Outcome::Done(format!("{subject} is released, and the events behind it are forgotten")),
            }
        }
        What::NeverAdd { net, reason, time } => {
            inside.never.retain(|row| row.net != net);
            let until = time.map(|time| now.after(time));
            note(inside, now, &by, "never_add", &net.to_string(), &reason);
            inside.never.push(NeverRow { net, reason, by, added: Some(now), until, removable: true });
            Outcome::Done(format!("{net} is now on the never-block list; no block was lifted"))
        }
        What::NeverRemove { net } => {
            inside.never.retain(|row| row.net != net);
            note(inside, now, &by, "never_remove", &net.to_string(), "");
            Outcome::Done(format!("{net} is no longer on the never-block list"))
        }
        What::Set { settings, reason } => set(inside, &settings, reason, &by, now),
        What::AcceptNode { node } => {
            note(inside, now, &by, "fleet_accept", &node, "");
            if let Some(fleet) = &mut inside.fleet {
                fleet.held_back.retain(|held| held.name != node);
            }
            Outcome::Done(format!("the blocks by {node} that were held back are let through"))
        }
        What::SessionBegins { client, time } => {
            let (net, until) = (single(client), Some(now.after(time)));
            let reason = "an administrator is signed in from here".to_owned();
            inside.never.push(NeverRow { net, reason, by, added: Some(now), until, removable: true });
            Outcome::Done(String::new())
        }
        What::SessionEnds { client } => {
            inside.never.retain(|row| row.net != single(client) || row.by != by);
            Outcome::Done(String::new())
        }
    }
}

fn block(
    inside: &mut Inside,
    subject: Subject,
    time: Option<Duration>,
    reason: String,
    by: &str,
    now: Time,
) -> Outcome {
    let is_exempt = |net: ipnet::IpNet| inside.never.iter().any(|row| row.net.contains(&net));
    if subject.network().is_some_and(is_exempt) {
        return Outcome::No(format!("{subject} is on the never-block list, which wins"));
    }
    inside.blocks.retain(|(block, ended)| ended.is_some() || block.subject != subject);
    inside.made += 1;
    let mut made = decision(inside.made, "192.0.2.7", now);
    (made.subject, made.reason, made.until) = (subject.clone(), reason, time.map(|time| now.after(time)));
    (made.origin, made.diagnosis, made.offence) = (Origin::Manual(by.to_owned()), Diagnosis::Manual, 0);
    let code = made.code;
    note(inside, now, by, "block", &subject.to_string(), &made.reason);
    inside.blocks.push((made, None));
    Outcome::Done(format!("{subject} is blocked. Reference {code}"))
}

fn set(inside: &mut Inside, settings: &[Setting], reason: String, by: &str, now: Time) -> Outcome {
    let known = values(inside);
    let mut changed = Vec::new();
    for setting in settings {
        let Some(row) = known.iter().find(|row| row.key == setting.key) else {
            return Outcome::No(format!("there is no value {}", setting.key));
        };
        if setting.value.as_ref().is_some_and(|value| value.contains("nonsense")) {
            return Outcome::No(format!("{}: takes {}", setting.key, row.takes));
        }
        let after = setting.value.clone();
        changed.push(ChangedValue {
            key: setting.key.clone(),
            before: inside.values.get(&setting.key).cloned(),
            value_before: row.value.clone(),
            value_after: after.clone().unwrap_or_else(|| row.default.clone()),
            after,
        });
    }
    for one in &changed {
        match &one.after {
            Some(value) => inside.values.insert(one.key.clone(), value.clone()),
            None => inside.values.remove(&one.key),
        };
    }
    note(inside, now, by, "set", "rules", &reason);
    let seq = inside.audit.len() as i64;
    inside.changes.insert(0, RuleChange { seq, time: now, by: by.to_owned(), reason, changed });
    Outcome::Done("the rules are in force as set".to_owned())
}
