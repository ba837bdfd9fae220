//! A [`Message`] as AMQP carries it.

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use msgflo_core::{Headers, Message, Timestamp};
use serde_json::Value;

/// AMQP's persistent delivery mode.
const PERSISTENT: u8 = 2;
/// The most that a short string holds, in bytes.
const SHORT_STRING: usize = 255;

/// The properties with which `message` is published.
pub(crate) fn encode(message: &Message) -> BasicProperties {
    let mut properties = BasicProperties::default();
    if let Some(content_type) = &message.content_type {
        properties = properties.with_content_type(short(content_type));
    }
    if message.persistent {
        properties = properties.with_delivery_mode(PERSISTENT);
    }
    let mut headers = FieldTable::default();
    for (name, value) in &message.headers {
        headers.insert(short(name), to_amqp(value));
    }
    if let Some(Timestamp(milliseconds)) = message.timestamp {
        properties = properties.with_timestamp(milliseconds / 1000);
        let milliseconds = i64::try_from(milliseconds).unwrap_or(i64::MAX);
        headers.insert(Timestamp::HEADER.into(), AMQPValue::LongLongInt(milliseconds));
    }
    if let Some(traceparent) = &message.traceparent {
        headers.insert(Message::TRACEPARENT.into(), AMQPValue::LongString(traceparent.as_str().into()));
    }
    if headers.inner().is_empty() { properties } else { properties.with_headers(headers) }
}

/// The message that arrived with `properties`.
pub(crate) fn decode(properties: &BasicProperties, payload: Vec<u8>, redelivered: bool) -> Message {
    let mut headers = Headers::new();
    for (name, value) in properties.headers().iter().flat_map(|table| table.inner()) {
        if let Some(value) = from_amqp(value) {
            headers.insert(name.to_string(), value);
        }
    }
    let milliseconds = headers.remove(Timestamp::HEADER).and_then(|value| value.as_u64());
    let seconds = || properties.timestamp().map(|seconds| seconds.saturating_mul(1000));
    let traceparent = match headers.remove(Message::TRACEPARENT) {
        Some(Value::String(traceparent)) => Some(traceparent),
        _ => None,
    };
    Message {
        payload: Bytes::from(payload),
        content_type: properties.content_type().as_ref().map(ToString::to_string),
        headers,
        timestamp: milliseconds.or_else(seconds).map(Timestamp),
        traceparent,
        persistent: *properties.delivery_mode() == Some(PERSISTENT),
        redelivered,
    }
}

/// `text`, cut to what a short string holds.
fn short(text: &str) -> ShortString {
    text[..text.floor_char_boundary(SHORT_STRING)].into()
}

fn to_amqp(value: &Value) -> AMQPValue {
    match value {
        Value::Null => AMQPValue::Void,
        Value::Bool(value) => AMQPValue::Boolean(*value),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => AMQPValue::LongLongInt(integer),
            None => AMQPValue::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => AMQPValue::LongString(text.as_str().into()),
        Value::Array(values) => AMQPValue::FieldArray(values.iter().map(to_amqp).collect::<Vec<_>>().into()),
        Value::Object(values) => {
            let mut table = FieldTable::default();
            for (name, value) in values {
                table.insert(short(name), to_amqp(value));
            }
            AMQPValue::FieldTable(table)
        }
    }
}

/// The value as JSON. `None` for bytes that are not text, and for numbers that JSON lacks.
fn from_amqp(value: &AMQPValue) -> Option<Value> {
    Some(match value {
        AMQPValue::Boolean(value) => Value::from(*value),
        AMQPValue::ShortShortInt(value) => Value::from(*value),
        AMQPValue::ShortShortUInt(value) => Value::from(*value),
        AMQPValue::ShortInt(value) => Value::from(*value),
        AMQPValue::ShortUInt(value) => Value::from(*value),
        AMQPValue::LongInt(value) => Value::from(*value),
        AMQPValue::LongUInt(value) => Value::from(*value),
        AMQPValue::LongLongInt(value) => Value::from(*value),
        AMQPValue::Float(value) => Value::from(*value),
        AMQPValue::Double(value) => Value::from(*value),
        AMQPValue::DecimalValue(decimal) => {
            Value::from(f64::from(decimal.value) / 10f64.powi(decimal.scale.into()))
        }
        AMQPValue::ShortString(text) => Value::from(text.as_str()),
        AMQPValue::LongString(bytes) => Value::from(std::str::from_utf8(bytes.as_bytes()).ok()?),
        AMQPValue::ByteArray(bytes) => Value::from(std::str::from_utf8(bytes.as_slice()).ok()?),
        AMQPValue::FieldArray(values) => values.as_slice().iter().filter_map(from_amqp).collect(),
        AMQPValue::FieldTable(table) => {
            let pairs =
                table.inner().iter().filter_map(|(name, value)| Some((name.to_string(), from_amqp(value)?)));
            Value::Object(pairs.collect())
        }
        AMQPValue::Timestamp(seconds) => Value::from(*seconds),
        AMQPValue::Void => Value::Null,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_sent_arrives() {
        let Value::Object(headers) =
            json!({"n": -3, "f": 1.5, "t": "é", "x": [{"count": 2, "ok": true}], "z": null})
        else {
            unreachable!()
        };
        let message = Message {
            payload: Bytes::from_static(&[0, 255, 13]),
            content_type: Some("image/jpeg".into()),
            headers,
            timestamp: Some(Timestamp(1_700_000_000_123)),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
            persistent: true,
            redelivered: true,
        };
        assert_eq!(decode(&encode(&message), message.payload.to_vec(), true), message);
    }

    #[test]
    fn whole_seconds_do_where_there_is_nothing_finer() {
        let properties = BasicProperties::default().with_timestamp(1_700_000_000);
        assert_eq!(decode(&properties, vec![], false).timestamp, Some(Timestamp(1_700_000_000_000)));
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        assert_eq!(short(&"é".repeat(200)).as_str().len(), 254);
    }
}
