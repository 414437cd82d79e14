#![no_main]

use fairban_config::Config;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // A configuration that is taken once is taken the same way again, and one that is refused says why.
    match (Config::from_toml(text, "fuzz.toml"), Config::from_toml(text, "fuzz.toml")) {
        (Ok(_), Ok(_)) => {}
        (Err(problems), Err(again)) => {
            let said = problems.to_string();
            assert!(!said.is_empty());
            assert_eq!(said, again.to_string());
        }
        _ => panic!("the same text is taken once and refused once"),
    }
});
