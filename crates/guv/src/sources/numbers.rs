//! The numbers of a queue as people write them down for us: an object of JSON, or a number alone.

use std::time::Duration;

use guv_model::QueueSample;
use serde::Deserialize;

/// The longest text that is read.
const LONGEST: usize = 1 << 20;

/// What is told of a queue. What is left out, or null, is unknown.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Numbers {
    ready: Option<f64>,
    in_flight: Option<f64>,
    consumers: Option<f64>,
    /// Seconds.
    oldest: Option<f64>,
    /// Per second.
    fill_rate: Option<f64>,
    drain_rate: Option<f64>,
}

impl Numbers {
    /// Reads an object, or a number, which is what is ready.
    ///
    /// # Errors
    /// What is wrong with it, to be put after "it yields".
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("more than {LONGEST} bytes"));
        }
        let text = text.trim_ascii();
        if let Some(ready) = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok()) {
            return Self { ready: Some(ready), ..Self::default() }.checked();
        }
        let numbers: Self = serde_json::from_slice(text).map_err(|error| {
            format!(
                "neither a number nor an object with `ready`, `in_flight`, `oldest` and the like: {error}"
            )
        })?;
        numbers.checked()
    }

    /// With what is in flight told apart.
    pub(super) fn of(ready: Option<f64>, in_flight: Option<f64>) -> Result<Self, String> {
        Self { ready, in_flight, ..Self::default() }.checked()
    }

    fn checked(self) -> Result<Self, String> {
        let all = [self.ready, self.in_flight, self.consumers, self.oldest, self.fill_rate, self.drain_rate];
        match all.into_iter().flatten().find(|number| !number.is_finite() || *number < 0.0) {
            Some(number) => Err(format!("{number}, which is not a number of anything")),
            None => Ok(self),
        }
    }

    pub(super) fn into_sample(self) -> QueueSample {
        // Half a job waits for a worker like a whole one. Large numbers end at what there is.
        let count = |number: f64| number.ceil() as u64;
        QueueSample {
            ready: self.ready.map(count),
            unacknowledged: self.in_flight.map(count),
            consumers: self.consumers.map(|number| number.ceil() as u32),
            fill_rate: self.fill_rate,
            drain_rate: self.drain_rate,
            oldest: self.oldest.and_then(|age| Duration::try_from_secs_f64(age).ok()),
            ..QueueSample::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_alone_is_what_is_ready() {
        let sample = Numbers::parse(b" 12\n").unwrap().into_sample();
        assert_eq!(sample, QueueSample { ready: Some(12), ..QueueSample::default() });
    }

    #[test]
    fn what_is_left_out_or_null_is_unknown() {
        let sample =
            Numbers::parse(br#"{"ready": 2.5, "in_flight": null, "oldest": 1.5}"#).unwrap().into_sample();
        let oldest = Some(Duration::from_millis(1500));
        assert_eq!(sample, QueueSample { ready: Some(3), oldest, ..QueueSample::default() });
    }

    #[test]
    fn nonsense_is_not_zero() {
        for text in ["", "-1", "NaN", "inf", "{}x", "[]", "\"7\"", r#"{"ready": -1}"#, r#"{"redy": 1}"#] {
            assert!(Numbers::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
