//! Time as a value.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment, in whole milliseconds since the Unix epoch. In records it is a number of seconds.
///
/// The model never asks for the time; the caller passes it, so that a simulator, a replay and a test own it.
/// Milliseconds are enough, and a number of seconds in a record gives them back exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    milliseconds: u64,
}

impl Timestamp {
    /// The moment that lies this long after the Unix epoch; fractions of a millisecond are dropped.
    pub fn since_epoch(duration: Duration) -> Self {
        Self { milliseconds: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX) }
    }

    /// A whole number of seconds after the Unix epoch.
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self { milliseconds: seconds.saturating_mul(1000) }
    }

    /// The time since the Unix epoch.
    pub const fn as_duration(self) -> Duration {
        Duration::from_millis(self.milliseconds)
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        self.as_duration().saturating_sub(earlier.as_duration())
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self::since_epoch(self.as_duration().saturating_add(duration))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.milliseconds as f64 / 1000.0)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        // Negative and endless numbers end up at the ends of what there is.
        Ok(Self { milliseconds: (seconds * 1000.0).round() as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_gives_it_back_exactly() {
        for milliseconds in [0, 1, 999, 1_795_320_358_102, 1_795_320_358_999, 253_402_300_799_999] {
            let moment = Timestamp::since_epoch(Duration::from_millis(milliseconds));
            let text = serde_json::to_string(&moment).unwrap();
            assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), moment, "{text}");
        }
    }

    #[test]
    fn differences_do_not_go_below_zero() {
        let (early, late) = (Timestamp::from_unix_seconds(10), Timestamp::from_unix_seconds(13));
        assert_eq!(late.saturating_since(early), Duration::from_secs(3));
        assert_eq!(early.saturating_since(late), Duration::ZERO);
        assert_eq!(early + Duration::from_secs(3), late);
    }
}
