//! Timestamps that never go back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use guv_model::Timestamp;
use tokio::time::Instant;

/// The wall clock at the start, carried on by the monotonic one: a clock that is set does not disturb decisions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    started: Instant,
    epoch: Duration,
}

impl Clock {
    pub(super) fn start() -> Self {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), epoch }
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::since_epoch(self.epoch + self.started.elapsed())
    }
}
