//! Acts into log lines and labels, in order of time.

use fairban_types::{Service, Time};

use crate::chance::{Chance, SECOND};
use crate::label::{Deed, Label, Truth};
use crate::password::digest;
use crate::scene::{Act, Attempt, Outcome, Scene, Site, What};
use crate::write::{
    AuthFailure, Head, Mail, Smtpd, client_accepted, client_signed_in, connected, disconnected, dovecot_auth_failed,
    dovecot_disconnected_auth_failed, dovecot_logged_out, dovecot_login, postfix_sasl_failed, queued, relay_denied,
    unknown_recipient,
};

/// A line that is somewhere in the buffer.
struct Line {
    at: i64,
    begin: usize,
    end: usize,
    label: Option<Label>,
}

/// Everything written so far, in the order of acts.
struct Recorder {
    text: String,
    lines: Vec<Line>,
    chance: Chance,
}

/// The log and its labels.
pub(crate) fn record(scene: Scene) -> (String, Vec<Label>) {
    let Scene { seed, end, sites, mut acts, .. } = scene;
    acts.sort_by_key(|act| act.at);
    let mut recorder = Recorder { text: String::new(), lines: Vec::new(), chance: Chance::new(seed, "record", 0) };
    for act in acts.iter().filter(|act| act.at < end) {
        recorder.act(act, &sites[act.site]);
    }
    recorder.in_order()
}

impl Recorder {
    /// One line, and what it was if it tells so first.
    fn line(&mut self, at: i64, site: &Site, label: Option<Label>, write: impl FnOnce(&mut String, Head<'_>)) {
        let begin = self.text.len();
        let at_time = Time::from_millis(at);
        write(&mut self.text, Head { at: at_time, host: &site.host, stamp: site.stamp });
        let time = site.stamp.as_written(at_time);
        let label = label.map(|label| Label { time, ..label });
        self.lines.push(Line { at, begin, end: self.text.len(), label });
    }

    fn in_order(mut self) -> (String, Vec<Label>) {
        // Stable: what one act wrote at one moment stays in its order.
        self.lines.sort_by_key(|line| line.at);
        let mut log = String::with_capacity(self.text.len());
        let mut labels = Vec::new();
        for (index, line) in self.lines.into_iter().enumerate() {
            log.push_str(&self.text[line.begin..line.end]);
            labels.extend(line.label.map(|label| Label { line: index + 1, ..label }));
        }
        (log, labels)
    }

    fn act(&mut self, act: &Act, site: &Site) {
        match &act.what {
            What::SignIn { service: Service::Submission, attempts } => self.submission(act, site, attempts),
            What::SignIn { service, attempts } => self.login(act, site, *service, attempts),
            What::Mail { deed, truth, from, to } => self.mail(act, site, (*deed, *truth), from, to),
        }
    }

    /// A Dovecot session: a line of the auth process for each failure where it is verbose, and one at the end.
    fn login(&mut self, act: &Act, site: &Site, service: Service, attempts: &[Attempt]) {
        let session = session(&mut self.chance);
        let mut at = act.at;
        let mut failures: u32 = 0;
        for attempt in attempts {
            if attempt.outcome == Outcome::Right {
                self.line(at, site, Some(label(act, attempt, 1)), |out, head| {
                    dovecot_login(out, head, service, (&attempt.typed, act.client), &session);
                });
                if self.chance.happens(0.25) {
                    let gone = at + self.chance.number(1, 600) * SECOND;
                    self.line(gone, site, None, |out, head| {
                        dovecot_logged_out(out, head, service, &attempt.typed, &session);
                    });
                }
                return;
            }
            if site.auth_lines {
                self.auth_line(at, site, act, attempt, Some(&session));
            }
            failures += 1;
            at += 2 * SECOND + self.chance.number(1, 900);
        }
        if let Some(last) = attempts.last() {
            let label = (!site.auth_lines).then(|| label(act, last, failures));
            let secs = u32::try_from((at - act.at) / SECOND).unwrap_or(0);
            self.line(at, site, label, |out, head| {
                let who = (last.typed.as_str(), act.client);
                dovecot_disconnected_auth_failed(out, head, service, who, (failures, secs), &session);
            });
        }
    }

    fn auth_line(&mut self, at: i64, site: &Site, act: &Act, attempt: &Attempt, session: Option<&str>) {
        let failure =
            if attempt.outcome == Outcome::Unknown { AuthFailure::UnknownUser } else { AuthFailure::Mismatch };
        let digest = site.digests.then(|| digest(&attempt.password));
        self.line(at, site, Some(label(act, attempt, 1)), |out, head| {
            let who = (attempt.typed.as_str(), act.client);
            dovecot_auth_failed(out, head, site.driver, failure, who, session, digest.as_deref());
        });
    }

    /// SMTP AUTH: Dovecot's auth process and Postfix both tell each failure.
    fn submission(&mut self, act: &Act, site: &Site, attempts: &[Attempt]) {
        let smtpd = self.smtpd(act, true);
        let method = if self.chance.happens(0.5) { "LOGIN" } else { "PLAIN" };
        let mut at = act.at;
        self.line(at, site, None, |out, head| connected(out, head, smtpd));
        for attempt in attempts {
            at += 60;
            if attempt.outcome == Outcome::Right {
                let id = queue_id(&mut self.chance);
                self.line(at, site, Some(label(act, attempt, 1)), |out, head| {
                    client_signed_in(out, head, smtpd, &id, method, &attempt.typed);
                });
                self.line(at + 90, site, None, |out, head| queued(out, head, &id, &attempt.account));
                let commands = "ehlo=2 starttls=1 auth=1 mail=1 rcpt=1 data=1 quit=1 commands=8";
                self.line(at + 200, site, None, |out, head| disconnected(out, head, smtpd, commands));
                return;
            }
            if site.auth_lines {
                self.auth_line(at, site, act, attempt, None);
            }
            at += 2 * SECOND;
            let named = site.postfix_names_account.then_some(attempt.typed.as_str());
            let first = (!site.auth_lines).then(|| label(act, attempt, 1));
            self.line(at, site, first, |out, head| postfix_sasl_failed(out, head, smtpd, method, named));
        }
        let commands = format!("ehlo=1 auth=0/{} quit=1 commands=2/{}", attempts.len(), attempts.len() + 2);
        self.line(at + 40, site, None, |out, head| disconnected(out, head, smtpd, &commands));
    }

    /// Mail from another server, or what pretends to be one.
    fn mail(&mut self, act: &Act, site: &Site, (deed, truth): (Deed, Truth), from: &str, to: &str) {
        let smtpd = self.smtpd(act, false);
        let helo = format!("{}.test", act.who.name);
        let mail = Mail { from, to, helo: &helo };
        let attempt = Attempt {
            typed: to.to_owned(),
            account: to.to_owned(),
            password: String::new(),
            outcome: Outcome::Unknown,
            truth,
        };
        let label = Some(Label { deed, ..label(act, &attempt, 1) });
        self.line(act.at, site, None, |out, head| connected(out, head, smtpd));
        let commands = match deed {
            Deed::Delivery | Deed::SignIn => {
                let id = queue_id(&mut self.chance);
                self.line(act.at + 120, site, label, |out, head| client_accepted(out, head, smtpd, &id));
                self.line(act.at + 180, site, None, |out, head| queued(out, head, &id, from));
                "ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5"
            }
            Deed::Relay => {
                self.line(act.at + 120, site, label, |out, head| relay_denied(out, head, smtpd, mail));
                "ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4"
            }
            Deed::UnknownRecipient => {
                self.line(act.at + 120, site, label, |out, head| unknown_recipient(out, head, smtpd, mail));
                "ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4"
            }
        };
        self.line(act.at + 300, site, None, |out, head| disconnected(out, head, smtpd, commands));
    }

    fn smtpd(&mut self, act: &Act, submission: bool) -> Smtpd<'static> {
        let pid = self.chance.number(1000, 32_000) as u32;
        Smtpd { submission, pid, name: "unknown", client: act.client }
    }
}

fn label(act: &Act, attempt: &Attempt, tries: u32) -> Label {
    Label {
        line: 0,
        time: Time::default(),
        who: act.who.name.to_string(),
        class: act.who.class.to_owned(),
        truth: attempt.truth,
        deed: Deed::SignIn,
        address: act.client,
        typed: attempt.typed.clone(),
        account: attempt.account.clone(),
        right: attempt.outcome == Outcome::Right,
        tries,
    }
}

/// A Dovecot session's name: base 64 of 12 bytes.
pub(crate) fn session(chance: &mut Chance) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = u128::from(chance.bits()) << 64 | u128::from(chance.bits());
    (0..16).map(|place| char::from(ALPHABET[(bits >> (6 * place) & 63) as usize])).collect()
}

/// A Postfix queue id.
pub(crate) fn queue_id(chance: &mut Chance) -> String {
    format!("{:011X}", chance.bits() >> 20)
}
