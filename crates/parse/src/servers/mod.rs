//! Mail servers and webmails other than Postfix, Dovecot and Exim.

use crate::message::Message;
use crate::{Context, Outcome};

/// Reads a syslog message of a program that none of the larger parsers owns.
pub(crate) fn by_program<'a>(_message: &Message<'a>) -> Outcome<'a> {
    Outcome::Nothing
}

/// Reads a line of a log file in a server's own form, without a syslog prefix (Roundcube, Stalwart …).
pub(crate) fn by_line<'a>(_line: &'a [u8], _context: &Context) -> Outcome<'a> {
    Outcome::Nothing
}
