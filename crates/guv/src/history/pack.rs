//! A record as a shape and numbers.
//!
//! Most of a record is the same every time: parameters, limits, the reason, the outcome. That part, as JSON, is a
//! shape, and is kept once. The numbers that change from poll to poll are taken out of it and kept for each record.

use serde_json::Value;

use super::Error;
use crate::Record;

/// The numbers that are columns of their own, since queries need them.
pub(super) const COLUMNS: [&str; 5] = [
    "/decision/inputs/observation/queue/ready",
    "/decision/inputs/observation/queue/unacknowledged",
    "/decision/inputs/observation/workers/current",
    "/decision/target",
    "/decision/estimate/needed",
];

/// The other numbers, and the short lists of them. New ones are put at the end, so that old records can be read.
pub(super) const NUMBERS: [&str; 24] = [
    "/cycle",
    "/decision/estimate/jobs",
    "/decision/estimate/turns",
    "/decision/estimate/workers",
    "/decision/look_again",
    "/decision/reason/left",
    "/decision/inputs/window",
    "/decision/inputs/idle_for",
    "/decision/inputs/in_flight/jobs",
    "/decision/inputs/observation/queue/consumers",
    "/decision/inputs/observation/queue/fill_rate",
    "/decision/inputs/observation/queue/drain_rate",
    "/decision/inputs/observation/queue/oldest",
    "/decision/inputs/observation/queue/reports",
    "/decision/inputs/observation/queue/times",
    "/decision/inputs/observation/workers/booting",
    "/decision/inputs/observation/workers/draining",
    "/decision/inputs/observation/workers/busy",
    "/outcome/workers",
    "/decision/inputs/observation/queue/waits",
    // What a policy that looks ahead expects, and the processing time that it learns, are other numbers each time.
    "/decision/inputs/prospect",
    "/decision/inputs/parameters/processing",
    "/decision/inputs/parameters/target",
    "/decision/inputs/parameters/available",
];

/// A record taken apart.
pub(super) struct Packed {
    pub(super) shape: String,
    pub(super) columns: [Option<i64>; 5],
    pub(super) numbers: String,
}

/// Takes a record apart. Its role and its time are kept elsewhere.
pub(super) fn pack(record: &Record) -> Result<Packed, Error> {
    let mut value = serde_json::to_value(record).map_err(|error| Error::Malformed(error.to_string()))?;
    let mut take = |path: &str| value.pointer_mut(path).map(Value::take).unwrap_or_default();
    for path in ["/at", "/role", "/decision/at", "/decision/role"] {
        take(path);
    }
    let columns = COLUMNS.map(|path| take(path).as_i64());
    let numbers: Vec<Value> = NUMBERS.iter().map(|path| take(path)).collect();
    // Most of them are unknown most of the time: `[3,,,1]` is shorter than with words, and as easy to read.
    let numbers: Vec<String> = numbers.iter().map(number).collect();
    Ok(Packed { shape: value.to_string(), columns, numbers: numbers.join(";") })
}

fn number(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        value => value.to_string(),
    }
}

/// Puts a record together again.
pub(super) fn unpack(
    role: &str,
    at: i64,
    shape: &str,
    columns: [Option<i64>; 5],
    numbers: &str,
) -> Result<Record, Error> {
    let malformed = |error: serde_json::Error| Error::Malformed(error.to_string());
    let mut value: Value = serde_json::from_str(shape).map_err(malformed)?;
    let mut put = |path: &str, number: Value| {
        // What is not there has been unknown with all around it.
        if let Some(place) = value.pointer_mut(path) {
            *place = number;
        }
    };
    let seconds = Value::from(at as f64 / 1000.0);
    for (path, known) in [
        ("/at", seconds.clone()),
        ("/role", role.into()),
        ("/decision/at", seconds),
        ("/decision/role", role.into()),
    ] {
        put(path, known);
    }
    for (path, column) in COLUMNS.iter().zip(columns) {
        put(path, column.map_or(Value::Null, Value::from));
    }
    for (path, text) in NUMBERS.iter().zip(numbers.split(';')) {
        if !text.is_empty() {
            put(path, serde_json::from_str(text).map_err(malformed)?);
        }
    }
    serde_json::from_value(value).map_err(malformed)
}
