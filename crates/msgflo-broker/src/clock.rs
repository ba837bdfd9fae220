//! The time of the shell: the wall clock at the start, moved on by a monotonic clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::broker::Time;

/// Yields times that never go back, whatever happens to the wall clock.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    epoch: Duration,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            epoch: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }

    pub(crate) fn now(&self) -> Time {
        let since = self.epoch + self.start.elapsed();
        Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// When that time is, for timers; rounded up, so that it has come when the timer fires.
    pub(crate) fn instant(&self, time: Time) -> Instant {
        let since = Duration::from_millis(time.0).saturating_sub(self.epoch);
        self.start + since + Duration::from_millis(1)
    }
}
