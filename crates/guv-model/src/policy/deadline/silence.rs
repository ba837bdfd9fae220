//! Whether it is over: nothing has come for much longer than it ever was silent between jobs.
//!
//! While jobs come now and then, it is worth money to have room for a peak and workers that stand by. A batch that came once
//! need not come again: after it, what was expected of the traffic is not expected any more. Where batches do come again, the
//! silence between them is known by then, and does not end anything.

/// It has to be silent for so many times as long as it ever was.
const LONGER: f64 = 2.0;
/// And for at least so long, seconds.
const SHORTEST: f64 = 240.0;
/// The time constant with which a silence is forgotten, seconds.
const REMEMBERED: f64 = 20_000.0;
/// Rates come rounded and smoothed: less than this in half a minute is no job.
const NO_JOB: f64 = 0.5;

/// What is remembered of the times in which no job came.
#[derive(Clone, Debug, Default)]
pub(super) struct Silence {
    /// For how long no job has come, seconds.
    lasts: f64,
    /// The longest between two jobs, faded, seconds.
    longest: f64,
    /// Before the first job it is not silent between jobs.
    begun: bool,
}

impl Silence {
    /// So many jobs have come in so many seconds.
    pub(super) fn observe(&mut self, came: f64, seconds: f64) {
        self.longest *= (-seconds / REMEMBERED).exp();
        if came < NO_JOB {
            self.lasts += seconds;
            return;
        }
        if self.begun {
            self.longest = self.longest.max(self.lasts);
        }
        self.begun = true;
        self.lasts = 0.0;
    }

    /// Whether no more is to be expected.
    pub(super) fn is_over(&self) -> bool {
        self.lasts > (LONGER * self.longest).max(SHORTEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent(silence: &mut Silence, seconds: u32) {
        for _ in 0..seconds / 30 {
            silence.observe(0.0, 30.0);
        }
    }

    #[test]
    fn a_batch_that_came_once_is_over_soon_and_one_that_came_back_is_waited_for() {
        let mut silence = Silence::default();
        silent(&mut silence, 7200);
        silence.observe(500.0, 30.0);
        silent(&mut silence, 240);
        assert!(!silence.is_over());
        silent(&mut silence, 30);
        assert!(silence.is_over(), "the time before the first batch does not count: {silence:?}");

        silent(&mut silence, 570);
        silence.observe(500.0, 30.0);
        silent(&mut silence, 1500);
        assert!(!silence.is_over(), "it came after 840 s before: {silence:?}");
        silent(&mut silence, 180);
        assert!(silence.is_over());
    }

    #[test]
    fn a_long_silence_is_forgotten() {
        let mut silence = Silence::default();
        silence.observe(1.0, 30.0);
        silent(&mut silence, 36_000);
        for _ in 0..3000 {
            silence.observe(1.0, 30.0);
        }
        silent(&mut silence, 1200);
        assert!(silence.is_over(), "{silence:?}");
    }
}
