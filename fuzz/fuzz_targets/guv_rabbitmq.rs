//! Any bytes as an answer of RabbitMQ's management API.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| guv::sources::fuzzing::rabbitmq(bytes));
