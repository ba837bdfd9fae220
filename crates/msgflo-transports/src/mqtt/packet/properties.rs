//! What travels beside a payload, as the properties of version 5.
//!
//! Headers are user properties: a text as it is, anything else as JSON, so that it arrives as a text. The time and the
//! trace context are user properties of their own names.

use bytes::{Buf, Bytes};
use msgflo_core::{Headers, Message, Timestamp};
use serde_json::Value;

use super::decode::Malformed;
use super::property;

/// What the embedded broker adds to a message. It is not the sender's.
const REMARKS: [&str; 2] = ["x-mqtt-client-id", "x-mqtt-sender"];

/// A message's properties, encoded, without their length.
pub(super) fn encode(message: &Message) -> Vec<u8> {
    let mut encoded = Vec::new();
    if let Some(content_type) = &message.content_type {
        encoded.push(property::CONTENT_TYPE);
        text(&mut encoded, content_type);
    }
    let mut user = |name: &str, value: &str| {
        encoded.push(property::USER);
        text(&mut encoded, name);
        text(&mut encoded, value);
    };
    for (name, value) in &message.headers {
        match value {
            Value::String(value) => user(name, value),
            value => user(name, &value.to_string()),
        }
    }
    if let Some(Timestamp(time)) = message.timestamp {
        user(Timestamp::HEADER, &time.to_string());
    }
    if let Some(traceparent) = &message.traceparent {
        user(Message::TRACEPARENT, traceparent);
    }
    encoded
}

/// Adds a text with its length before it. What MQTT cannot hold is cut.
pub(super) fn text(encoded: &mut Vec<u8>, text: &str) {
    let length = text.floor_char_boundary(usize::from(u16::MAX));
    let short = u16::try_from(length).expect("cut to what 16 bits can tell");
    encoded.extend_from_slice(&short.to_be_bytes());
    encoded.extend_from_slice(&text.as_bytes()[..length]);
}

/// Takes what a message's properties say into `message`.
pub(super) fn decode(properties: Bytes, message: &mut Message) -> Result<(), Malformed> {
    let mut headers = Headers::new();
    each(properties, |name, value| match (name, value) {
        (property::CONTENT_TYPE, Property::Text(content_type)) => message.content_type = Some(content_type),
        (property::USER, Property::Pair(name, value)) => match name.as_str() {
            Message::TRACEPARENT => message.traceparent = Some(value),
            Timestamp::HEADER => message.timestamp = value.parse().ok().map(Timestamp),
            name if REMARKS.contains(&name) => {}
            _ => {
                headers.insert(name, Value::String(value));
            }
        },
        _ => {}
    })?;
    message.headers = headers;
    Ok(())
}

/// A property's value.
pub(super) enum Property {
    Number(u32),
    Text(String),
    Pair(String, String),
    Binary,
}

/// Tells each property of `properties` to `take`.
pub(super) fn each(mut properties: Bytes, mut take: impl FnMut(u8, Property)) -> Result<(), Malformed> {
    while properties.has_remaining() {
        let name = properties.get_u8();
        // The types are those of the specification, 2.2.2.2.
        let value = match name {
            0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2A => {
                Property::Number(number::<1>(&mut properties)?)
            }
            0x13 | 0x21 | 0x22 | 0x23 => Property::Number(number::<2>(&mut properties)?),
            0x02 | 0x11 | 0x18 | 0x27 => Property::Number(number::<4>(&mut properties)?),
            0x0B => Property::Number(variable(&mut properties)?),
            0x03 | 0x08 | 0x12 | 0x15 | 0x1A | 0x1C | 0x1F => Property::Text(string(&mut properties)?),
            property::USER => Property::Pair(string(&mut properties)?, string(&mut properties)?),
            0x09 | 0x16 => {
                binary(&mut properties)?;
                Property::Binary
            }
            _ => return Err(Malformed("an unknown property")),
        };
        take(name, value);
    }
    Ok(())
}

fn number<const N: usize>(bytes: &mut Bytes) -> Result<u32, Malformed> {
    let number = bytes.try_get_uint(N).map_err(|_| Malformed("a property is cut short"))?;
    Ok(u32::try_from(number).expect("at most four bytes were read"))
}

/// A number of variable length, as before properties.
pub(super) fn variable(bytes: &mut Bytes) -> Result<u32, Malformed> {
    let mut number = 0;
    for shift in [0, 7, 14, 21] {
        let byte = bytes.try_get_u8().map_err(|_| Malformed("a length is cut short"))?;
        number |= u32::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Malformed("a length has more than four bytes"))
}

/// Bytes with their length before them.
pub(super) fn binary(bytes: &mut Bytes) -> Result<Bytes, Malformed> {
    let length = usize::from(bytes.try_get_u16().map_err(|_| Malformed("a text is cut short"))?);
    if bytes.len() < length {
        return Err(Malformed("a text is cut short"));
    }
    Ok(bytes.split_to(length))
}

fn string(bytes: &mut Bytes) -> Result<String, Malformed> {
    let bytes = binary(bytes)?;
    String::from_utf8(bytes.into()).map_err(|_| Malformed("a text is not UTF-8"))
}
