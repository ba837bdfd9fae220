//! The message that travels: one for each image of a job, with what has become of it so far.
//!
//! The HTTP API sends it with nothing but its order, the resize worker completes it, the store merges it into the job's row.
//! On the wire it is flat, with `null` for what has not happened, as every participant of this service has always written it;
//! inside, an [`Ending`] is either a result or a failure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A job: what one request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub Uuid);

/// An image of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImageId(pub Uuid);

macro_rules! display_as_uuid {
    ($($name:ident),*) => {$(
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
display_as_uuid!(JobId, ImageId);

/// How the box bounds the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// The result keeps its shape, fits within the box and is never larger than the original.
    #[default]
    Max,
}

/// How the result is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JPEG; what was transparent becomes white.
    #[default]
    Jpeg,
    /// PNG.
    Png,
}

impl Format {
    /// The ending of a file of this format.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
        }
    }

    /// The media type of this format.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }
}

/// What to do to one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The image.
    pub id: ImageId,
    /// The original's URL.
    pub input: String,
    /// The box's width in pixels.
    pub width: u32,
    /// The box's height in pixels.
    pub height: u32,
    /// How the box bounds the result.
    #[serde(default)]
    pub operation: Operation,
    /// How the result is encoded.
    #[serde(default)]
    pub format: Format,
    /// An older name for `operation`, kept as it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Operation>,
}

/// What came out of an image that could be resized.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resized {
    /// The URL of the result.
    pub output: String,
}

/// Why an image could not be resized.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// For a person.
    pub message: String,
}

/// The message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResizeMessage {
    /// The job.
    pub job: JobId,
    /// What to do.
    pub payload: Order,
    /// When the job was asked for.
    pub created_at: Timestamp,
    /// When a worker took it.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When the result was stored.
    #[serde(default)]
    pub completed_at: Option<Timestamp>,
    /// When it was given up.
    #[serde(default)]
    pub failed_at: Option<Timestamp>,
    /// Why it was given up.
    #[serde(default)]
    pub error: Option<Failure>,
    /// What came out of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Resized>,
}

/// How the work on an image ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The result is stored.
    Completed(Resized),
    /// It could not be resized.
    Failed(Failure),
}

/// What a worker says of an image: the message, once it is known to have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The job.
    pub job: JobId,
    /// The image.
    pub image: ImageId,
    /// When the work began, if it did.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How it ended.
    pub ending: Ending,
}

/// Why a message says nothing that the store could keep.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It has neither a result nor a failure.
    #[error("image {0} has neither a result with its time nor an error with its time")]
    NotEnded(ImageId),
    /// It has both.
    #[error("image {0} has both a result and an error")]
    Contradictory(ImageId),
}

impl ResizeMessage {
    /// The message that asks for `order`.
    pub fn new(job: JobId, created_at: Timestamp, order: Order) -> Self {
        Self {
            job,
            payload: order,
            created_at,
            started_at: None,
            completed_at: None,
            failed_at: None,
            error: None,
            result: None,
        }
    }

    /// The message with what became of the image.
    #[must_use]
    pub fn ended(self, started_at: Timestamp, ended_at: Timestamp, ending: Ending) -> Self {
        let started = Self { started_at: Some(started_at), ..self };
        match ending {
            Ending::Completed(result) => {
                Self { completed_at: Some(ended_at), result: Some(result), ..started }
            }
            Ending::Failed(error) => Self { failed_at: Some(ended_at), error: Some(error), ..started },
        }
    }
}

impl TryFrom<ResizeMessage> for Ended {
    type Error = Error;

    fn try_from(message: ResizeMessage) -> Result<Self, Error> {
        let image = message.payload.id;
        let (ended_at, ending) = match (message.result, message.error) {
            (Some(result), None) => (message.completed_at, Ending::Completed(result)),
            (None, Some(error)) => (message.failed_at, Ending::Failed(error)),
            (Some(_), Some(_)) => return Err(Error::Contradictory(image)),
            (None, None) => return Err(Error::NotEnded(image)),
        };
        let ended_at = ended_at.ok_or(Error::NotEnded(image))?;
        Ok(Self { job: message.job, image, started_at: message.started_at, ended_at, ending })
    }
}

/// Now, to the millisecond: what browsers and databases keep of a time.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            id: ImageId(Uuid::from_u128(7)),
            input: "http://example.net/a.jpg".into(),
            width: 400,
            height: 300,
            operation: Operation::Max,
            format: Format::Jpeg,
            policy: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time in this age")
    }

    #[test]
    fn a_new_message_has_nulls_for_what_has_not_happened() {
        let message = ResizeMessage::new(JobId(Uuid::from_u128(1)), at(0), order());
        let json = serde_json::to_value(&message).expect("it is JSON");
        for key in ["started_at", "completed_at", "failed_at", "error"] {
            assert_eq!(json.get(key), Some(&serde_json::Value::Null), "{key} in {json}");
        }
        assert_eq!(json["created_at"], "1970-01-01T00:00:00Z");
        assert_eq!(json["payload"]["operation"], "max");
    }

    #[test]
    fn a_message_of_other_participants_with_more_and_fewer_keys_is_read() {
        let json = r#"{"job":"00000000-0000-0000-0000-000000000001","created_at":"2017-04-05T13:21:36.000Z","mood":"fine",
            "payload":{"id":"00000000-0000-0000-0000-000000000002","input":"http://a/b","width":1,"height":2}}"#;
        let message: ResizeMessage = serde_json::from_str(json).expect("it is a message");
        assert_eq!(message.payload.format, Format::Jpeg);
        assert_eq!(message.started_at, None);
    }

    #[test]
    fn what_ended_is_either_a_result_or_a_failure() {
        let message = ResizeMessage::new(JobId(Uuid::from_u128(1)), at(0), order());
        assert_eq!(Ended::try_from(message.clone()), Err(Error::NotEnded(order().id)));

        let result = Resized { output: "file:///out.jpg".into() };
        let done = message.clone().ended(at(1), at(2), Ending::Completed(result.clone()));
        let ended = Ended::try_from(done.clone()).expect("it ended");
        assert_eq!((ended.started_at, ended.ended_at), (Some(at(1)), at(2)));
        assert_eq!(ended.ending, Ending::Completed(result));

        let both = ResizeMessage { error: Some(Failure { message: "no".into() }), ..done };
        assert_eq!(Ended::try_from(both), Err(Error::Contradictory(order().id)));

        let failure = Failure { message: "no such image".into() };
        let failed = message.ended(at(1), at(3), Ending::Failed(failure.clone()));
        assert_eq!(failed.completed_at, None);
        let ended = Ended::try_from(failed).expect("it ended");
        assert_eq!((ended.ended_at, ended.ending), (at(3), Ending::Failed(failure)));
    }
}
