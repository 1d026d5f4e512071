#![no_main]
//! The target `boot_info`; see `tests/fuzz/src/boot_info.rs`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_tests::run("boot_info", bytes));
