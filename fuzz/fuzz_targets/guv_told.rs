//! Any bytes as numbers that queries, commands, Prometheus and applications tell.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| guv::sources::fuzzing::told(bytes));
