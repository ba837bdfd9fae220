//! Any bytes after the handshake are served or refused; the broker's books stay right.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| msgflo_broker::fuzzing::stream(bytes));
