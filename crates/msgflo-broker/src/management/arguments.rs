//! Field tables as JSON, and back.
//!
//! JSON knows fewer types. Numbers become 64-bit ones, which as arguments mean the same; bytes that are no text
//! become an array of numbers.

use amq_protocol::types::{AMQPValue, FieldTable};
use serde_json::{Map, Value};

/// A table as a JSON object.
pub(crate) fn to_json(table: &FieldTable) -> Value {
    let entries = table.inner().iter().map(|(key, value)| (key.as_str().to_owned(), value_to_json(value)));
    Value::Object(entries.collect::<Map<_, _>>())
}

fn value_to_json(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(flag) => (*flag).into(),
        AMQPValue::Float(number) => f64::from(*number).into(),
        AMQPValue::Double(number) => (*number).into(),
        AMQPValue::LongString(text) => match str::from_utf8(text.as_bytes()) {
            Ok(text) => text.into(),
            Err(_) => text.as_bytes().into(),
        },
        AMQPValue::ByteArray(bytes) => bytes.as_slice().into(),
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(value_to_json).collect(),
        AMQPValue::FieldTable(table) => to_json(table),
        AMQPValue::Timestamp(seconds) => (*seconds).into(),
        AMQPValue::ShortString(text) => text.as_str().into(),
        AMQPValue::DecimalValue(decimal) => {
            (f64::from(decimal.value) / 10_f64.powi(i32::from(decimal.scale))).into()
        }
        AMQPValue::Void => Value::Null,
        number => crate::broker::integer(number).map_or(Value::Null, Value::from),
    }
}

/// A JSON object as a table; `None` if it is no object, or a key is too long.
pub(crate) fn from_json(value: &Value) -> Option<FieldTable> {
    let mut table = FieldTable::default();
    match value {
        Value::Null => {}
        Value::Array(none) if none.is_empty() => {}
        Value::Object(entries) => {
            for (key, value) in entries {
                if key.len() > 255 {
                    return None;
                }
                table.insert(key.as_str().into(), value_from_json(value)?);
            }
        }
        _ => return None,
    }
    Some(table)
}

fn value_from_json(value: &Value) -> Option<AMQPValue> {
    Some(match value {
        Value::Null => AMQPValue::Void,
        Value::Bool(flag) => AMQPValue::Boolean(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => AMQPValue::LongLongInt(whole),
            None => AMQPValue::Double(number.as_f64()?),
        },
        Value::String(text) => AMQPValue::LongString(text.as_str().into()),
        Value::Array(values) => {
            let values: Option<Vec<_>> = values.iter().map(value_from_json).collect();
            AMQPValue::FieldArray(values?.into())
        }
        Value::Object(_) => AMQPValue::FieldTable(from_json(value)?),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_comes_back_as_it_was() {
        let value = json!({"n": -3, "x": 1.5, "t": "text", "b": true, "a": [1, {"k": null}], "o": {}});
        assert_eq!(to_json(&from_json(&value).unwrap()), value);
        assert_eq!(from_json(&json!([])), Some(FieldTable::default()));
        assert_eq!(from_json(&json!([1])), None);
    }
}
