//! Fuzzes a file's reference, size and record.

#![no_main]

#[path = "../encrypted.rs"]
#[allow(dead_code, reason = "each program has one of them")]
mod encrypted;

libfuzzer_sys::fuzz_target!(|data: &[u8]| encrypted::file(data));
