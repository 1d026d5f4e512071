#![no_main]
//! The target `command_line`; see `tests/fuzz/src/command_line.rs`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_tests::run("command_line", bytes));
