//! See `properties::dotenv`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::dotenv(bytes));
