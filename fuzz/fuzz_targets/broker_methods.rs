//! Any sequence of methods in valid frames is served or refused; the broker's books stay right.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| msgflo_broker::fuzzing::methods(bytes));
