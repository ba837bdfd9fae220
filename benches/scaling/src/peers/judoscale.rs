//! Judoscale: a worker more while jobs wait too long, one less after they have not for a while. It looks every 10 s.

use std::time::Duration;

use guv_model::simulation::Scaler;
use guv_model::{Observation, Timestamp};

/// Between two workers that are added.
const UP: Duration = Duration::from_secs(180);
/// How long jobs must have waited little before one is taken away.
const DOWN: Duration = Duration::from_secs(600);

/// Goes by the longest time that a job has waited.
pub(crate) struct Judoscale {
    /// Seconds above which a worker is added.
    upper: f64,
    /// Seconds below which one may go.
    lower: f64,
    minimum: u32,
    added: Option<Timestamp>,
    low_since: Option<Timestamp>,
}

impl Judoscale {
    pub(crate) fn new(upper: f64, lower: f64, minimum: u32) -> Self {
        Self { upper, lower, minimum, added: None, low_since: None }
    }
}

impl Scaler for Judoscale {
    fn decide(&mut self, observation: &Observation, now: Timestamp) -> Option<u32> {
        let workers = observation.workers?.current;
        let waited = match observation.queue.ready? {
            0 => 0.0,
            _ => observation.queue.oldest?.as_secs_f64(),
        };
        if waited >= self.lower {
            self.low_since = None;
        }
        if waited > self.upper {
            if self.added.is_none_or(|added| now.saturating_since(added) >= UP) {
                self.added = Some(now);
                return Some(workers + 1);
            }
        } else if waited < self.lower {
            let since = *self.low_since.get_or_insert(now);
            if now.saturating_since(since) >= DOWN && workers > self.minimum {
                self.low_since = Some(now);
                return Some(workers - 1);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::seen::{at, jobs};
    use super::*;

    fn waited(seconds: u64, workers: u32) -> Observation {
        let mut seen = jobs(3, 0, workers);
        seen.queue.oldest = Some(Duration::from_secs(seconds));
        seen
    }

    #[test]
    fn one_more_in_three_minutes_one_less_after_ten() {
        let mut judoscale = Judoscale::new(10.0, 2.0, 1);
        assert_eq!(judoscale.decide(&waited(11, 2), at(0)), Some(3));
        assert_eq!(judoscale.decide(&waited(50, 3), at(170)), None);
        assert_eq!(judoscale.decide(&waited(50, 3), at(180)), Some(4));
        assert_eq!(judoscale.decide(&waited(1, 4), at(200)), None);
        assert_eq!(
            judoscale.decide(&waited(5, 4), at(500)),
            None,
            "neither long nor short: the ten minutes begin anew"
        );
        assert_eq!(judoscale.decide(&waited(1, 4), at(600)), None);
        assert_eq!(judoscale.decide(&waited(1, 4), at(1190)), None);
        assert_eq!(judoscale.decide(&waited(1, 4), at(1200)), Some(3));
        assert_eq!(judoscale.decide(&waited(1, 3), at(1210)), None);
    }
}
