use fairban_parse::{LINE_LEN_MAX, Outcome, Parser};
use proptest::prelude::*;

use crate::show::context;

/// Pieces that real lines are made of, so that random lines come far into the parsers.
const PIECES: [&str; 64] = [
    "Nov 21 19:12:05 ",
    "2026-11-21T19:12:05Z ",
    "2026-11-21 19:12:05 ",
    "<22>",
    "<22>1 ",
    "@400000006920b8ff1dcd6500 ",
    "mail ",
    "postfix/smtpd[1]: ",
    "postfix/postscreen[1]: ",
    "postfix/cleanup[1]: ",
    "dovecot: ",
    "exim[1]: ",
    "warning: ",
    "NOQUEUE: ",
    "4FABC: ",
    "reject: ",
    "milter-reject: ",
    "RCPT from ",
    "unknown[192.0.2.7]",
    ": ",
    "554 5.7.1 ",
    "<a@b>",
    "Relay access denied",
    "; ",
    "from=<",
    "to=<",
    "> ",
    "proto=ESMTP ",
    "helo=<",
    "client=",
    ", sasl_method=",
    ", sasl_username=",
    "SASL LOGIN authentication failed: ",
    "header ",
    " from ",
    "[192.0.2.7]",
    "imap-login: ",
    "auth: ",
    "auth(",
    "passwd-file(",
    ",192.0.2.7",
    ",<abc>",
    ")",
    "<abc>",
    "Password mismatch",
    "user=<",
    ">, ",
    "method=PLAIN, ",
    "rip=192.0.2.7",
    ", rip=",
    ", lip=",
    "Login",
    "Disconnected (auth failed, 1 ",
    "H=(",
    ") [",
    "F=<",
    "rejected RCPT ",
    "<= ",
    "\"",
    "\\",
    "authenticator failed for ",
    "message repeated 3 times: [ ",
    "last message repeated 2 times",
    "(given password: ",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_have_an_outcome(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..4)) {
        let mut parser = Parser::new();
        for line in &lines {
            parser.parse(line, &context());
        }
    }

    #[test]
    fn any_shuffled_pieces_have_an_outcome(
        picks in prop::collection::vec(prop::collection::vec((0..PIECES.len(), any::<bool>(), any::<u8>()), 0..24), 1..4),
    ) {
        let mut parser = Parser::new();
        for pick in &picks {
            let mut line = Vec::new();
            for (piece, with_byte, byte) in pick {
                line.extend_from_slice(PIECES[*piece].as_bytes());
                if *with_byte {
                    line.push(*byte);
                }
            }
            parser.parse(&line, &context());
        }
    }

    #[test]
    fn fields_are_bounded(user in "\\PC{0,900}") {
        let line = format!(
            "Nov 21 19:12:05 postfix/smtpd[1]: warning: a[192.0.2.7]: SASL LOGIN authentication failed: x, sasl_username={user}"
        );
        if let Outcome::Event(event) = Parser::new().parse(line.as_bytes(), &context()) {
            prop_assert_eq!(event.client.to_string(), "192.0.2.7");
            prop_assert!(event.account.is_none_or(|account| account.len() < 1000));
        } else {
            prop_assert!(false, "no event");
        }
    }
}

#[test]
fn every_cut_of_a_line_has_an_outcome() {
    for name in ["prefixes", "postfix", "dovecot", "exim"] {
        let path = format!("{}/tests/corpus/{name}.txt", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read(path).expect("the corpus can be read");
        for line in text.split(|byte| *byte == b'\n') {
            for end in 0..line.len() {
                Parser::new().parse(&line[..end], &context());
            }
        }
    }
}

#[test]
fn long_lines_are_bounded() {
    let mut line =
        b"Nov 21 19:12:05 mail postfix/smtpd[1]: warning: a[192.0.2.7]: SASL LOGIN authentication failed: ".to_vec();
    line.resize(1 << 20, b'x');
    assert!(matches!(Parser::new().parse(&line, &context()), Outcome::Defect(_)));
    line.truncate(LINE_LEN_MAX);
    assert!(matches!(Parser::new().parse(&line, &context()), Outcome::Event(_)));
}
