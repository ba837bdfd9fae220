//! How much of a change lasts: traffic that swells goes on, and batches do not; a burst that is over is over, and a lull of chance is not.
//!
//! At the start of each minute, or of the time of a start if that is longer, the difference of the fast rate from the slow one is
//! written down; at its end, what it will have brought if it goes on as a rise or a fall does ([`Forecast`]), and how much came
//! beside the slow rate. The slope of the one over the other, by least squares, is the part of a change that is expected to last: of
//! rises and of falls, each for themselves. A minute counts by how
//! far its change stands out from chance, and no minute for more than one; but those that brought more than was expected count for
//! more, since being late costs deadlines and being early only money (so it is an expectile: Newey and Powell 1987).

use super::traffic::Forecast;

/// So many seconds later it is looked at what has come of a change, or as much later as a start takes if that is longer.
const LATER: f64 = 60.0;
/// Before anything is known, so much of a rise is taken to last, and of a fall: that counts as much as so many minutes.
const AT_FIRST: (f64, f64) = (1.0, 0.6);
const MINUTES: f64 = 9.0;
/// The time constant with which it is forgotten, seconds.
const REMEMBERED: f64 = 7200.0;
/// What came is taken for no more than so many times what was expected, against the change or with it.
const AT_MOST: (f64, f64) = (-1.0, 3.0);
/// What brought more than was expected counts so often.
const MORE: f64 = 1.25;
/// The variance of what comes by chance is taken for so many times its mean.
const CHANCE: f64 = 4.0;

/// What is remembered of changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    /// The minute that is under way.
    now: Option<Minute>,
    rises: Slope,
    falls: Slope,
}

/// A minute in which jobs are counted.
#[derive(Clone, Copy, Debug)]
struct Minute {
    /// What is expected if the change lasts with which it begins.
    lasting: Forecast,
    seconds: f64,
    jobs: f64,
}

/// The sums of least squares, faded.
#[derive(Clone, Copy, Debug, Default)]
struct Slope {
    /// Σ weight · expected².
    expected: f64,
    /// Σ weight · expected · came.
    came: f64,
}

impl Changes {
    /// So many jobs have come in so many seconds; what is expected now, if the change that there is lasts.
    pub(super) fn observe(&mut self, jobs: f64, seconds: f64, boot: f64, lasting: &Forecast) {
        if let Some(minute) = &mut self.now {
            minute.jobs += jobs;
            minute.seconds += seconds;
            // Looks are not quite as regular as planned.
            if minute.seconds < LATER.max(boot) - 0.5 {
                return;
            }
        }
        if let Some(minute) = self.now.take() {
            self.learn(&minute);
        }
        self.now = Some(Minute { lasting: *lasting, seconds: 0.0, jobs: 0.0 });
    }

    /// What comes from here on has nothing to do with what was before.
    pub(super) fn pause(&mut self) {
        self.now = None;
    }

    fn learn(&mut self, minute: &Minute) {
        let fade = (-minute.seconds / REMEMBERED).exp();
        self.rises.fade(fade);
        self.falls.fade(fade);
        let expected = minute.lasting.excess_within(minute.seconds);
        if expected == 0.0 {
            return;
        }
        let usual = minute.lasting.rate * minute.seconds;
        let came = expected * ((minute.jobs - usual) / expected).clamp(AT_MOST.0, AT_MOST.1);
        let scale = expected * expected + CHANCE * usual.max(1.0);
        let weight = if came > self.slope_of(expected) * expected { MORE } else { 1.0 } / scale;
        let slope = if expected > 0.0 { &mut self.rises } else { &mut self.falls };
        slope.expected += weight * expected * expected;
        slope.came += weight * expected * came;
    }

    /// The part of a rise or a fall that lasts: 0 for none, 1 where it goes on as it is expected to, more for a rise that grows.
    pub(super) fn lasting(&self, change: f64) -> f64 {
        let most = if change > 0.0 { f64::INFINITY } else { 1.0 };
        self.slope_of(change).clamp(0.0, most)
    }

    fn slope_of(&self, change: f64) -> f64 {
        if change > 0.0 { self.rises.with(AT_FIRST.0) } else { self.falls.with(AT_FIRST.1) }
    }
}

impl Slope {
    fn fade(&mut self, fade: f64) {
        self.expected *= fade;
        self.came *= fade;
    }

    /// With what is believed beforehand.
    fn with(self, at_first: f64) -> f64 {
        (self.came + MINUTES * at_first) / (self.expected + MINUTES)
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
            changes.observe(jobs, 30.0, 0.0, &Forecast { rate: 1.0, excess, ..Forecast::default() });
        }
        changes.lasting(excess)
    }

    #[test]
    fn batches_do_not_last_and_swells_do() {
        assert_eq!(Changes::default().lasting(1.0), 1.0, "nothing is known");
        let (batches, swells) = (after(5.0, 0.0), after(5.0, 5.0));
        assert!(batches < 0.6, "{batches}");
        assert!(swells > 1.1, "{swells}");
    }

    #[test]
    fn a_lull_of_chance_does_not_last_and_the_end_of_a_burst_does() {
        assert_eq!(Changes::default().lasting(-1.0), 0.6, "nothing is known");
        let (lull, end) = (after(-0.9, 0.0), after(-0.9, -0.9));
        assert!(lull < 0.4, "{lull}");
        assert!(end > 0.8, "{end}");
    }

    #[test]
    fn it_is_the_same_however_often_it_is_looked() {
        let lasting = |interval: f64| {
            let mut changes = Changes::default();
            for _ in 0..500 {
                // Of a fall by 1.8 a second half lasts.
                let fall = Forecast { rate: 2.0, excess: -1.8, ..Forecast::default() };
                changes.observe(1.1 * interval, interval, 0.0, &fall);
            }
            changes.lasting(-1.0)
        };
        let (often, seldom) = (lasting(30.0), lasting(120.0));
        assert!((often - 0.5).abs() < 0.05 && (seldom - 0.5).abs() < 0.05, "{often} and {seldom}");
    }

    #[test]
    fn chance_tells_nothing() {
        let mut rises = Changes::default();
        for look in 0..240 {
            let rise = Forecast { rate: 1.0, excess: 0.02, ..Forecast::default() };
            rises.observe(if look % 2 == 0 { 35.0 } else { 25.0 }, 30.0, 0.0, &rise);
        }
        assert!((rises.lasting(0.02) - 1.0).abs() < 0.1, "{rises:?}");
    }
}
