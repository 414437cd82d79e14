use fairban_types::Service;

/// A port of a mail server that the explainer speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// What is spoken there.
    pub service: Service,
    /// Whether TLS begins with the connection.
    pub is_tls: bool,
}

impl Port {
    /// Every port. 2525 is where submission is offered by those whose 587 is closed by others.
    pub const ALL: &'static [Port] = &[
        Port { number: 25, service: Service::Smtp, is_tls: false },
        Port { number: 110, service: Service::Pop3, is_tls: false },
        Port { number: 143, service: Service::Imap, is_tls: false },
        Port { number: 465, service: Service::Submission, is_tls: true },
        Port { number: 587, service: Service::Submission, is_tls: false },
        Port { number: 993, service: Service::Imap, is_tls: true },
        Port { number: 995, service: Service::Pop3, is_tls: true },
        Port { number: 2525, service: Service::Submission, is_tls: false },
        Port { number: 4190, service: Service::Sieve, is_tls: false },
    ];

    /// By its number.
    pub fn of(number: u16) -> Option<Port> {
        Self::ALL.iter().copied().find(|port| port.number == number)
    }
}
