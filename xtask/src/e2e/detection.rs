//! The fifth offence ends the client's visits to every mail port, whatever the way in; nobody else notices.

use anyhow::{Result, ensure};

use super::witness::beside_a_user;
use super::{Test, reaches_all, reaches_none, until_blocked, until_dropped};
use crate::lab::Lab;
use crate::lab::client::Way;

pub(super) fn tests() -> Vec<Test> {
    vec![
        Test::new("five_wrong_imap_passwords", |lab| offends(lab, V4, Way::Imap)),
        Test::new("five_wrong_imap_passwords_over_ipv6", |lab| offends(lab, V6, Way::Imap)),
        Test::new("five_wrong_pop3_passwords", |lab| offends(lab, V4, Way::Pop3)),
        Test::new("five_wrong_pop3_passwords_over_ipv6", |lab| offends(lab, V6, Way::Pop3)),
        Test::new("five_wrong_smtp_passwords", |lab| offends(lab, V4, Way::Submission)),
        Test::new("five_wrong_smtp_passwords_over_ipv6", |lab| offends(lab, V6, Way::Submission)),
        Test::new("five_relay_attempts", |lab| offends(lab, V4, Way::Relay)),
        Test::new("five_relay_attempts_over_ipv6", |lab| offends(lab, V6, Way::Relay)),
        Test::new("five_unknown_recipients", |lab| offends(lab, V4, Way::Recipient)),
        Test::new("five_unknown_recipients_over_ipv6", |lab| offends(lab, V6, Way::Recipient)),
        Test::new("a_whole_ipv6_customer_is_one", neighbours_in_a_64),
        Test::new("open_connections_are_cut", open_connections),
        Test::new("forged_names_block_nobody_else", forged_names),
    ]
}

/// An offender, a neighbour who did nothing, and the subject that a block of the offender has.
struct Cast {
    offender: &'static str,
    bystander: &'static str,
    subject: &'static str,
}

const V4: Cast = Cast { offender: "192.0.2.7", bystander: "192.0.2.8", subject: "192.0.2.7" };
const V6: Cast = Cast { offender: "2001:db8:1::7", bystander: "2001:db8:2::7", subject: "2001:db8:1::/64" };

fn offends(lab: &mut Lab, cast: Cast, way: Way) -> Result<()> {
    let lab = &*lab;
    beside_a_user(lab, cast.bystander, "alice", || {
        for number in 1..=4 {
            offend_once(lab, cast.offender, way, number)?;
        }
        reaches_all(lab, cast.offender)?;
        ensure!(lab.fairban.blocked()?.is_empty(), "blocked after the fourth");
        offend_once(lab, cast.offender, way, 5)?;
        until_blocked(lab, cast.subject)?;
        until_dropped(lab, cast.offender)?;
        reaches_none(lab, cast.offender)
    })?;
    reaches_all(lab, cast.bystander)?;
    let blocked = lab.fairban.blocked()?;
    ensure!(blocked.len() == 1, "more than the offender is blocked: {blocked:?}");
    Ok(())
}

fn offend_once(lab: &Lab, from: &str, way: Way, number: u32) -> Result<()> {
    let answer = match way {
        Way::Imap | Way::Pop3 | Way::Submission => lab.attempt(from, way, "bob", &format!("wrong-{number}"))?,
        Way::Relay => lab.attempt(from, way, &format!("someone{number}@remote.test"), "")?,
        Way::Recipient => lab.attempt(from, way, &format!("nobody{number}@example.test"), "")?,
    };
    // The fifth may be cut off before it is answered.
    ensure!(answer.is_no() || number == 5, "offence {number} was answered with {answer:?}");
    Ok(())
}

/// One customer has the whole /64, and moves about in it.
fn neighbours_in_a_64(lab: &mut Lab) -> Result<()> {
    for number in 1..=5 {
        offend_once(lab, &format!("2001:db8:1::{number}"), Way::Imap, number)?;
    }
    until_blocked(lab, V6.subject)?;
    until_dropped(lab, "2001:db8:1::99")?;
    reaches_all(lab, V6.bystander)
}

fn open_connections(lab: &mut Lab) -> Result<()> {
    let mut offenders = lab.idle(V4.offender)?;
    let mut bystanders = lab.idle(V4.bystander)?;
    ensure!(offenders.is_answered()?, "the server does not answer before the block");
    for number in 1..=5 {
        offend_once(lab, V4.offender, Way::Imap, number)?;
    }
    until_dropped(lab, V4.offender)?;
    ensure!(!offenders.is_answered()?, "a connection from before the block goes on");
    ensure!(bystanders.is_answered()?, "another client's connection was cut");
    Ok(())
}

/// Account names that look like what servers write about a client at another address.
fn forged_names(lab: &mut Lab) -> Result<()> {
    const VICTIM: &str = "198.51.100.9";
    for number in 1..=3 {
        for (way, name) in [
            (Way::Imap, format!("a{number}>, method=PLAIN, rip={VICTIM}, lip=10.99.0.1, session=<x>")),
            (Way::Imap, format!("a{number},{VICTIM},<session>): Password mismatch")),
            (Way::Submission, format!("unknown[{VICTIM}]: SASL PLAIN authentication failed: a{number}")),
            (
                Way::Submission,
                format!("a{number}\nNov 21 20:00:00 auth: Info: passwd-file(bob,{VICTIM}): Password mismatch"),
            ),
        ] {
            lab.attempt(V4.offender, way, &name, "wrong")?;
        }
    }
    until_blocked(lab, V4.offender)?;
    let blocked = lab.fairban.blocked()?;
    ensure!(blocked.len() == 1, "more than the offender is blocked: {blocked:?}");
    ensure!(lab.fairban.list(&["events", VICTIM])?.is_empty(), "events of a client that did nothing");
    reaches_all(lab, VICTIM)
}
