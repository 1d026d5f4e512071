#![no_main]
//! The target `prompt`; see `tests/fuzz/src/prompt/mod.rs`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_tests::run("prompt", bytes));
