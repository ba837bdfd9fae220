//! Any bytes from a broker of MQTT are taken or refused, however they are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| msgflo_transports::fuzzing::mqtt(bytes));
