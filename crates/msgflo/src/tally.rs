//! What an inport did since it last reported, and when the next report is due. Pure: time comes in as a value.

use std::time::Duration;

use msgflo_core::JobCompleted;
use tokio::time::Instant;

/// How long after a first change a report waits for more.
const GATHER: Duration = Duration::from_millis(100);
/// How often is reported that jobs are in hand when nothing changes.
const REPEAT: Duration = Duration::from_secs(5);
/// So many finished jobs make a report due at once, to bound its size.
const FULL: usize = 1000;
/// So many finished jobs are kept while reports cannot be sent. What is over is not reported.
const MOST: usize = 10 * FULL;

/// The jobs of an inport.
#[derive(Debug)]
pub(crate) struct Tally {
    in_flight: u32,
    completed: Vec<JobCompleted>,
    due: Option<Instant>,
}

/// What a report says.
#[derive(Debug, PartialEq)]
pub(crate) struct Counts {
    pub(crate) in_flight: u32,
    pub(crate) completed: Vec<JobCompleted>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { in_flight: 0, completed: Vec::new(), due: None }
    }

    /// A job was started.
    pub(crate) fn started(&mut self, now: Instant) {
        self.in_flight += 1;
        self.due_by(now + GATHER);
    }

    /// A job has ended. `None` if nothing is known of it but that.
    pub(crate) fn ended(&mut self, job: Option<JobCompleted>, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.completed.extend(job.filter(|_| self.completed.len() < MOST));
        self.due_by(if self.completed.len() < FULL { now + GATHER } else { now });
    }

    /// When the next report is due, if anything is to be told.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The report, made at `now`.
    pub(crate) fn take(&mut self, now: Instant) -> Counts {
        self.due = (self.in_flight > 0).then(|| now + REPEAT);
        Counts { in_flight: self.in_flight, completed: std::mem::take(&mut self.completed) }
    }

    /// The report cannot be made at `now`: it is due later, with what comes until then.
    pub(crate) fn postpone(&mut self, now: Instant) {
        self.due = Some(now + GATHER);
    }

    fn due_by(&mut self, latest: Instant) {
        self.due = Some(self.due.map_or(latest, |due| due.min(latest)));
    }
}

#[cfg(test)]
mod tests {
    use msgflo_core::Outcome;
    use proptest::prelude::*;

    use super::*;

    fn job() -> JobCompleted {
        JobCompleted { outport: None, waiting: None, processing: 0.1, outcome: Outcome::Completed }
    }

    #[test]
    fn the_first_change_makes_a_report_due_and_later_ones_wait_for_it() {
        let start = Instant::now();
        let mut tally = Tally::new();
        assert_eq!(tally.due(), None, "nothing to tell");
        tally.started(start);
        tally.ended(Some(job()), start + GATHER / 2);
        assert_eq!(tally.due(), Some(start + GATHER));
        assert_eq!(tally.take(start + GATHER), Counts { in_flight: 0, completed: vec![job()] });
        assert_eq!(tally.due(), None, "all is told");
    }

    #[test]
    fn jobs_in_hand_are_told_again_and_again() {
        let start = Instant::now();
        let mut tally = Tally::new();
        tally.started(start);
        tally.take(start);
        assert_eq!(tally.due(), Some(start + REPEAT));
        tally.ended(None, start + REPEAT / 2);
        assert_eq!(tally.due(), Some(start + REPEAT / 2 + GATHER), "sooner, for something has changed");
    }

    #[test]
    fn a_full_report_does_not_wait() {
        let start = Instant::now();
        let mut tally = Tally::new();
        (0..FULL).for_each(|_| tally.started(start));
        (0..FULL).for_each(|_| tally.ended(Some(job()), start));
        assert_eq!(tally.due(), Some(start));
        (0..2 * MOST).for_each(|_| tally.ended(Some(job()), start));
        assert_eq!(tally.take(start).completed.len(), MOST);
    }

    proptest! {
        /// Whatever happens, no job is told twice, none is forgotten, and nothing to tell stays without a time for it.
        #[test]
        fn every_job_is_told_once(steps in prop::collection::vec(0..3u8, 0..200)) {
            let now = Instant::now();
            let mut tally = Tally::new();
            let (mut started, mut ended, mut told) = (0, 0, 0);
            for step in steps {
                match step {
                    0 => {
                        started += 1;
                        tally.started(now);
                    }
                    1 if ended < started => {
                        ended += 1;
                        tally.ended(Some(job()), now);
                    }
                    _ => {
                        let counts = tally.take(now);
                        told += counts.completed.len();
                        prop_assert_eq!(counts.in_flight, started - ended);
                    }
                }
                prop_assert!(tally.due().is_some() || (started == ended && told == ended as usize));
            }
        }
    }
}
