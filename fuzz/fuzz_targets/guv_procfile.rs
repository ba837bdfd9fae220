//! Any bytes as a Procfile.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| guv::sources::fuzzing::procfile(bytes));
