//! What matters of a queue to whoever is to be woken when something happens.

use crate::QueueSample;

/// Whether jobs wait, about how many, and whether any is in hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Twice as many waiting jobs are one more; 0 is none.
    waiting: Option<u32>,
    working: Option<bool>,
}

impl Activity {
    /// That of a queue which is seen so.
    pub fn of(sample: &QueueSample) -> Self {
        Self {
            waiting: sample.ready.map(|ready| u64::BITS - ready.leading_zeros()),
            working: sample.unacknowledged.map(|jobs| jobs > 0),
        }
    }

    /// Whether a governor should know at once that what was `before` is so now: the first job waits, twice as many do, nothing
    /// waits any more, the first job is in hand or the last one done.
    pub fn wakes(self, before: Self) -> bool {
        let has_grown = self.waiting > before.waiting;
        let has_begun_or_ended = (self.waiting == Some(0)) != (before.waiting == Some(0));
        has_grown || has_begun_or_ended || self.working != before.working
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_and_last_jobs_and_doublings_wake() {
        let mut before = Activity::default();
        let steps = [
            (0, 0, true),
            (0, 0, false),
            (1, 0, true),
            (2, 0, true),
            (3, 0, false),
            (4, 0, true),
            (3, 1, true),
            (2, 2, false),
            (1, 2, false),
            (0, 2, true),
            (0, 1, false),
            (0, 0, true),
        ];
        for (ready, in_flight, expected) in steps {
            let sample =
                QueueSample { ready: Some(ready), unacknowledged: Some(in_flight), ..QueueSample::default() };
            let now = Activity::of(&sample);
            assert_eq!(now.wakes(before), expected, "{ready} {in_flight}");
            before = now;
        }
    }
}
