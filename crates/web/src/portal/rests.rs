//! What a diagnosis rests on, as a person is told.

use fairban_types::{Fact, Time};

use crate::Words;

/// The facts as sentences. What is known of an account's sign-ins is for its owner (`of_self`) alone.
pub(super) fn rests(words: &Words, facts: &[Fact], of_self: bool, moment: impl Fn(Time) -> String) -> Vec<String> {
    facts.iter().filter(|fact| of_self || is_for_all(fact)).filter_map(|fact| sentence(words, fact, &moment)).collect()
}

/// Whether the fact tells nothing of an account: neither whether it exists nor where it signs in.
fn is_for_all(fact: &Fact) -> bool {
    !matches!(
        fact,
        Fact::SignedInHere { .. }
            | Fact::SignedInElsewhere { .. }
            | Fact::NeverSignedIn
            | Fact::OwnerHere
            | Fact::UnknownAccounts { .. }
            | Fact::AccountsHere { .. }
    )
}

/// `None`: what only an administrator can make use of.
fn sentence(words: &Words, fact: &Fact, moment: &impl Fn(Time) -> String) -> Option<String> {
    let number = |key: &str, n: u32| words.count(&format!("rests.{key}"), u64::from(n));
    let span = |key: &str, span| words.fill(&format!("rests.{key}"), &[("span", &words.cadence(span))]);
    Some(match fact {
        Fact::SamePassword { times } => number("same_password", *times),
        Fact::SamePasswordEach { times, .. } => number("same_password", *times),
        Fact::Passwords { count: n } => number("passwords", *n),
        Fact::PasswordsUntold { tries } => number("passwords_untold", *tries),
        Fact::Accounts { count: n } => number("accounts", *n),
        Fact::EachAccountOnce => words.say("rests.each_account_once").to_owned(),
        Fact::UnknownAccounts { count: n } => number("unknown_accounts", *n),
        Fact::SignedInHere { since, .. } => words.fill("rests.signed_in_here", &[("time", &moment(*since))]),
        Fact::SignedInElsewhere { until } => words.fill("rests.signed_in_elsewhere", &[("time", &moment(*until))]),
        Fact::OwnerHere => words.say("rests.owner_here").to_owned(),
        Fact::Regular { every, .. } => span("regular", *every),
        Fact::OnAverage { every } => span("on_average", *every),
        Fact::Irregular { .. } => words.say("rests.irregular").to_owned(),
        Fact::Fast { per_minute } => number("fast", *per_minute),
        Fact::Addresses { count: n } => number("addresses", *n),
        Fact::Relays { count: n, .. } => number("relays", *n),
        Fact::UnknownRecipients { count: n } => number("unknown_recipients", *n),
        Fact::BadMessages { count: n } => number("bad_messages", *n),
        Fact::Sent { recipients } => number("sent", *recipients),
        Fact::Bounced { recipients } => number("bounced", *recipients),
        Fact::Violations { count: n } => number("violations", *n),
        Fact::Unencrypted { count: n } => number("unencrypted", *n),
        Fact::HeloNames { count: n } => number("helo_names", *n),
        Fact::HeloOfDevice => words.say("rests.helo_of_device").to_owned(),
        Fact::SignIns { courtesy, .. } => span("courtesy", *courtesy),
        Fact::Mixture { .. } => words.say("rests.mixture").to_owned(),
        Fact::TooLittle { .. } => words.say("rests.too_little").to_owned(),
        Fact::NeverSignedIn | Fact::AccountsHere { .. } | Fact::ReturnPaths { .. } => return None,
    })
}
