//! What a chart needs of a record, read off its packed form: a chart over thousands of records must not put each of them
//! together again.

use serde::Deserialize;
use serde_json::Value;

use super::Error;
use super::pack::NUMBERS;
use crate::explain::{Expectation, Prospects, Waiting};

/// What all records of one shape have in common.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    minimum: f64,
    maximum: f64,
    deadline: f64,
    boot: f64,
    applied: bool,
    failed: bool,
}

impl Shape {
    pub(super) fn parse(json: &str) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Parameters {
            deadline: f64,
            boot: f64,
            minimum: f64,
            maximum: f64,
        }
        let malformed = |error: serde_json::Error| Error::Malformed(error.to_string());
        let mut value: Value = serde_json::from_str(json).map_err(malformed)?;
        let kind = value.pointer("/outcome/kind").and_then(Value::as_str).unwrap_or_default();
        let (applied, failed) = (kind == "applied", matches!(kind, "failed" | "blind"));
        let parameters =
            value.pointer_mut("/decision/inputs/parameters").map(Value::take).unwrap_or_default();
        let Parameters { deadline, boot, minimum, maximum } =
            serde_json::from_value(parameters).map_err(malformed)?;
        Ok(Self { minimum, maximum, deadline, boot, applied, failed })
    }
}

/// What a chart needs of one record. `None` is not known.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Milliseconds.
    pub(super) at: i64,
    pub(super) ready: Option<f64>,
    pub(super) in_flight: Option<f64>,
    pub(super) workers: Option<f64>,
    /// Workers after the decision, as it wants it.
    pub(super) wanted: Option<f64>,
    pub(super) minimum: f64,
    pub(super) maximum: f64,
    pub(super) deadline: f64,
    /// Seconds that the oldest message has waited.
    pub(super) oldest: Option<f64>,
    /// Seconds until the jobs at hand are done.
    pub(super) expected: Option<Expectation>,
    pub(super) fill_rate: Option<f64>,
    pub(super) drain_rate: Option<f64>,
    /// Jobs that have come since the source's moment.
    pub(super) published: Option<f64>,
    /// Jobs finished since the source's moment.
    pub(super) finished: Option<f64>,
    pub(super) waits: Option<Waits>,
    /// Workers were changed.
    pub(super) applied: bool,
    /// Nothing could be seen or done.
    pub(super) failed: bool,
}

/// As [`guv_model::JobWaits`].
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Waits {
    pub(super) jobs: f64,
    pub(super) sum: f64,
    pub(super) late: f64,
}

impl Facts {
    pub(super) fn read(
        at: i64,
        shape: &Shape,
        columns: [Option<i64>; 5],
        numbers: &str,
    ) -> Result<Self, Error> {
        let numbers = Numbers::split(numbers);
        let [ready, unacknowledged, workers, target, _] =
            columns.map(|value| value.map(|value| value as f64));
        let oldest = numbers.number("/decision/inputs/observation/queue/oldest");
        let fill_rate = numbers.number("/decision/inputs/observation/queue/fill_rate");
        let after = numbers.number("/outcome/workers").or(workers);
        let processing = numbers.number("/decision/inputs/parameters/processing");
        let turns = numbers.number("/decision/estimate/turns");
        let expected = processing.and_then(|processing| {
            let prospects = Prospects { processing, boot: shape.boot, deadline: shape.deadline };
            prospects.expect(turns, workers, after, Waiting { ready, rate: fill_rate, oldest })
        });
        #[derive(Deserialize)]
        struct Reports {
            finished: f64,
        }
        let reports: Option<Reports> = numbers.read("/decision/inputs/observation/queue/reports")?;
        Ok(Self {
            at,
            ready,
            in_flight: numbers.number("/decision/inputs/in_flight/jobs").or(unacknowledged),
            workers,
            wanted: target.or(workers),
            minimum: shape.minimum,
            maximum: shape.maximum,
            deadline: shape.deadline,
            oldest,
            expected,
            fill_rate,
            drain_rate: numbers.number("/decision/inputs/observation/queue/drain_rate"),
            published: numbers.number("/decision/inputs/observation/queue/published"),
            finished: reports
                .map(|reports| reports.finished)
                .or_else(|| numbers.number("/decision/inputs/observation/queue/acknowledged")),
            waits: numbers.read("/decision/inputs/observation/queue/waits")?,
            applied: shape.applied,
            failed: shape.failed,
        })
    }
}

/// The numbers of a packed record, by their paths.
struct Numbers<'n>([&'n str; NUMBERS.len()]);

impl<'n> Numbers<'n> {
    fn split(text: &'n str) -> Self {
        let mut numbers = [""; NUMBERS.len()];
        for (place, number) in numbers.iter_mut().zip(text.split(';')) {
            *place = number;
        }
        Self(numbers)
    }

    fn text(&self, path: &str) -> &'n str {
        NUMBERS.iter().position(|known| *known == path).map_or("", |at| self.0[at])
    }

    fn number(&self, path: &str) -> Option<f64> {
        self.text(path).parse().ok()
    }

    fn read<T: Deserialize<'n>>(&self, path: &str) -> Result<Option<T>, Error> {
        let text = self.text(path);
        if text.is_empty() {
            return Ok(None);
        }
        serde_json::from_str(text).map(Some).map_err(|error| Error::Malformed(error.to_string()))
    }
}
