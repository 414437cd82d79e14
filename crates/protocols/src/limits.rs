use std::time::Duration;

/// What peers of one server may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most connections at once: more than a mail server has processes. Each takes at most some 80 KiB, at rest some
    /// 10, and a file descriptor.
    pub connections_max: usize,
    /// How long a request may take from its first byte until its answer is taken; also how long a new connection has
    /// for its first request.
    pub request_time: Duration,
    /// How long a connection may rest between two requests. Longer than the mail server keeps one: Dovecot 10 s, Postfix
    /// 300 s (`smtpd_policy_service_max_idle`), so that it is never cut off just when it asks.
    pub idle_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { connections_max: 2048, request_time: Duration::from_secs(10), idle_time: Duration::from_secs(330) }
    }
}
