//! Any bytes as what queue libraries write into Redis.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| guv::sources::fuzzing::redis(bytes));
