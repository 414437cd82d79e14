#![no_main]

use fairban_protocols::explainer::{Dialogue, Next, Port};

// Whatever a blocked client sends, in whatever pieces, the answers are the same and bounded, end in whole lines, and hold
// nothing that would end a line too early.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some(([choice, size], input)) = data.split_first_chunk() else { return };
    let port = Port::ALL[usize::from(*choice) % Port::ALL.len()];
    let whole = talk(port, input, input.len().max(1));
    let pieces = talk(port, input, usize::from(*size).max(1));
    // Of TLS it matters what came in one piece with the word for it.
    if whole.1 != Next::StartTls && pieces.1 != Next::StartTls {
        assert_eq!(whole, pieces);
    }
    assert!(whole.0.len() < 8 * 1024);
    assert!(whole.0.is_empty() || whole.0.ends_with(b"\r\n"));
    assert!(whole.0.split(|byte| *byte == b'\n').all(|line| line.len() <= 512));
    assert!(whole.0.iter().all(|byte| matches!(byte, b'\r' | b'\n' | b' '..=b'~')));
});

fn talk(port: Port, input: &[u8], size: usize) -> (Vec<u8>, Next) {
    let why = || vec!["blocked".to_owned(), "gesperrt".to_owned()];
    let mut dialogue = Dialogue::new(port, "mail.example.test".into(), true);
    let mut out = Vec::new();
    let mut next = dialogue.greet(&why, &mut out);
    for piece in input.chunks(size) {
        if next != Next::Listen {
            break;
        }
        next = dialogue.hear(piece, &why, &mut out);
    }
    (out, next)
}
