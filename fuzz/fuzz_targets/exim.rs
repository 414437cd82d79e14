#![no_main]

#[allow(dead_code)]
#[path = "../../crates/parse/tests/it/invariants.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::exim(data));
