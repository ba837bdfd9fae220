//! Timestamps that never go back.

use std::time::{Duration, Instant as Steady, SystemTime, UNIX_EPOCH};

use guv_model::Timestamp;
use tokio::time::Instant;

/// A clock that is this much off has been set, or the machine has slept.
const SET: Duration = Duration::from_secs(1);

/// The wall clock at the start, carried on by the monotonic one: a clock that is set does not disturb decisions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    started: Instant,
    /// The same moment, where time that a test has stopped goes on.
    steady: Steady,
    epoch: Duration,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { started: Instant::now(), steady: Steady::now(), epoch: since_epoch() }
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::since_epoch(self.epoch + self.started.elapsed())
    }

    /// What the machine's clock says, where it has been set since the start.
    pub(super) fn set_to(&self) -> Option<Timestamp> {
        self.set_by(since_epoch(), self.steady.elapsed())
    }

    fn set_by(&self, clock: Duration, elapsed: Duration) -> Option<Timestamp> {
        let off = clock.abs_diff(self.epoch + elapsed);
        (off >= SET).then(|| Timestamp::since_epoch(clock))
    }
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_forth_or_back_is_told_from_one_that_goes_on() {
        let clock = Clock { epoch: Duration::from_secs(1_000_000), ..Clock::start() };
        let minute = Duration::from_secs(60);
        let after_a_minute = |milliseconds| clock.set_by(Duration::from_millis(milliseconds), minute);
        assert_eq!(after_a_minute(1_000_060_400), None);
        assert_eq!(after_a_minute(1_000_059_600), None);
        assert_eq!(after_a_minute(1_003_660_000), Some(Timestamp::from_unix_seconds(1_003_660)));
        assert_eq!(after_a_minute(996_460_000), Some(Timestamp::from_unix_seconds(996_460)));
    }
}
