//! Why a job failed, and what the error port says of it.

use std::any::Any;
use std::error::Error as StdError;
use std::time::Duration;

use msgflo_core::{BoxError, Outcome};
use serde_json::{Map, Value, json};

use crate::Error;
use crate::payload::Raw;

/// Why a job failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The payload is not what the port takes.
    Undecodable(BoxError),
    /// The handler said so.
    Work(BoxError),
    /// The handler took longer than its limit.
    TimedOut(Duration),
    /// The handler panicked, with this message.
    Panicked(String),
    /// The broker will never take a result.
    Unsendable(Error),
}

impl Failure {
    /// From what `catch_unwind` caught.
    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Self::Panicked(text.unwrap_or_else(|| "without a message".into()))
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::TimedOut(_) => Outcome::TimedOut,
            Self::Undecodable(_) | Self::Work(_) | Self::Panicked(_) | Self::Unsendable(_) => Outcome::Failed,
        }
    }

    /// One line for people: the error and what caused it.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Undecodable(error) => format!("the message cannot be read: {}", chain(error.as_ref())),
            Self::Work(error) => chain(error.as_ref()),
            Self::TimedOut(limit) => format!("the work took longer than {limit:?}"),
            Self::Panicked(text) => format!("the work panicked: {text}"),
            Self::Unsendable(error) => chain(error),
        }
    }

    /// What goes to the error port: the failure, and beside it what `input` holds if that is a JSON object.
    pub(crate) fn payload(&self, input: &[u8], failed_at: jiff::Timestamp) -> Raw {
        let mut object: Map<String, Value> = serde_json::from_slice(input).unwrap_or_default();
        object.insert("error".into(), json!({ "message": self.message() }));
        object.insert("failed_at".into(), format!("{failed_at:.3}").into());
        Raw::new(Value::Object(object).to_string()).content_type("application/json")
    }
}

/// An error's text, and those of its sources.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(failure: &Failure, input: &[u8]) -> Value {
        let at = jiff::Timestamp::from_millisecond(1_700_000_000_123).expect("a time");
        serde_json::from_slice(&failure.payload(input, at).bytes).expect("JSON")
    }

    #[test]
    fn a_failure_is_told_beside_the_input() {
        let failure = Failure::Work("no such picture".into());
        assert_eq!(
            payload(&failure, br#"{"job": 7, "error": null}"#),
            json!({"job": 7, "error": {"message": "no such picture"}, "failed_at": "2023-11-14T22:13:20.123Z"})
        );
    }

    #[test]
    fn an_input_that_is_no_object_is_left_out() {
        for input in [&b"[1]"[..], b"\xff\xd8", b""] {
            let told = payload(&Failure::TimedOut(Duration::from_secs(10)), input);
            assert_eq!(
                told,
                json!({"error": {"message": "the work took longer than 10s"},
                    "failed_at": "2023-11-14T22:13:20.123Z"})
            );
        }
    }

    #[test]
    fn causes_are_told() {
        let cause = std::io::Error::other("disk full");
        let error = crate::Error::Encode { port: "OUT".into(), source: cause.into() };
        assert!(Failure::Work(error.into()).message().ends_with(": disk full"));
    }
}
