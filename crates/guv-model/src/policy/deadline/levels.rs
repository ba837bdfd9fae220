//! How many jobs there were, and for how much of the time: what was there often will be there again, and what was there once
//! need not.
//!
//! A histogram over quarters of a doubling, which is forgotten little by little.

/// Quarters of a doubling: up to a million jobs.
const BUCKETS: usize = 80;
const PER_DOUBLING: f64 = 4.0;
/// The time constant with which it is forgotten, seconds.
const REMEMBERED: f64 = 5400.0;

#[derive(Clone, Debug, Default)]
pub(super) struct Levels {
    /// Seconds at each level, faded; empty before the first.
    seconds: Vec<f64>,
}

impl Levels {
    /// There have been so many jobs for so many seconds.
    pub(super) fn observe(&mut self, jobs: f64, seconds: f64) {
        self.seconds.resize(BUCKETS, 0.0);
        let fade = (-seconds / REMEMBERED).exp();
        self.seconds.iter_mut().for_each(|bucket| *bucket *= fade);
        let bucket = ((jobs + 1.0).log2() * PER_DOUBLING) as usize;
        self.seconds[bucket.min(BUCKETS - 1)] += seconds;
    }

    /// The number of jobs that was exceeded for this share of the time.
    pub(super) fn exceeded(&self, share: f64) -> f64 {
        let allowed = share * self.seconds.iter().fold(0.0, |sum, seconds| sum + seconds);
        let mut above = 0.0;
        for (bucket, seconds) in self.seconds.iter().enumerate().rev() {
            above += seconds;
            if above > allowed {
                return ((bucket as f64 + 0.5) / PER_DOUBLING).exp2() - 1.0;
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_often_counts_and_what_was_there_once_does_not() {
        let mut levels = Levels::default();
        assert_eq!(levels.exceeded(0.05), 0.0);
        for look in 0..100 {
            levels.observe(if look % 10 == 0 { 100.0 } else { 5.0 }, 30.0);
        }
        levels.observe(10_000.0, 30.0);
        let often = levels.exceeded(0.05);
        assert!((80.0..120.0).contains(&often), "{often}");
        assert!((4.0..7.0).contains(&levels.exceeded(0.2)));
        for _ in 0..1000 {
            levels.observe(0.0, 30.0);
        }
        assert!(levels.exceeded(0.05) < 1.0, "it is forgotten");
    }
}
