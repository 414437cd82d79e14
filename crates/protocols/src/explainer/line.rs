use std::fmt;

/// The longest word that is looked at. Commands are shorter, and tags of IMAP are in practice.
const WORD_LEN_MAX: usize = 32;

/// A word of a line. One that is longer than any command is known to be too long, not kept whole.
#[derive(Clone, Copy, Default)]
pub(super) struct Word {
    bytes: [u8; WORD_LEN_MAX],
    len: usize,
    is_too_long: bool,
}

impl Word {
    fn push(&mut self, byte: u8) {
        match self.bytes.get_mut(self.len) {
            Some(place) => {
                *place = byte;
                self.len += 1;
            }
            None => self.is_too_long = true,
        }
    }

    /// The word in capitals; empty if it is too long or no word of ASCII letters.
    pub(super) fn command(&self) -> String {
        let bytes = &self.bytes[..self.len];
        if self.is_too_long || !bytes.iter().all(u8::is_ascii_alphabetic) {
            return String::new();
        }
        bytes.iter().map(|byte| char::from(byte.to_ascii_uppercase())).collect()
    }

    /// The word as a tag of IMAP (RFC 3501, section 9), which may be said back.
    pub(super) fn tag(&self) -> Option<&str> {
        let is_harmless = |byte: &u8| byte.is_ascii_graphic() && !b"(){%*\"\\]+".contains(byte);
        let bytes = self.bytes.get(..self.len).filter(|bytes| !bytes.is_empty() && !self.is_too_long)?;
        bytes.iter().all(is_harmless).then(|| std::str::from_utf8(bytes).ok()).flatten()
    }
}

/// What is kept of a line: its first words, and two facts about the rest.
#[derive(Clone, Copy, Default)]
pub(super) struct Heard {
    pub(super) first: Word,
    pub(super) second: Word,
    /// Whether anything stands behind the words that are kept.
    pub(super) has_more: bool,
    /// Whether it ends as the announcement of a literal does (`{5}` or `{5+}`), whose bytes would follow.
    pub(super) ends_in_literal: bool,
}

/// Bytes into lines. Of a line only the beginning is kept, up to its command: what follows, a password perhaps, is
/// passed over byte by byte and never stored.
#[derive(Clone, Copy)]
pub(super) struct Line {
    /// 1, or 2 where a tag comes before the command.
    words: usize,
    begun: usize,
    is_in_word: bool,
    last: u8,
    heard: Heard,
}

impl Line {
    pub(super) fn new(words: usize) -> Self {
        Line { words, begun: 0, is_in_word: false, last: 0, heard: Heard::default() }
    }

    /// Takes bytes off the input until a line is whole.
    pub(super) fn take(&mut self, input: &mut &[u8]) -> Option<Heard> {
        while let Some((byte, rest)) = input.split_first() {
            *input = rest;
            if *byte == b'\n' {
                let heard = Heard { ends_in_literal: self.last == b'}', ..self.heard };
                *self = Line::new(self.words);
                return Some(heard);
            }
            self.push(*byte);
        }
        None
    }

    fn push(&mut self, byte: u8) {
        if byte == b'\r' {
            return;
        }
        self.last = if byte == b'}' { byte } else { 0 };
        if byte == b' ' || byte == b'\t' {
            self.is_in_word = false;
            return;
        }
        if !self.is_in_word {
            self.is_in_word = true;
            self.begun += 1;
        }
        match self.begun {
            begun if begun > self.words => self.heard.has_more = true,
            1 => self.heard.first.push(byte),
            _ => self.heard.second.push(byte),
        }
    }

    /// Whether no byte of a line is here yet.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.begun == 0
    }

    /// Every byte of the client's that is kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> Vec<u8> {
        [self.heard.first.bytes, self.heard.second.bytes].concat()
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("begun", &self.begun).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_however_the_bytes_come() {
        for text in ["a1 login alice secret\r\n", "  a1   LOGIN \"alice\" \"secret\"\n"] {
            for size in 1..text.len() {
                let mut line = Line::new(2);
                let mut heard = None;
                for mut piece in text.as_bytes().chunks(size) {
                    heard = heard.or(line.take(&mut piece));
                }
                let heard = heard.unwrap();
                assert_eq!((heard.first.tag(), heard.second.command().as_str()), (Some("a1"), "LOGIN"));
                assert!(heard.has_more && !heard.ends_in_literal && line.is_empty());
            }
        }
    }

    #[test]
    fn what_stands_behind_the_command_is_never_kept() {
        for (words, text) in [(1, "PASS hunter2"), (1, "AUTH PLAIN hunter2"), (2, "a AUTHENTICATE PLAIN hunter2")] {
            let mut line = Line::new(words);
            for end in 1..=text.len() {
                assert!(line.take(&mut &text.as_bytes()[end - 1..end]).is_none());
                let kept = line.kept();
                assert!(!kept.windows(2).any(|pair| pair == b"hu"), "{text}");
            }
            line.take(&mut &b"\n"[..]).unwrap();
            assert!(line.kept().iter().all(|byte| *byte == 0), "nor is the command, once it was heard");
        }
    }

    #[test]
    fn strange_words_are_neither_commands_nor_tags() {
        for text in ["\n", "\r\n", "é x\n", "a\u{0}b x\n", "*\n", "a+ x\n", &format!("{} NOOP\n", "a".repeat(33))] {
            let heard = Line::new(2).take(&mut text.as_bytes()).unwrap();
            assert_eq!(heard.first.tag(), None, "{text}");
        }
        for (text, ends_in_literal) in
            [("a LOGIN {5}\r\n", true), ("a LOGIN {5+}\r\n", true), ("a LOGIN } \r\n", false)]
        {
            assert_eq!(Line::new(2).take(&mut text.as_bytes()).unwrap().ends_in_literal, ends_in_literal, "{text}");
        }
    }
}
