#![no_main]

use fairban_parse::policy::{TEXT_LEN_MAX, dovecot};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let read = dovecot::read(data);
    assert_eq!(read, dovecot::read(data));
    let Ok(request) = read else { return };
    assert!(request.client.is_none_or(|client| client == client.to_canonical()));
    let texts = [request.account, request.digest, request.session, request.device, request.method];
    for text in texts.into_iter().flatten() {
        assert!(!text.is_empty() && text.len() <= TEXT_LEN_MAX);
    }
});
