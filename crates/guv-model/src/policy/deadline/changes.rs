//! How much of a change lasts: traffic that swells goes on, and batches do not; a burst that is over is over, and a lull of chance is not.
//!
//! At the start of each minute it is written down what the difference of the fast rate from the slow one will bring, if it goes on as
//! a rise or a fall does ([`Forecast`]); at its end, how much came beside the slow rate. The slope of the one over the other, by
//! least squares, is the part of a change that is expected to last: of rises and of falls, each for themselves. A minute counts by how
//! far its change stands out from chance, and no minute for more than one; but those that brought more than was expected count for
//! more, since being late costs deadlines and being early only money (so it is an expectile: Newey and Powell 1987).

use super::traffic::Forecast;

/// As many seconds later it is looked at what has come of a change.
const LATER: f64 = 60.0;
/// Before anything is known, a change is taken to last. That counts as much as so many minutes.
const AT_FIRST: f64 = 9.0;
/// The time constant with which it is forgotten, seconds.
const REMEMBERED: f64 = 7200.0;
/// What came is taken for no more than so many times what was expected, against the change or with it.
const AT_MOST: (f64, f64) = (-1.0, 3.0);
/// What brought more than was expected counts so often.
const MORE: f64 = 1.25;
/// The variance of what comes by chance is taken for so many times its mean.
const CHANCE: f64 = 4.0;

/// What is remembered of rises, or of falls.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    /// The minute that is under way.
    now: Option<Minute>,
    /// Σ weight · expected², faded.
    expected: f64,
    /// Σ weight · expected · came, faded.
    came: f64,
}

/// A minute in which jobs are counted.
#[derive(Clone, Copy, Debug)]
struct Minute {
    /// The jobs that its change will bring if it lasts; negative for those that stay away.
    expected: f64,
    /// Jobs per second without the change.
    rate: f64,
    seconds: f64,
    jobs: f64,
}

impl Changes {
    /// So many jobs have come in so many seconds; what is expected now, if the change that there is lasts. Where there is none nothing
    /// is learnt.
    pub(super) fn observe(&mut self, jobs: f64, seconds: f64, lasting: &Forecast) {
        if let Some(minute) = &mut self.now {
            minute.jobs += jobs;
            minute.seconds += seconds;
            // Looks are not quite as regular as planned.
            if minute.seconds < LATER - 0.5 {
                return;
            }
        }
        if let Some(minute) = self.now.take() {
            self.learn(&minute);
        }
        self.now = Some(Minute {
            expected: lasting.excess_within(LATER),
            rate: lasting.rate,
            seconds: 0.0,
            jobs: 0.0,
        });
    }

    fn learn(&mut self, minute: &Minute) {
        let fade = (-minute.seconds / REMEMBERED).exp();
        self.expected *= fade;
        self.came *= fade;
        let Minute { expected, .. } = *minute;
        if expected == 0.0 {
            return;
        }
        let usual = minute.rate * minute.seconds;
        let came = expected * ((minute.jobs - usual) / expected).clamp(AT_MOST.0, AT_MOST.1);
        let scale = expected * expected + CHANCE * usual.max(1.0);
        let weight = if came > self.lasting() * expected { MORE } else { 1.0 } / scale;
        self.expected += weight * expected * expected;
        self.came += weight * expected * came;
    }

    /// The part of a change that lasts: 0 for none, 1 where it goes on as it is expected to, more where it grows.
    pub(super) fn lasting(&self) -> f64 {
        ((self.came + AT_FIRST) / (self.expected + AT_FIRST)).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What part of a change is found to last after two hours in which every other minute begins with one and goes like this.
    fn after(excess: f64, lasts: f64) -> f64 {
        let mut changes = Changes::default();
        for look in 0..240 {
            let excess = if look % 4 == 2 { excess } else { 0.0 };
            let jobs = 30.0 * if matches!(look % 4, 3 | 0) { 1.0 + lasts } else { 1.0 };
            changes.observe(jobs, 30.0, &Forecast { rate: 1.0, excess, ..Forecast::default() });
        }
        changes.lasting()
    }

    #[test]
    fn batches_do_not_last_and_swells_do() {
        assert_eq!(Changes::default().lasting(), 1.0, "nothing is known");
        let (batches, swells) = (after(5.0, 0.0), after(5.0, 5.0));
        assert!(batches < 0.6, "{batches}");
        assert!(swells > 1.1, "{swells}");
    }

    #[test]
    fn a_lull_of_chance_does_not_last_and_the_end_of_a_burst_does() {
        let (lull, end) = (after(-0.9, 0.0), after(-0.9, -0.9));
        assert!(lull < 0.6, "{lull}");
        assert!((end - 1.0).abs() < 0.05, "{end}");
    }

    #[test]
    fn chance_tells_nothing() {
        let mut rises = Changes::default();
        for look in 0..240 {
            let rise = Forecast { rate: 1.0, excess: 0.02, ..Forecast::default() };
            rises.observe(if look % 2 == 0 { 35.0 } else { 25.0 }, 30.0, &rise);
        }
        assert!((rises.lasting() - 1.0).abs() < 0.1, "{rises:?}");
    }
}
