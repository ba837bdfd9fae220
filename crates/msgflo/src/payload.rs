//! What ports carry: JSON of any serde type, or bytes as they are.

use bytes::Bytes;
use msgflo_core::{BoxError, Message};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The media type of what is encoded by serde.
const JSON: &str = "application/json";

/// Bytes as they are, with their media type: a payload that is no JSON.
///
/// ```
/// use msgflo::Raw;
///
/// let image = Raw::new(vec![0xff, 0xd8]).content_type("image/jpeg");
/// assert_eq!(image.bytes, [0xff, 0xd8][..]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raw {
    /// The payload. Cloning it does not copy it.
    pub bytes: Bytes,
    /// Its media type, if the sender said.
    pub content_type: Option<String>,
}

impl Raw {
    /// A payload without a media type.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), content_type: None }
    }

    /// The same payload with a media type, such as `image/jpeg`.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }
}

/// What can be sent on an outport: every type that serde can write as JSON, and [`Raw`].
///
/// A type that is not serde's can have its own encoding.
pub trait Encode {
    /// The payload for `self`.
    ///
    /// # Errors
    /// When the value cannot be written, such as JSON for a map whose keys are not texts.
    fn encode(&self) -> Result<Raw, BoxError>;
}

/// What can be taken on an inport: every type that serde can read from JSON, and [`Raw`].
///
/// A type that is not serde's can have its own encoding.
pub trait Decode: Sized {
    /// Reads the payload of `message`.
    ///
    /// # Errors
    /// When the payload is something else.
    fn decode(message: &Message) -> Result<Self, BoxError>;
}

impl<T: Serialize + ?Sized> Encode for T {
    fn encode(&self) -> Result<Raw, BoxError> {
        Ok(Raw { bytes: serde_json::to_vec(self)?.into(), content_type: Some(JSON.into()) })
    }
}

impl<T: DeserializeOwned> Decode for T {
    fn decode(message: &Message) -> Result<Self, BoxError> {
        Ok(serde_json::from_slice(&message.payload)?)
    }
}

impl Encode for Raw {
    fn encode(&self) -> Result<Raw, BoxError> {
        Ok(self.clone())
    }
}

impl Decode for Raw {
    fn decode(message: &Message) -> Result<Self, BoxError> {
        Ok(Self { bytes: message.payload.clone(), content_type: message.content_type.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serde_types_are_json() {
        let payload = "hello".encode().expect("JSON");
        assert_eq!(payload, Raw::new(&br#""hello""#[..]).content_type(JSON));
        assert_eq!(String::decode(&Message::new(payload.bytes)).expect("a text"), "hello");
        assert!(String::decode(&Message::new("not JSON")).is_err());
    }

    #[test]
    fn raw_bytes_stay_as_they_are() {
        let bytes: Vec<u8> = (0..=255).collect();
        let message = Message { content_type: Some("image/png".into()), ..Message::new(bytes) };
        let raw = Raw::decode(&message).expect("anything is raw");
        assert_eq!(raw.encode().expect("raw stays raw").bytes, message.payload);
        assert_eq!(raw.content_type.as_deref(), Some("image/png"));
    }
}
