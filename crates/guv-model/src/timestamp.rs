//! Time as a value.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment, as the time since the Unix epoch. In records it is a number of seconds.
///
/// The model never asks for the time; the caller passes it, so that a simulator, a replay and a test own it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(#[serde(with = "crate::seconds")] Duration);

impl Timestamp {
    /// The moment that lies this long after the Unix epoch.
    pub const fn since_epoch(duration: Duration) -> Self {
        Self(duration)
    }

    /// A whole number of seconds after the Unix epoch.
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The time since the Unix epoch.
    pub const fn as_duration(self) -> Duration {
        self.0
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}
