use crate::{EnforceError, Felt};

/// SMTP, submission, IMAP, POP3 and ManageSieve, with and without implicit TLS.
pub const MAIL_PORTS: &[u16] = &[25, 110, 143, 465, 587, 993, 995, 2525, 4190];

/// What the table looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The name of the table in the `inet` family. Whatever has this name belongs to this program.
    pub table: String,
    /// The TCP ports that blocks close; none means all traffic of every protocol, the portal included.
    pub ports: Vec<u16>,
    /// The priority of the chains; 0 is where other firewalls filter, and lower comes first.
    pub priority: i32,
    /// Whether traffic to containers and virtual machines behind this machine is guarded as well.
    pub forward: bool,
    /// Whether established connections of a newly blocked client are closed on the server's side too, so that its
    /// processes do not wait for a client whose packets are dropped.
    pub cut_connections: bool,
    /// Who tells blocked clients why; `None`: nobody, and all of them are dropped.
    pub explain: Option<Explain>,
}

/// Where blocked clients are told why, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explain {
    /// The TCP port at which the explainer listens, on every address of this machine. Nobody reaches it who is not
    /// redirected.
    pub port: u16,
    /// So many new connections of one address (of one /64 in IPv6) get there at once, and as many a minute from then on.
    /// The others are dropped. At least 1.
    pub per_minute: u32,
}

impl Default for Layout {
    fn default() -> Self {
        Layout {
            table: "fairban".to_owned(),
            ports: MAIL_PORTS.to_vec(),
            priority: -10,
            forward: true,
            cut_connections: true,
            explain: None,
        }
    }
}

impl Layout {
    /// Brings the ports into order, and refuses a name that the kernel or the `nft` program would not take.
    pub(crate) fn checked(mut self) -> Result<Self, EnforceError> {
        let name = self.table.as_bytes();
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'-';
        if !name.first().is_some_and(u8::is_ascii_alphabetic) || !name.iter().all(is_plain) || name.len() > 64 {
            let shown: String = self.table.chars().take(80).collect();
            return Err(EnforceError::Layout(format!(
                "'{}' cannot be the name of a table: write a letter, then up to 63 letters, digits, '_' or '-'",
                shown.escape_debug()
            )));
        }
        if self.ports.contains(&0) {
            return Err(EnforceError::Layout("0 is not a port: leave the list empty to guard all ports".to_owned()));
        }
        if let Some(explain) = &self.explain {
            if explain.port == 0 || self.ports.contains(&explain.port) || MAIL_PORTS.contains(&explain.port) {
                return Err(EnforceError::Layout(format!(
                    "the explainer cannot listen on port {}: take one that is neither guarded nor a port of mail",
                    explain.port
                )));
            }
            if explain.per_minute == 0 {
                return Err(EnforceError::Layout(
                    "0 explained connections a minute are none: write at least 1, or turn the explainer off".to_owned(),
                ));
            }
        }
        self.ports.sort_unstable();
        self.ports.dedup();
        Ok(self)
    }

    /// Whether blocks close this port.
    pub(crate) fn guards(&self, port: u16) -> bool {
        self.ports.is_empty() || self.ports.binary_search(&port).is_ok()
    }

    /// The guarded ports whose protocols the explainer speaks.
    pub(crate) fn explained_ports(&self) -> Vec<u16> {
        MAIL_PORTS.iter().copied().filter(|port| self.guards(*port)).collect()
    }

    /// Whether the port is the explainer's.
    pub(crate) fn is_explainer(&self, port: u16) -> bool {
        self.explain.is_some_and(|explain| explain.port == port)
    }

    /// How an element will be felt in this layout.
    pub(crate) fn felt(&self, felt: Felt) -> Felt {
        if self.explain.is_some() { felt } else { Felt::Drop }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_nft_would_misread_are_refused() {
        for table in ["", "4ban", "a b", "a;b", "fair{", "\u{e9}", &"a".repeat(65)] {
            let layout = Layout { table: table.to_owned(), ..Layout::default() };
            assert!(matches!(layout.checked(), Err(EnforceError::Layout(_))), "{table}");
        }
        assert!(Layout { ports: vec![0], ..Layout::default() }.checked().is_err());
        let layout = Layout { ports: vec![143, 25, 143], ..Layout::default() }.checked().unwrap();
        assert_eq!(layout.ports, [25, 143]);
        assert!(layout.guards(143) && !layout.guards(8080));
    }

    #[test]
    fn explainers_that_cannot_be_are_refused() {
        for (port, per_minute, is_possible) in
            [(4626, 30, true), (0, 30, false), (143, 30, false), (8143, 30, false), (4626, 0, false)]
        {
            let ports = vec![25, 8143];
            let layout = Layout { ports, explain: Some(Explain { port, per_minute }), ..Layout::default() }.checked();
            assert_eq!(layout.is_ok(), is_possible, "{port}, {per_minute}");
        }
    }

    #[test]
    fn only_guarded_ports_of_mail_are_explained() {
        let ports = |ports: &[u16]| Layout { ports: ports.to_vec(), ..Layout::default() }.explained_ports();
        assert_eq!(ports(&[]), MAIL_PORTS);
        assert_eq!(ports(&[80, 143]), [143]);
    }
}
