//! A display: standard output.

use std::process::ExitCode;
use std::sync::Mutex;

use clap::Args;
use msgflo::{Inport, Options, Participant, Raw};

#[derive(Args)]
pub(crate) struct Display {
    #[command(flatten)]
    options: Options,
}

impl Display {
    pub(crate) async fn run(self) -> ExitCode {
        let mut display = Participant::new("thermometer/Display").label("Shows what it gets").icon("desktop");
        let shown = Mutex::new(String::new());
        let text =
            Inport::default().prefetch(1).data_type("any").description("What to show, as JSON or as it is");
        display.inport("TEXT", text, move |message: Raw, _| {
            let text = text_of(&message.bytes);
            let mut shown = shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if *shown != text {
                println!("{text}");
                *shown = text;
            }
            async { Ok(()) }
        });
        crate::sensor::serve(self.options, display).await
    }
}

/// A text of JSON without its quotes; anything else as it is.
fn text_of(payload: &[u8]) -> String {
    serde_json::from_slice(payload).unwrap_or_else(|_| String::from_utf8_lossy(payload).into_owned())
}

#[cfg(test)]
mod tests {
    use super::text_of;

    #[test]
    fn a_display_shows_texts_and_numbers() {
        assert_eq!(text_of(b"\"22.3 C\""), "22.3 C");
        assert_eq!(text_of(b"22.3333333"), "22.3333333");
        assert_eq!(text_of(b"on"), "on");
    }
}
