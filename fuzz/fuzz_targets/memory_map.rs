#![no_main]
//! The target `memory_map`; see `tests/fuzz/src/memory_map.rs`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_tests::run("memory_map", bytes));
