//! What lies behind a block, and what that rests on.

use fairban_types::{Device, Diagnosis, Fact, Finding};

use super::table::clipped;
use super::words::{rounded, service};
use super::{clock, counted, zone};

/// The diagnosis with how sure it is.
pub(super) fn diagnosis(finding: &Finding) -> String {
    let words = finding.diagnosis.in_words();
    match (finding.diagnosis, finding.confidence_percent) {
        (Diagnosis::Unknown | Diagnosis::Manual, _) | (_, 0) => words.to_owned(),
        (_, percent) => format!("{words} ({percent} % sure)"),
    }
}

/// What it rests on, a sentence each.
pub(super) fn facts(finding: &Finding) -> Vec<String> {
    finding.facts.iter().map(fact).collect()
}

fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

fn many(count: u32, what: &str) -> String {
    counted(count as usize, what)
}

fn fact(fact: &Fact) -> String {
    match *fact {
        Fact::SamePassword { times: count } => format!("the same wrong password came {}", times(count)),
        Fact::SamePasswordEach { accounts, times: count } => {
            format!("one wrong password for each of {}, {} in all", many(accounts, "account"), times(count))
        }
        Fact::Passwords { count } => format!("{} tried", many(count, "different wrong password")),
        Fact::PasswordsUntold { tries } => {
            format!("{}; the logs do not tell one wrong password from another", many(tries, "failed sign-in"))
        }
        Fact::Accounts { count } => format!("{} tried", many(count, "account")),
        Fact::EachAccountOnce => "each of them only once".to_owned(),
        Fact::UnknownAccounts { count } => format!("{} of those tried do not exist here", many(count, "account")),
        Fact::SignedInHere { since, until } => {
            format!("the account has signed in from here since {} {}, last {}", clock(since), zone(since), clock(until))
        }
        Fact::SignedInElsewhere { until } => {
            format!("the account signs in from elsewhere, last {} {}, and not from here", clock(until), zone(until))
        }
        Fact::NeverSignedIn => "the account is not known to have signed in before".to_owned(),
        Fact::OwnerHere => "the account's owner is there now".to_owned(),
        Fact::AccountsHere { count } => format!("{} of people who sign in from there", many(count, "account")),
        Fact::Regular { every, off, share_percent } => {
            format!("it comes every {}, give or take {} ({share_percent} % of the time)", rounded(every), rounded(off))
        }
        Fact::OnAverage { every } => format!("it comes every {} on average", rounded(every)),
        Fact::Irregular { middle } => format!("it comes at irregular times, mostly after {}", rounded(middle)),
        Fact::Fast { per_minute } => format!("it comes about {} a minute", times(per_minute)),
        Fact::Addresses { count } => format!("it comes from {count} addresses"),
        Fact::Relays { count, recipients } => {
            format!("mail to elsewhere was offered {}, to {}", times(count), many(recipients, "recipient"))
        }
        Fact::UnknownRecipients { count } => format!("{} that do not exist here", many(count, "recipient")),
        Fact::BadMessages { count } => format!("{} refused as unwanted or harmful", many(count, "message")),
        Fact::Sent { recipients } => format!("mail was sent to {}", many(recipients, "recipient")),
        Fact::Bounced { recipients } => format!("mail to {} came back", many(recipients, "recipient")),
        Fact::Violations { count } => format!("the protocol was broken {}", times(count)),
        Fact::Unencrypted { count } => format!("a sign-in without encryption was tried {}", times(count)),
        Fact::HeloNames { count } => format!("the client gave {count} different HELO names"),
        Fact::HeloOfDevice => "the HELO name is that of a device, not of a mail server".to_owned(),
        Fact::ReturnPaths { count } => format!("{count} different return-paths"),
        Fact::SignIns { count, courtesy } => {
            format!("{}, oftener than every {}", many(count, "sign-in"), rounded(courtesy))
        }
        Fact::Mixture { kinds } => format!("{kinds} different things of like weight; none explains the others"),
        Fact::TooLittle { tries } => format!("too little to tell: {}", many(tries, "event")),
    }
}

/// A device in one line.
pub(super) fn device(device: &Device) -> String {
    let mut parts = Vec::new();
    let services: Vec<&str> = device.services.iter().map(|one| service(*one)).filter(|name| *name != "-").collect();
    let account = device.account.as_deref().map(clipped).unwrap_or_default();
    parts.push(match (account.is_empty(), services.is_empty()) {
        (false, false) => format!("{account} by {}", services.join(" and ")),
        (true, false) => format!("by {}", services.join(" and ")),
        (_, true) => account,
    });
    parts.extend(device.program.as_deref().map(|name| format!("calls itself '{}'", clipped(name))));
    parts.extend(device.helo.as_deref().map(|name| format!("HELO '{}'", clipped(name))));
    parts.extend(device.method.as_deref().map(|name| format!("method {}", clipped(name))));
    if device.is_unencrypted {
        parts.push("without encryption".to_owned());
    }
    parts.extend(device.cadence.map(|every| format!("every {}", rounded(every))));
    parts.push(many(device.tries, "time"));
    if let (Some(first), Some(last)) = (device.first, device.last) {
        parts.push(if first == last {
            format!("at {}", clock(first))
        } else {
            format!("from {} to {}", clock(first), clock(last))
        });
    }
    parts.retain(|part| !part.is_empty());
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairban_types::Service;
    use std::time::Duration;

    #[test]
    fn a_device_is_named_in_one_line_and_cannot_steer_a_terminal() {
        let one = Device {
            account: Some("alice".into()),
            services: vec![Service::Imap, Service::Submission],
            program: Some("K-9\u{1b}[2J".into()),
            cadence: Some(Duration::from_secs(60)),
            tries: 37,
            ..Device::default()
        };
        assert_eq!(device(&one), "alice by imap and submission, calls itself 'K-9\\u{1b}[2J', every 1m, 37 times");
    }

    #[test]
    fn numbers_and_nouns_agree() {
        assert_eq!(fact(&Fact::AccountsHere { count: 2 }), "2 accounts of people who sign in from there");
        assert_eq!(fact(&Fact::AccountsHere { count: 1 }), "1 account of people who sign in from there");
        assert!(fact(&Fact::PasswordsUntold { tries: 5 }).starts_with("5 failed sign-ins;"));
    }
}
