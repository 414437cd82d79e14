#![no_main]

use fairban_parse::policy::TEXT_LEN_MAX;
use fairban_parse::policy::postfix::{REQUEST_LEN_MAX, Scanner, read};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // The first byte says where what arrives is cut in two; that changes nothing.
    let Some((cut, stream)) = data.split_first() else { return };
    let mut scanner = Scanner::default();
    let first = scanner.find_end(&stream[..stream.len().min(usize::from(*cut))]);
    let in_two = if first == Ok(None) { scanner.find_end(stream) } else { first };
    assert_eq!(in_two, Scanner::default().find_end(stream));
    let _ = read(stream);

    let (mut scanner, mut rest) = (Scanner::default(), stream);
    while let Ok(Some(length)) = scanner.find_end(rest) {
        assert!(length > 1 && length <= REQUEST_LEN_MAX);
        let (request, after) = rest.split_at(length);
        rest = after;
        let Ok(request) = read(request) else { continue };
        assert_eq!(request.client, request.client.to_canonical());
        let texts = [
            request.account,
            request.method,
            request.helo,
            request.return_path,
            request.recipient,
            request.queue_id,
            request.instance,
        ];
        for text in texts.into_iter().flatten() {
            assert!(text.len() <= TEXT_LEN_MAX && !text.contains('\n'));
        }
    }
});
