#![no_main]
//! The target `walker`; see `tests/fuzz/src/walker.rs`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_tests::run("walker", bytes));
