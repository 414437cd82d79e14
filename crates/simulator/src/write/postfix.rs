use std::net::IpAddr;

use super::{Head, Printable, line};

/// Which of Postfix's servers speaks, and to whom.
#[derive(Clone, Copy, Debug)]
pub struct Smtpd<'a> {
    /// Whether it is the submission service.
    pub submission: bool,
    /// Its process id.
    pub pid: u32,
    /// The client's name by reverse look-up, or `unknown`.
    pub name: &'a str,
    /// The client's address.
    pub client: IpAddr,
}

impl std::fmt::Display for Smtpd<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "postfix/{}smtpd[{}]", if self.submission { "submission/" } else { "" }, self.pid)
    }
}

/// A message that a client offers.
#[derive(Clone, Copy, Debug)]
pub struct Mail<'a> {
    /// The return-path.
    pub from: &'a str,
    /// The recipient.
    pub to: &'a str,
    /// The HELO name.
    pub helo: &'a str,
}

/// A client connects.
pub fn connected(out: &mut String, head: Head<'_>, smtpd: Smtpd<'_>) {
    line(out, &head, format_args!("{smtpd}: connect from {}[{}]", smtpd.name, smtpd.client));
}

/// A client goes, with the commands that it gave.
pub fn disconnected(out: &mut String, head: Head<'_>, smtpd: Smtpd<'_>, commands: &str) {
    line(out, &head, format_args!("{smtpd}: disconnect from {}[{}] {commands}", smtpd.name, smtpd.client));
}

/// A failed SMTP AUTH. Postfix before 3.6 does not tell the account.
pub fn postfix_sasl_failed(out: &mut String, head: Head<'_>, smtpd: Smtpd<'_>, method: &str, account: Option<&str>) {
    let from =
        format_args!("{smtpd}: warning: {}[{}]: SASL {method} authentication failed: ", smtpd.name, smtpd.client)
            .to_string();
    match account {
        Some(account) => {
            line(out, &head, format_args!("{from}(reason unavailable), sasl_username={}", Printable(account)));
        }
        // Base 64 of the server's last prompt, "Password:".
        None if method == "LOGIN" => line(out, &head, format_args!("{from}UGFzc3dvcmQ6")),
        None => line(out, &head, format_args!("{from}authentication failure")),
    }
}

/// A message accepted from a client that signed in.
pub fn client_signed_in(
    out: &mut String,
    head: Head<'_>,
    smtpd: Smtpd<'_>,
    queue_id: &str,
    method: &str,
    account: &str,
) {
    line(
        out,
        &head,
        format_args!(
            "{smtpd}: {queue_id}: client={}[{}], sasl_method={method}, sasl_username={}",
            smtpd.name,
            smtpd.client,
            Printable(account)
        ),
    );
}

/// A message accepted from another server.
pub fn client_accepted(out: &mut String, head: Head<'_>, smtpd: Smtpd<'_>, queue_id: &str) {
    line(out, &head, format_args!("{smtpd}: {queue_id}: client={}[{}]", smtpd.name, smtpd.client));
}

/// The queue manager takes a message.
pub fn queued(out: &mut String, head: Head<'_>, queue_id: &str, from: &str) {
    let size = 400 + head.at.millis().rem_euclid(90_000);
    line(
        out,
        &head,
        format_args!("postfix/qmgr[811]: {queue_id}: from=<{}>, size={size}, nrcpt=1 (queue active)", Printable(from)),
    );
}

/// A client that did not sign in asks for mail to be sent elsewhere.
pub fn relay_denied(out: &mut String, head: Head<'_>, smtpd: Smtpd<'_>, mail: Mail<'_>) {
    rejected(out, head, smtpd, mail, "554 5.7.1", "Relay access denied");
}

/// A client names a recipient that does not exist here.
pub fn unknown_recipient(out: &mut String, head: Head<'_>, smtpd: Smtpd<'_>, mail: Mail<'_>) {
    rejected(out, head, smtpd, mail, "550 5.1.1", "Recipient address rejected: User unknown in virtual mailbox table");
}

fn rejected(out: &mut String, head: Head<'_>, smtpd: Smtpd<'_>, mail: Mail<'_>, code: &str, reason: &str) {
    let (from, to, helo) = (Printable(mail.from), Printable(mail.to), Printable(mail.helo));
    line(
        out,
        &head,
        format_args!(
            "{smtpd}: NOQUEUE: reject: RCPT from {}[{}]: {code} <{to}>: {reason}; \
             from=<{from}> to=<{to}> proto=ESMTP helo=<{helo}>",
            smtpd.name, smtpd.client
        ),
    );
}
