//! See `properties::property_string`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::property_string(bytes));
