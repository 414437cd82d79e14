use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a client did. The names are the ones in configuration, logs, CLI and API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum EventKind {
    /// A wrong password, or any other refused authentication of an account that may exist.
    LoginFailed,
    /// A sign-in to an account that the server says does not exist.
    LoginUnknownAccount,
    /// A sign-in with success.
    LoginSucceeded,
    /// A sign-in refused by policy (Fairban's own answer among them); never scored.
    LoginRefused,
    /// A sign-in over an unencrypted connection where the server demands TLS; the password was not checked.
    PlaintextRefused,
    /// An attempt to send to a domain that the server does not serve, without being allowed to.
    RelayDenied,
    /// Mail for another domain accepted from a client that may relay.
    RelayAllowed,
    /// A recipient that does not exist here.
    RecipientUnknown,
    /// A message accepted from a client that did not sign in.
    RecipientAccepted,
    /// A recipient refused for another reason than not existing.
    RecipientRejected,
    /// A message judged spam.
    Spam,
    /// A message judged a virus.
    Virus,
    /// A message refused by a header, body or content check.
    ContentRejected,
    /// A message refused for a forbidden attachment.
    AttachmentBlocked,
    /// A message in fragments (message/partial), which hides attachments from checks.
    PartialMessage,
    /// A client refused because a DNS block list lists it.
    DnsblListed,
    /// A sender refused because SPF, DKIM or DMARC failed.
    SpfFailed,
    /// A client refused or deferred by a policy service or milter for no nearer reason.
    PolicyRejected,
    /// A client asked to come back later by greylisting; never scored by default.
    Greylisted,
    /// A HELO name that the server refuses.
    HeloRejected,
    /// A return-path that the server refuses.
    SenderRejected,
    /// A client refused by name or address (access map, no reverse DNS).
    ClientRejected,
    /// A protocol error: an unknown command, a malformed argument, another protocol, commands sent too early.
    SyntaxError,
    /// A message over the size limit.
    MessageTooBig,
    /// A limit on connections, commands, recipients or errors exceeded.
    RateExceeded,
    /// A connection dropped without a sign-in or mail, or in the middle of one.
    ConnectionAborted,
    /// A message sent by an account that signed in; the count is that of its recipients.
    MessageSent,
    /// A message of an account that came back because it could not be delivered.
    MessageBounced,
}

impl EventKind {
    /// Every kind, in the order of declaration: `ALL[kind as usize] == kind`.
    pub const ALL: &'static [EventKind] = &[
        EventKind::LoginFailed,
        EventKind::LoginUnknownAccount,
        EventKind::LoginSucceeded,
        EventKind::LoginRefused,
        EventKind::PlaintextRefused,
        EventKind::RelayDenied,
        EventKind::RelayAllowed,
        EventKind::RecipientUnknown,
        EventKind::RecipientAccepted,
        EventKind::RecipientRejected,
        EventKind::Spam,
        EventKind::Virus,
        EventKind::ContentRejected,
        EventKind::AttachmentBlocked,
        EventKind::PartialMessage,
        EventKind::DnsblListed,
        EventKind::SpfFailed,
        EventKind::PolicyRejected,
        EventKind::Greylisted,
        EventKind::HeloRejected,
        EventKind::SenderRejected,
        EventKind::ClientRejected,
        EventKind::SyntaxError,
        EventKind::MessageTooBig,
        EventKind::RateExceeded,
        EventKind::ConnectionAborted,
        EventKind::MessageSent,
        EventKind::MessageBounced,
    ];

    /// The kind's name, such as `login_failed`.
    pub const fn as_str(self) -> &'static str {
        match self {
            EventKind::LoginFailed => "login_failed",
            EventKind::LoginUnknownAccount => "login_unknown_account",
            EventKind::LoginSucceeded => "login_succeeded",
            EventKind::LoginRefused => "login_refused",
            EventKind::PlaintextRefused => "plaintext_refused",
            EventKind::RelayDenied => "relay_denied",
            EventKind::RelayAllowed => "relay_allowed",
            EventKind::RecipientUnknown => "recipient_unknown",
            EventKind::RecipientAccepted => "recipient_accepted",
            EventKind::RecipientRejected => "recipient_rejected",
            EventKind::Spam => "spam",
            EventKind::Virus => "virus",
            EventKind::ContentRejected => "content_rejected",
            EventKind::AttachmentBlocked => "attachment_blocked",
            EventKind::PartialMessage => "partial_message",
            EventKind::DnsblListed => "dnsbl_listed",
            EventKind::SpfFailed => "spf_failed",
            EventKind::PolicyRejected => "policy_rejected",
            EventKind::Greylisted => "greylisted",
            EventKind::HeloRejected => "helo_rejected",
            EventKind::SenderRejected => "sender_rejected",
            EventKind::ClientRejected => "client_rejected",
            EventKind::SyntaxError => "syntax_error",
            EventKind::MessageTooBig => "message_too_big",
            EventKind::RateExceeded => "rate_exceeded",
            EventKind::ConnectionAborted => "connection_aborted",
            EventKind::MessageSent => "message_sent",
            EventKind::MessageBounced => "message_bounced",
        }
    }

    /// What the kind means, for the generated reference.
    pub const fn meaning(self) -> &'static str {
        match self {
            EventKind::LoginFailed => {
                "a wrong password, or any other refused authentication of an account that may exist"
            }
            EventKind::LoginUnknownAccount => "a sign-in to an account that the server says does not exist",
            EventKind::LoginSucceeded => "a sign-in with success",
            EventKind::LoginRefused => "a sign-in refused by policy (Fairban's own answer among them); never scored",
            EventKind::PlaintextRefused => {
                "a sign-in over an unencrypted connection where the server demands TLS; the password was not checked"
            }
            EventKind::RelayDenied => {
                "an attempt to send to a domain that the server does not serve, without being allowed to"
            }
            EventKind::RelayAllowed => "mail for another domain accepted from a client that may relay",
            EventKind::RecipientUnknown => "a recipient that does not exist here",
            EventKind::RecipientAccepted => "a message accepted from a client that did not sign in",
            EventKind::RecipientRejected => "a recipient refused for another reason than not existing",
            EventKind::Spam => "a message judged spam",
            EventKind::Virus => "a message judged a virus",
            EventKind::ContentRejected => "a message refused by a header, body or content check",
            EventKind::AttachmentBlocked => "a message refused for a forbidden attachment",
            EventKind::PartialMessage => {
                "a message in fragments (message/partial), which hides attachments from checks"
            }
            EventKind::DnsblListed => "a client refused because a DNS block list lists it",
            EventKind::SpfFailed => "a sender refused because SPF, DKIM or DMARC failed",
            EventKind::PolicyRejected => {
                "a client refused or deferred by a policy service or milter for no nearer reason"
            }
            EventKind::Greylisted => "a client asked to come back later by greylisting; never scored by default",
            EventKind::HeloRejected => "a HELO name that the server refuses",
            EventKind::SenderRejected => "a return-path that the server refuses",
            EventKind::ClientRejected => "a client refused by name or address (access map, no reverse DNS)",
            EventKind::SyntaxError => {
                "a protocol error: an unknown command, a malformed argument, another protocol, commands sent too early"
            }
            EventKind::MessageTooBig => "a message over the size limit",
            EventKind::RateExceeded => "a limit on connections, commands, recipients or errors exceeded",
            EventKind::ConnectionAborted => "a connection dropped without a sign-in or mail, or in the middle of one",
            EventKind::MessageSent => {
                "a message sent by an account that signed in; the count is that of its recipients"
            }
            EventKind::MessageBounced => "a message of an account that came back because it could not be delivered",
        }
    }

    /// Whether this is a sign-in that did not succeed because of what the client gave.
    pub const fn is_login_failure(self) -> bool {
        matches!(self, EventKind::LoginFailed | EventKind::LoginUnknownAccount)
    }

    /// Whether this tells the outcome of a sign-in, and so may be told twice by a mail server.
    pub const fn is_login_outcome(self) -> bool {
        self.is_login_failure() || matches!(self, EventKind::LoginRefused | EventKind::LoginSucceeded)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for EventKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("'{}' is not an event kind", text.chars().take(40).collect::<String>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_to_one() {
        for (index, kind) in EventKind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, index);
            assert_eq!(kind.as_str().parse(), Ok(*kind));
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{kind}\""));
        }
        assert!("login".parse::<EventKind>().is_err());
    }
}
