//! Who appears in the demo, and what they do.

use std::net::IpAddr;

use fairban_types::Service;

use super::Stage;
use crate::address::v6;
use crate::password::{digest, from_list};
use crate::record::{queue_id, session};
use crate::write::{
    AuthFailure, Driver, Mail, Smtpd, client_accepted, client_signed_in, connected, disconnected, dovecot_auth_failed,
    dovecot_disconnected_auth_failed, dovecot_login, postfix_sasl_failed, relay_denied, unknown_recipient,
};

const USERS: [&str; 8] = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"];
const OFFICE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 10));

/// One round.
pub(super) fn play(stage: &mut Stage) {
    office(stage);
    ordinary_users(stage);
    guesser(stage);
    rotating_guesser(stage);
    sprayer(stage);
    relay_prober(stage);
    harvester(stage);
    forger(stage);
}

/// Another address of a network in each round.
fn address(stage: &Stage, net: [u8; 3], first: u32) -> IpAddr {
    let last = 20 + (first + stage.round * 7) % 200;
    IpAddr::from([net[0], net[1], net[2], last as u8])
}

fn sign_in(stage: &mut Stage, at: u64, account: &str, client: IpAddr) {
    let session = session(&mut stage.chance);
    stage.line(at, |out, head| dovecot_login(out, head, Service::Imap, (account, client), &session));
}

/// A failed try over IMAP, as two lines.
fn fail(stage: &mut Stage, at: u64, account: &str, client: IpAddr, password: &str, failure: AuthFailure) {
    let session = session(&mut stage.chance);
    let who = (account, client);
    let digest = digest(password);
    stage.line(at, |out, head| {
        dovecot_auth_failed(out, head, Driver::PasswdFile, failure, who, Some(&session), Some(&digest));
    });
    stage.line(at + 2050, |out, head| {
        dovecot_disconnected_auth_failed(out, head, Service::Imap, who, (1, 2), &session);
    });
}

/// A failed try over SMTP.
fn fail_smtp(stage: &mut Stage, at: u64, account: &str, client: IpAddr, password: &str, failure: AuthFailure) {
    let smtpd = Smtpd { submission: true, pid: 4100, name: "unknown", client };
    let digest = digest(password);
    stage.line(at, |out, head| connected(out, head, smtpd));
    stage.line(at + 60, |out, head| {
        dovecot_auth_failed(out, head, Driver::PasswdFile, failure, (account, client), None, Some(&digest));
    });
    stage.line(at + 2060, |out, head| postfix_sasl_failed(out, head, smtpd, "LOGIN", Some(account)));
    stage.line(at + 2100, |out, head| disconnected(out, head, smtpd, "ehlo=1 auth=0/1 quit=1 commands=2/3"));
}

/// An office with eight mailboxes, and a phone in it that has last year's password.
fn office(stage: &mut Stage) {
    let first = stage.steps.len();
    for (index, user) in USERS.iter().enumerate() {
        for visit in 0..3 {
            let at = index as u64 * 400 + visit * 40_000 + 1000 * u64::from(visit > 0) * index as u64;
            sign_in(stage, at, &format!("{user}@example.test"), OFFICE);
        }
    }
    stage.tell(first, format!("an office: {} people sign in from {OFFICE}", USERS.len()));
    let first = stage.steps.len();
    for visit in 0..28 {
        fail(stage, 6000 + visit * 4000, "grace@example.test", OFFICE, "last-years", AuthFailure::Mismatch);
    }
    stage.tell(
        first,
        format!("in that office, an old phone sends last year's password of grace, again and again ({OFFICE})"),
    );
}

/// People at home and on the road, one of them with a slip of the finger, and another server's mail.
fn ordinary_users(stage: &mut Stage) {
    let first = stage.steps.len();
    for (index, user) in ["ivan", "judy", "karl"].iter().enumerate() {
        let client = IpAddr::from([192, 0, 2, 100 + index as u8]);
        let account = format!("{user}@example.test");
        let at = 4000 + index as u64 * 9000;
        if *user == "judy" {
            fail(stage, at - 3500, &account, client, "secrte", AuthFailure::Mismatch);
        }
        sign_in(stage, at, &account, client);
        let smtpd = Smtpd { submission: true, pid: 4200, name: "unknown", client };
        let id = queue_id(&mut stage.chance);
        stage.line(at + 30_000, |out, head| client_signed_in(out, head, smtpd, &id, "PLAIN", &account));
    }
    for message in 0..6 {
        let client = IpAddr::from([203, 0, 113, 5]);
        let smtpd = Smtpd { submission: false, pid: 4300, name: "relay.forward.test", client };
        let id = queue_id(&mut stage.chance);
        stage.line(3000 + message * 18_000, |out, head| client_accepted(out, head, smtpd, &id));
    }
    stage.tell(first, "three people at home sign in and send mail; one mistypes first".to_owned());
}

/// One address, one account, a new password every second.
fn guesser(stage: &mut Stage) {
    let client = address(stage, [198, 51, 100], 3);
    let first = stage.steps.len();
    for entry in 0..14 {
        let password = from_list(entry);
        fail(stage, 9000 + entry as u64 * 1100, "alice@example.test", client, &password, AuthFailure::Mismatch);
    }
    stage.tell(first, format!("a guesser tries password after password on alice ({client})"));
}

/// SMTP AUTH from ever new addresses of one IPv6 /64.
fn rotating_guesser(stage: &mut Stage) {
    let net64 = 0x2001_0db8_0bad_0000 | u64::from(stage.round & 0xffff);
    let first = stage.steps.len();
    for entry in 0..14 {
        let client = v6(net64, stage.chance.bits());
        let password = from_list(40 + entry);
        fail_smtp(stage, 24_000 + entry as u64 * 1300, "bob@example.test", client, &password, AuthFailure::Mismatch);
    }
    stage.tell(first, format!("a guesser changes its address for every try, within one IPv6 /64 ({})", v6(net64, 0)));
}

/// One password, many accounts.
fn sprayer(stage: &mut Stage) {
    let client = address(stage, [203, 0, 113], 50);
    let first = stage.steps.len();
    let others = ["admin", "info", "sales", "test"];
    for (index, user) in USERS.iter().chain(&others).enumerate() {
        let failure = if index < USERS.len() { AuthFailure::Mismatch } else { AuthFailure::UnknownUser };
        let at = 42_000 + index as u64 * 1200;
        fail(stage, at, &format!("{user}@example.test"), client, "Winter2026!", failure);
    }
    stage.tell(first, format!("a sprayer tries one password on every account ({client})"));
}

fn reject(stage: &mut Stage, at: u64, client: IpAddr, mail: Mail<'_>, relay: bool) {
    let smtpd = Smtpd { submission: false, pid: 4400, name: "unknown", client };
    stage.line(at, |out, head| connected(out, head, smtpd));
    stage.line(at + 90, |out, head| {
        if relay { relay_denied(out, head, smtpd, mail) } else { unknown_recipient(out, head, smtpd, mail) }
    });
    stage.line(at + 150, |out, head| disconnected(out, head, smtpd, "ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4"));
}

/// Mail to elsewhere.
fn relay_prober(stage: &mut Stage) {
    let client = address(stage, [198, 51, 100], 90);
    let first = stage.steps.len();
    for entry in 0..14 {
        let to = format!("catch{entry}@collector.test");
        let mail = Mail { from: "test@example.test", to: &to, helo: "friendly.test" };
        reject(stage, 58_000 + entry * 900, client, mail, true);
    }
    stage.tell(first, format!("a relay prober looks for a server that sends anything for anyone ({client})"));
}

/// Recipients by dictionary.
fn harvester(stage: &mut Stage) {
    let client = address(stage, [203, 0, 113], 120);
    let first = stage.steps.len();
    for entry in 0..45 {
        let to = format!("{}{entry}@example.test", stage.chance.pick(&["john", "jane", "hr", "ceo", "desk"]));
        reject(stage, 72_000 + entry * 400, client, Mail { from: "", to: &to, helo: "list.test" }, false);
    }
    stage.tell(first, format!("an address harvester asks for one recipient after the other ({client})"));
}

/// Names that look like other servers' log lines about the office.
fn forger(stage: &mut Stage) {
    let client = address(stage, [198, 51, 100], 160);
    let first = stage.steps.len();
    let names = [
        "grace>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, TLS, session=<AAAA",
        "grace,192.0.2.10,<AAAA>): Password mismatch",
        "x): Info: passwd-file(grace,192.0.2.10): unknown user",
        "unknown[192.0.2.10]: SASL LOGIN authentication failed: (reason unavailable), sasl_username=grace",
        "sshd[1]: Failed password for root from 192.0.2.10 port 22 ssh2",
        "login authenticator failed for (x) [192.0.2.10]: 535 Incorrect authentication data",
    ];
    for (index, name) in names.iter().enumerate() {
        let at = 92_000 + index as u64 * 1500;
        let failure = AuthFailure::UnknownUser;
        if index % 2 == 0 {
            fail(stage, at, name, client, &from_list(index), failure);
        } else {
            fail_smtp(stage, at, name, client, &from_list(index), failure);
        }
    }
    for (index, helo) in
        ["x> from unknown[192.0.2.10]: 554 5.7.1 Relay access denied; helo=<y", "[192.0.2.10]"].iter().enumerate()
    {
        let mail = Mail { from: "a> client=unknown[192.0.2.10] <b", to: "victim@elsewhere.test", helo };
        reject(stage, 102_000 + index as u64 * 800, client, mail, true);
    }
    let blame =
        format!("a forger puts the office's address into user names and HELO names ({client}); only it is to blame");
    stage.tell(first, blame);
}
