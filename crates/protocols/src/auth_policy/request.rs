use std::fmt;

use hyper::{Method, StatusCode, Uri};

/// The longest body of a request, in bytes. Dovecot's have some 500; the longest part is what a client says of itself.
pub(super) const BODY_LEN_MAX: usize = 32 * 1024;

/// What Dovecot wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// May this client sign in?
    Allow,
    /// This is how it ended.
    Report,
}

/// Why there is no answer but an HTTP error. Dovecot lets the sign-in go on (unless `auth_policy_reject_on_fail`).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Method,
    Path,
    Command,
    Key,
    TooLong,
    Incomplete,
    Body(fairban_parse::policy::dovecot::Defect),
}

impl Trouble {
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Trouble::Method => StatusCode::METHOD_NOT_ALLOWED,
            Trouble::Path => StatusCode::NOT_FOUND,
            Trouble::Key => StatusCode::UNAUTHORIZED,
            Trouble::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Trouble::Command | Trouble::Incomplete | Trouble::Body(_) => StatusCode::BAD_REQUEST,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Method => f.write_str("only POST is served"),
            Trouble::Path => f.write_str("there is only /: set auth_policy_server_url to http://ADDRESS:PORT/"),
            Trouble::Command => f.write_str("the query must be command=allow or command=report"),
            Trouble::Key => f.write_str("the key is missing or wrong: set auth_policy_server_api_header"),
            Trouble::TooLong => write!(f, "the body is longer than {BODY_LEN_MAX} bytes"),
            Trouble::Incomplete => f.write_str("the body did not arrive whole"),
            Trouble::Body(defect) => write!(f, "{defect}"),
        }
    }
}

/// Which command a request line holds.
pub(super) fn command(method: &Method, uri: &Uri) -> Result<Command, Trouble> {
    if uri.path() != "/" {
        return Err(Trouble::Path);
    }
    if method != Method::POST {
        return Err(Trouble::Method);
    }
    let mut parts = uri.query().unwrap_or_default().split('&');
    match parts.find_map(|part| part.strip_prefix("command=")) {
        Some("allow") => Ok(Command::Allow),
        Some("report") => Ok(Command::Report),
        _ => Err(Trouble::Command),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_lines() {
        for (method, uri, expected) in [
            (Method::POST, "/?command=allow", Ok(Command::Allow)),
            (Method::POST, "/?command=report", Ok(Command::Report)),
            (Method::POST, "/?node=mx1&command=report", Ok(Command::Report)),
            (Method::POST, "http://192.0.2.1:4625/?command=allow", Ok(Command::Allow)),
            (Method::GET, "/?command=allow", Err(Trouble::Method)),
            (Method::POST, "/", Err(Trouble::Command)),
            (Method::POST, "/?command=", Err(Trouble::Command)),
            (Method::POST, "/?xcommand=allow", Err(Trouble::Command)),
            (Method::POST, "/policy?command=allow", Err(Trouble::Path)),
        ] {
            assert_eq!(command(&method, &uri.parse().unwrap()), expected, "{uri}");
        }
    }
}
