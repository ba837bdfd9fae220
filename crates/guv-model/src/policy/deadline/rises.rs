//! How much of a rise lasts: traffic that swells goes on, and batches do not.
//!
//! At the start of each minute it is written down what the excess of the fast rate over the slow one will bring, if it fades as a
//! rise does ([`Forecast`]); at its end, how much came beyond the slow rate. The slope of the one over the other, by least squares, is
//! the part of a rise that is expected to last. A minute counts by how far its rise stands out from chance, and no minute for
//! more than one; but those that brought more than was expected count for more, since being late costs deadlines and being early only
//! money (so it is an expectile: Newey and Powell 1987).

use super::traffic::Forecast;

/// As many seconds later it is looked at what has come of a rise.
const LATER: f64 = 60.0;
/// Before anything is known, a rise is taken to last. That counts as much as so many minutes.
const AT_FIRST: f64 = 9.0;
/// The time constant with which it is forgotten, seconds.
const REMEMBERED: f64 = 7200.0;
/// What came is taken for no more than so many times what was expected, up or down.
const AT_MOST: (f64, f64) = (-1.0, 3.0);
/// What brought more than was expected counts so often.
const MORE: f64 = 1.25;
/// The variance of what comes by chance is taken for so many times its mean.
const CHANCE: f64 = 4.0;

/// What is remembered of rises.
#[derive(Clone, Debug, Default)]
pub(super) struct Rises {
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
    /// The jobs that its rise will bring if it lasts.
    expected: f64,
    /// Jobs per second without the rise.
    rate: f64,
    seconds: f64,
    jobs: f64,
}

impl Rises {
    /// So many jobs have come in so many seconds; what is expected now, if the rise that there is lasts.
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
        // Only rises tell how long rises last.
        if expected <= 0.0 {
            return;
        }
        let usual = minute.rate * minute.seconds;
        let came = (minute.jobs - usual).clamp(AT_MOST.0 * expected, AT_MOST.1 * expected);
        let scale = expected * expected + CHANCE * usual.max(1.0);
        let weight = if came > self.lasting() * expected { MORE } else { 1.0 } / scale;
        self.expected += weight * expected * expected;
        self.came += weight * expected * came;
    }

    /// The part of a rise that lasts: 0 for none, 1 where it fades as it is expected to, more where it goes on rising.
    pub(super) fn lasting(&self) -> f64 {
        ((self.came + AT_FIRST) / (self.expected + AT_FIRST)).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a rise is found to be after two hours in which every other minute begins with one and goes like this.
    fn after(lasts: f64) -> f64 {
        let mut rises = Rises::default();
        for look in 0..240 {
            let excess = if look % 4 == 2 { 5.0 } else { 0.0 };
            let jobs = 30.0 * if matches!(look % 4, 3 | 0) { 1.0 + lasts } else { 1.0 };
            rises.observe(jobs, 30.0, &Forecast { rate: 1.0, excess, ..Forecast::default() });
        }
        rises.lasting()
    }

    #[test]
    fn batches_do_not_last_and_swells_do() {
        assert_eq!(Rises::default().lasting(), 1.0, "nothing is known");
        let (batches, swells) = (after(0.0), after(5.0));
        assert!(batches < 0.6, "{batches}");
        assert!(swells > 1.1, "{swells}");
    }

    #[test]
    fn chance_tells_nothing() {
        let mut rises = Rises::default();
        for look in 0..240 {
            let rise = Forecast { rate: 1.0, excess: 0.02, ..Forecast::default() };
            rises.observe(if look % 2 == 0 { 35.0 } else { 25.0 }, 30.0, &rise);
        }
        assert!((rises.lasting() - 1.0).abs() < 0.1, "{rises:?}");
    }
}
