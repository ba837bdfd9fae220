//! How much one client is shown: a token bucket. Pure.

use std::time::{Duration, Instant};

/// So many at once, and so many a second in the long run.
#[derive(Debug)]
pub(crate) struct Budget {
    burst: f64,
    per_second: f64,
    left: f64,
    filled: Instant,
}

impl Budget {
    pub(crate) fn new(burst: u32, per_second: u32, now: Instant) -> Self {
        let burst = f64::from(burst);
        Self { burst, per_second: per_second.into(), left: burst, filled: now }
    }

    /// Takes one, if there is one left.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let since: Duration = now.saturating_duration_since(self.filled);
        self.left = (self.left + since.as_secs_f64() * self.per_second).min(self.burst);
        self.filled = now;
        let is_left = self.left >= 1.0;
        if is_left {
            self.left -= 1.0;
        }
        is_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_a_rate() {
        let start = Instant::now();
        let mut budget = Budget::new(20, 10, start);
        let taken = |budget: &mut Budget, now| (0..100).filter(|_| budget.take(now)).count();
        assert_eq!(taken(&mut budget, start), 20);
        assert_eq!(taken(&mut budget, start), 0);
        assert_eq!(taken(&mut budget, start + Duration::from_millis(500)), 5);
        assert_eq!(
            taken(&mut budget, start + Duration::from_secs(100)),
            20,
            "what is not used is not saved up"
        );
    }
}
