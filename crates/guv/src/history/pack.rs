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
pub(super) const NUMBERS: [&str; 47] = [
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
    PROSPECT,
    "/decision/inputs/parameters/processing",
    "/decision/inputs/parameters/target",
    "/decision/inputs/parameters/available",
    "/decision/inputs/prospect/forecast/rate",
    "/decision/inputs/prospect/forecast/excess",
    "/decision/inputs/prospect/forecast/dispersion",
    "/decision/inputs/prospect/forecast/peak",
    "/decision/inputs/prospect/booting",
    "/decision/inputs/prospect/slack",
    "/decision/inputs/prospect/why/work/work",
    "/decision/inputs/prospect/why/work/within",
    "/decision/inputs/prospect/why/peak",
    "/decision/inputs/prospect/forecast/burst",
    "/decision/inputs/prospect/forecast/alone",
    "/decision/inputs/prospect/why/burst",
    "/decision/inputs/prospect/caution",
    "/decision/inputs/prospect/forecast/due/within",
    "/decision/inputs/prospect/forecast/due/every",
    "/decision/inputs/prospect/forecast/due/jobs",
    "/decision/inputs/observation/queue/published",
    "/decision/inputs/observation/queue/acknowledged",
    "/decision/inputs/observation/clock",
    "/decision/limits/0/left",
    "/decision/limits/1/left",
    "/decision/limits/2/left",
    "/decision/limits/3/left",
];

/// What a policy that looks ahead expects: in old records as a whole, since then number by number.
const PROSPECT: &str = "/decision/inputs/prospect";

/// Estimates and rates are kept with so many digits after the first. Sums, which are compared with each other, are not among them.
const DIGITS: usize = 4;
const ROUNDED: [&str; 4] = [PROSPECT, "/decision/inputs/parameters", "/queue/fill_rate", "/queue/drain_rate"];

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
    let numbers =
        NUMBERS.map(|path| if path == PROSPECT { String::new() } else { number(path, &take(path)) });
    // Most of them are unknown most of the time: `3;;;1` is shorter than with words, and as easy to read.
    let mut numbers = numbers.join(";");
    numbers.truncate(numbers.trim_end_matches(';').len());
    Ok(Packed { shape: value.to_string(), columns, numbers })
}

fn number(path: &str, value: &Value) -> String {
    match value.as_f64() {
        None if value.is_null() => String::new(),
        Some(exact) if value.is_f64() && ROUNDED.iter().any(|rounded| path.contains(rounded)) => {
            let rounded = format!("{exact:.DIGITS$e}");
            rounded.parse().map_or(rounded, |number: f64| Value::from(number).to_string())
        }
        _ => value.to_string(),
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use guv_model::{Config, Environment, Limit, Observation, QueueSample, RoleState, WorkerCount};

    use super::*;
    use crate::Outcome;

    /// An hour of looks at a role whose jobs cannot wait for a start, each with other numbers.
    fn records() -> Vec<Record> {
        let text = "a: {processing: 10, stddev: 5, deadline: 30, boot: 50, maximum: 40}";
        let config = Config::parse(text, &Environment::default(), &[]).strict().expect("it is valid");
        let (role, mut state) = (&config.roles[0], RoleState::new(4));
        let look = |look: u64| {
            let at = guv_model::Timestamp::from_unix_seconds(1_000_000 + 30 * look);
            let queue = QueueSample {
                ready: Some(look % 5),
                unacknowledged: Some(6),
                fill_rate: Some(0.6 + 0.01 * (look % 7) as f64),
                drain_rate: Some(0.6 + 0.01 * (look % 3) as f64),
                ..QueueSample::default()
            };
            let workers = Some(WorkerCount::running(12 + (look % 2) as u32));
            let decision = state.step(role, &Observation { queue, workers, ..Observation::default() }, at);
            let (role, app) = (role.role.clone(), None);
            Record { cycle: look, at, role, app, decision, outcome: Outcome::Unchanged }
        };
        (0..120).map(look).collect()
    }

    #[test]
    fn records_that_differ_in_numbers_have_a_shape_in_common() {
        let shapes: HashSet<_> =
            records().iter().map(|record| pack(record).expect("it is packed").shape).collect();
        assert!(shapes.len() <= 12, "{}: {shapes:#?}", shapes.len());
    }

    #[test]
    fn what_is_packed_is_the_same_when_unpacked() {
        for record in records() {
            let Packed { shape, columns, numbers } = pack(&record).expect("it is packed");
            let at = record.at.as_duration().as_millis() as i64;
            let role = record.role.to_string();
            let back = unpack(&role, at, &shape, columns, &numbers).expect("it is unpacked");
            let again = pack(&back).expect("it is packed");
            assert_eq!((again.shape, again.columns, again.numbers), (shape, columns, numbers));
        }
    }

    #[test]
    fn a_clock_that_was_set_and_a_cooldown_that_passes_are_numbers() {
        let like = &records()[0];
        let pack_after = |seconds: u64| {
            let mut record = like.clone();
            record.decision.inputs.observation.clock = Some(like.at + Duration::from_secs(3600 + seconds));
            let left = Duration::from_secs(300 - seconds);
            record.decision.limits = vec![Limit::Minimum { workers: 1 }, Limit::Cooldown { left }];
            let Packed { shape, columns, numbers } = pack(&record).expect("it is packed");
            let at = record.at.as_duration().as_millis() as i64;
            let back = unpack(record.role.as_str(), at, &shape, columns, &numbers).expect("it is unpacked");
            assert_eq!(back.decision.limits, record.decision.limits);
            assert_eq!(back.decision.inputs.observation, record.decision.inputs.observation);
            shape
        };
        let shapes: HashSet<_> = (0..300).map(pack_after).collect();
        assert_eq!(shapes.len(), 1);
    }
}
