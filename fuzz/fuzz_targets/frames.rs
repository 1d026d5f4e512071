#![no_main]
//! The target `frames`; see `tests/fuzz/src/frames.rs`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_tests::run("frames", bytes));
