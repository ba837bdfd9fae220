//! The least participant: sends what it gets.
//!
//! `cargo run -p msgflo --bin msgflo-repeat -- --role repeat --broker amqp://localhost`

use std::process::ExitCode;

use msgflo::{Inport, Participant, Raw};

fn main() -> ExitCode {
    let mut repeat = Participant::new("core/Repeat").label("Sends what it gets").icon("repeat");
    let out = repeat.outport::<Raw>("OUT");
    repeat.inport("IN", Inport::default(), move |message: Raw, context| {
        let out = out.clone();
        async move { Ok(context.send(&out, &message)?) }
    });
    msgflo::main([repeat])
}
