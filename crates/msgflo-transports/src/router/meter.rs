//! How many events a second there are at present.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Within this time what was before counts for a third of what it did.
const MEMORY: Duration = Duration::from_secs(5);

/// Counts events, and forgets them slowly.
#[derive(Debug)]
pub(super) struct Meter(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Events a second, at `at`.
    rate: f64,
    at: Instant,
}

impl State {
    /// The rate at `now`, if nothing has happened since.
    fn decayed(&self, now: Instant) -> f64 {
        let elapsed = now.saturating_duration_since(self.at);
        self.rate * (-elapsed.as_secs_f64() / MEMORY.as_secs_f64()).exp()
    }
}

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new(State { rate: 0.0, at: now }))
    }

    /// So many events.
    pub(super) fn count(&self, events: usize, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = state.decayed(now) + events as f64 / MEMORY.as_secs_f64();
        *state = State { rate, at: now };
    }

    /// Events a second.
    pub(super) fn rate(&self, now: Instant) -> f64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).decayed(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_is_told_and_forgotten() {
        let begin = Instant::now();
        let meter = Meter::new(begin);
        assert_eq!(meter.rate(begin), 0.0);
        for tick in 0..6000_u64 {
            meter.count(1, begin + Duration::from_millis(10 * tick));
        }
        let end = begin + Duration::from_secs(60);
        assert!((meter.rate(end) - 100.0).abs() < 2.0, "{}", meter.rate(end));
        assert!(meter.rate(end + Duration::from_secs(60)) < 0.01);
    }
}
