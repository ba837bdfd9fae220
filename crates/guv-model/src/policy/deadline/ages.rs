//! How old the jobs are that wait.
//!
//! Jobs are taken in the order in which they came. So those that wait are the last that came, and when these came is known: in a
//! queue that grows most are young, and when a burst is over all get old together.

use std::collections::VecDeque;

/// What came is written down in so many parts of the time that jobs may wait.
const PARTS: f64 = 8.0;

/// What came, newest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Ages {
    /// Jobs, and in how many seconds they came.
    recent: VecDeque<(f64, f64)>,
}

impl Ages {
    /// So many jobs have come in so many seconds; they may wait for `slack` seconds.
    pub(super) fn observe(&mut self, jobs: f64, seconds: f64, slack: f64) {
        match self.recent.front_mut() {
            Some(newest) if newest.1 + seconds <= slack / PARTS => {
                newest.0 += jobs;
                newest.1 += seconds;
            }
            _ => self.recent.push_front((jobs, seconds)),
        }
        let mut age = 0.0;
        let kept = self.recent.iter().take_while(|(_, seconds)| {
            let is_young = age < slack;
            age += seconds;
            is_young
        });
        let kept = kept.count();
        self.recent.truncate(kept);
    }

    /// It is not known any more what came.
    pub(super) fn forget(&mut self) {
        self.recent.clear();
    }

    /// Of so many jobs that wait: ages, seconds, and how many are at least as old, youngest first; as far as it is known.
    pub(super) fn of(&self, ready: f64) -> Vec<(f64, f64)> {
        let (mut age, mut younger) = (0.0, 0.0);
        let older = self.recent.iter().map(|(jobs, seconds)| {
            age += seconds;
            younger += jobs;
            (age, ready - younger)
        });
        older.take_while(|(_, older)| *older > 0.0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_wait_are_the_last_that_came() {
        let mut ages = Ages::default();
        assert_eq!(ages.of(5.0), []);
        for jobs in [7.0, 40.0, 50.0, 0.0] {
            ages.observe(jobs, 30.0, 150.0);
        }
        assert_eq!(ages.of(60.0), [(30.0, 60.0), (60.0, 10.0)]);
        assert_eq!(ages.of(0.0), []);
        assert_eq!(ages.of(100.0).len(), 4, "three of them are older than what is known");
    }

    #[test]
    fn it_is_kept_as_long_as_jobs_may_wait_in_few_parts() {
        let mut ages = Ages::default();
        (0..1000).for_each(|_| ages.observe(1.0, 1.0, 80.0));
        let known = ages.of(1000.0);
        assert!((8..=10).contains(&known.len()), "{known:?}");
        let (age, older) = known[known.len() - 1];
        assert!((80.0..=90.0).contains(&age) && older == 1000.0 - age, "{known:?}");
    }
}
