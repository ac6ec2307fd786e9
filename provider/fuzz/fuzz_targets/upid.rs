//! See `properties::upid`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::upid(bytes));
