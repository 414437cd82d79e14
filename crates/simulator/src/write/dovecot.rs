use std::fmt;
use std::net::IpAddr;

use fairban_types::Service;

use super::{Head, Printable, line};

/// The password database that Dovecot asks, as its log lines name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// `auth: passwd-file(…)`.
    PasswdFile,
    /// `auth: ldap(…)`.
    Ldap,
    /// `auth-worker(…): conn …: sql(…)`.
    Sql,
}

/// What Dovecot's auth process says of a failed try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthFailure {
    /// The account exists.
    Mismatch,
    /// It does not.
    UnknownUser,
}

impl fmt::Display for AuthFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AuthFailure::Mismatch => "Password mismatch",
            AuthFailure::UnknownUser => "unknown user",
        })
    }
}

/// One failed try, as told by the auth process (`auth_verbose = yes`). `session` is `None` for tries that came through
/// Postfix. `digest` is what `auth_verbose_passwords = sha1:6` adds.
pub fn dovecot_auth_failed(
    out: &mut String,
    head: Head<'_>,
    driver: Driver,
    failure: AuthFailure,
    (account, client): (&str, IpAddr),
    session: Option<&str>,
    digest: Option<&str>,
) {
    let account = Printable(account);
    let session = Between(",<", session, ">");
    let digest = Between(" (SHA1 of given password: ", digest, ")");
    match driver {
        Driver::PasswdFile | Driver::Ldap => {
            let driver = if driver == Driver::Ldap { "ldap" } else { "passwd-file" };
            line(out, &head, format_args!("dovecot: auth: {driver}({account},{client}{session}): {failure}{digest}"));
        }
        Driver::Sql => {
            let worker = 2000 + head.at.secs().rem_euclid(97);
            line(
                out,
                &head,
                format_args!(
                    "dovecot: auth-worker({worker}): conn unix:auth-worker (pid=1893,uid=114): \
                     auth-worker<{}>: sql({account},{client}{session}): {failure}{digest}",
                    head.at.secs().rem_euclid(900) + 1
                ),
            );
        }
    }
}

/// Text that is there with its brackets or not at all.
struct Between<'a>(&'a str, Option<&'a str>, &'a str);

impl fmt::Display for Between<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.1.map_or(Ok(()), |text| write!(f, "{}{text}{}", self.0, self.2))
    }
}

fn process(service: Service) -> &'static str {
    match service {
        Service::Pop3 => "pop3-login",
        Service::Sieve => "managesieve-login",
        Service::Submission => "submission-login",
        _ => "imap-login",
    }
}

fn server(client: IpAddr) -> &'static str {
    if client.is_ipv4() { "192.0.2.1" } else { "2001:db8:ffff::1" }
}

/// A sign-in.
pub fn dovecot_login(
    out: &mut String,
    head: Head<'_>,
    service: Service,
    (account, client): (&str, IpAddr),
    session: &str,
) {
    line(
        out,
        &head,
        format_args!(
            "dovecot: {}: Login: user=<{}>, method=PLAIN, rip={client}, lip={}, mpid={}, TLS, session=<{session}>",
            process(service),
            Printable(account),
            server(client),
            10_000 + head.at.millis().rem_euclid(20_000),
        ),
    );
}

/// The end of a session without a sign-in, after `tries` failures within `secs` seconds.
pub fn dovecot_disconnected_auth_failed(
    out: &mut String,
    head: Head<'_>,
    service: Service,
    (account, client): (&str, IpAddr),
    (tries, secs): (u32, u32),
    session: &str,
) {
    line(
        out,
        &head,
        format_args!(
            "dovecot: {}: Disconnected: Connection closed (auth failed, {tries} attempts in {secs} secs): \
             user=<{}>, method=PLAIN, rip={client}, lip={}, TLS, session=<{session}>",
            process(service),
            Printable(account),
            server(client),
        ),
    );
}

/// The end of a session in which the client did not try to sign in: a scanner or a health check.
pub fn dovecot_disconnected_no_auth(out: &mut String, head: Head<'_>, service: Service, client: IpAddr, session: &str) {
    line(
        out,
        &head,
        format_args!(
            "dovecot: {}: Disconnected: Connection closed (no auth attempts in 0 secs): user=<>, rip={client}, lip={}, \
             session=<{session}>",
            process(service),
            server(client),
        ),
    );
}

/// The end of a session after a sign-in.
pub fn dovecot_logged_out(out: &mut String, head: Head<'_>, service: Service, account: &str, session: &str) {
    let name = if service == Service::Pop3 { "pop3" } else { "imap" };
    line(
        out,
        &head,
        format_args!(
            "dovecot: {name}({})<{}><{session}>: Disconnected: Logged out in=112 out=1377 deleted=0 expunged=0 \
             trashed=0 hdr_count=0 hdr_bytes=0 body_count=0 body_bytes=0",
            Printable(account),
            10_000 + head.at.millis().rem_euclid(20_000),
        ),
    );
}
