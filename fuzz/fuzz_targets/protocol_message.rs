//! Any message of an editor is answered, and what is refused changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| msgflo_server::fuzzing::message(text));
