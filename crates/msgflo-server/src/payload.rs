//! Messages as editors see them, and as they send them. Pure.
//!
//! JSON is shown as it is, other text as a string, and everything else as `{"base64": …, "contentType": …}`, which is also taken.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use msgflo_core::Message;
use serde_json::{Value, json};

/// What is longer than this is shown by its length only, in bytes.
const MAX_SHOWN: usize = 256 << 10;

/// A message for an editor.
pub(crate) fn shown(message: &Message) -> Value {
    let payload = &message.payload;
    if payload.len() > MAX_SHOWN {
        return json!({"bytes": payload.len(), "contentType": content_type(message)});
    }
    match (serde_json::from_slice(payload), std::str::from_utf8(payload)) {
        (Ok(value), _) => value,
        (Err(_), Ok(text)) => text.into(),
        (Err(_), Err(_)) => {
            json!({"base64": BASE64_STANDARD.encode(payload), "contentType": content_type(message)})
        }
    }
}

/// What a message says beside its payload, without what it does not say.
pub(crate) fn properties(message: &Message) -> Value {
    let mut told = json!({"persistent": message.persistent});
    let mut tell = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            told[name] = value;
        }
    };
    tell("contentType", message.content_type.as_deref().map(Value::from));
    tell("sent", message.timestamp.map(|sent| sent.0.into()));
    tell("traceparent", message.traceparent.as_deref().map(Value::from));
    tell("headers", (!message.headers.is_empty()).then(|| message.headers.clone().into()));
    told
}

fn content_type(message: &Message) -> &str {
    message.content_type.as_deref().unwrap_or("application/octet-stream")
}

/// The message that an editor means by a value.
pub(crate) fn message(value: &Value) -> Result<Message, String> {
    let bytes =
        value.as_object().filter(|object| object.keys().all(|key| key == "base64" || key == "contentType"));
    if let Some(object) = bytes
        && let Some(text) = object.get("base64").and_then(Value::as_str)
    {
        let payload = BASE64_STANDARD.decode(text).map_err(|error| format!("`base64` is none: {error}"))?;
        let content_type = object.get("contentType").and_then(Value::as_str).map(str::to_owned);
        return Ok(Message { content_type, ..Message::new(payload) });
    }
    Message::json(value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_payloads_go_both_ways_unchanged() {
        let image =
            Message { content_type: Some("image/png".into()), ..Message::new(vec![0x89, b'P', 0, 255]) };
        let value = shown(&image);
        assert_eq!(value, json!({"base64": "iVAA/w==", "contentType": "image/png"}));
        assert_eq!(message(&value), Ok(image));
        assert!(message(&json!({"base64": "?"})).is_err());
    }

    #[test]
    fn only_what_a_message_says_is_told() {
        assert_eq!(properties(&Message::new("")), json!({"persistent": true}));
        let full = Message {
            content_type: Some("text/plain".into()),
            timestamp: Some(msgflo_core::Timestamp(1500)),
            headers: [("tenant".to_owned(), json!(7))].into_iter().collect(),
            ..Message::default()
        };
        let told =
            json!({"persistent": false, "contentType": "text/plain", "sent": 1500, "headers": {"tenant": 7}});
        assert_eq!(properties(&full), told);
    }

    #[test]
    fn text_is_shown_as_what_it_is() {
        assert_eq!(shown(&Message::new(r#"{"a": 1}"#)), json!({"a": 1}));
        assert_eq!(shown(&Message::new("22.5 C")), json!("22.5 C"));
        assert_eq!(shown(&Message::new("")), json!(""));
        assert_eq!(shown(&Message::new(vec![b'1'; MAX_SHOWN + 1]))["bytes"], json!(MAX_SHOWN + 1));
        let value = json!({"base64": "AA==", "other": 1});
        assert_eq!(message(&value).unwrap().payload, value.to_string(), "which is an object like any other");
    }
}
