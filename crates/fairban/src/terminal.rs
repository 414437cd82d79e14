//! Standard output. Whoever pipes into `head` closes it early: that is an error that `main` takes quietly, never a panic.
//! Colours only where a person looks on.

use std::io::{IsTerminal, Write};
use std::sync::OnceLock;

/// How a text stands out.
#[derive(Clone, Copy)]
pub(crate) enum Tone {
    Strong,
    Alarm,
    Good,
    Quiet,
}

/// Writes the text with a newline.
pub(crate) fn line(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")
}

/// Writes the text as it is.
pub(crate) fn text(text: &str) -> std::io::Result<()> {
    std::io::stdout().lock().write_all(text.as_bytes())
}

/// Writes a value as one line of JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut bytes = serde_json::to_vec(value)?;
    bytes.push(b'\n');
    Ok(std::io::stdout().lock().write_all(&bytes)?)
}

/// Whether standard output is a terminal that may show colours (<https://no-color.org>).
pub(crate) fn has_colours() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| allows_colours() && std::io::stdout().is_terminal())
}

/// Whether the environment speaks against colours.
pub(crate) fn allows_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The text in its tone, on a terminal; elsewhere as it is. The text must be harmless already.
pub(crate) fn tone(text: &str, tone: Tone) -> String {
    if !has_colours() {
        return text.to_owned();
    }
    let code = match tone {
        Tone::Strong => "1",
        Tone::Alarm => "1;31",
        Tone::Good => "32",
        Tone::Quiet => "2",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}
