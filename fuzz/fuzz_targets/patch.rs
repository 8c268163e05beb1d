//! `cargo fuzz run patch`.

#![no_main]
#![allow(unsafe_code, reason = "libFuzzer's entry point is a function of C's; the macro writes it")]

libfuzzer_sys::fuzz_target!(|input: &[u8]| entropo_fuzz::patch(input));
