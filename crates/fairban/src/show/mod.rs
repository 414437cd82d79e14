//! Events, decisions and receipts as text for a terminal. Everything that a client chose is made harmless here.

mod finding;
pub(crate) mod fleet;
mod line;
mod receipt;
mod status;
mod table;
pub(crate) mod top;
mod why;
mod words;

use std::fmt::Write;

pub(crate) use line::{SEND_BLOCK, blocks, decision, event, seen, send_block, sparkline};
pub(crate) use status::status;
pub(crate) use table::table;
pub(crate) use why::why;
pub(crate) use words::{ago, clock, counted, zone};

/// An error with an exit status of its own.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Exit {
    pub(crate) status: u8,
    pub(crate) message: String,
}

/// An error with its causes, each told once: some errors tell their cause in their own text.
pub(crate) fn error(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        match () {
            () if told.is_empty() => told = cause,
            () if !told.contains(&cause) => told = format!("{told}: {cause}"),
            () => {}
        }
    }
    told
}

/// Text that a client chose, for a terminal: control characters, and those that reorder or hide text, are escaped.
pub(crate) fn safe(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if (letter.is_control() && letter != '\n') || is_hidden(letter) {
            let _ = write!(shown, "{}", letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Letters without a place of their own: they reorder, join or hide what is around them.
fn is_hidden(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The same in one line.
pub(crate) fn safe_line(text: &str) -> String {
    safe(text).replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_chose_cannot_steer_a_terminal() {
        assert_eq!(safe_line("a\u{1b}[2Jb\r\nc\u{202e}d"), "a\\u{1b}[2Jb\\u{d}\\nc\\u{202e}d");
        assert_eq!(safe_line("x\u{9b}31m\u{2066}y"), "x\\u{9b}31m\\u{2066}y");
        assert_eq!(safe("grüße ✓"), "grüße ✓");
    }

    #[test]
    fn a_cause_is_told_once() {
        let file = std::io::Error::other("no such file");
        let told = anyhow::Error::new(file).context("cannot read x: no such file").context("cannot start");
        assert_eq!(error(&told), "cannot start: cannot read x: no such file");
    }
}
