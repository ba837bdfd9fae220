//! Some minutes of a role in a few numbers, each a sum or a maximum, so that roll-ups add up to longer ones.

use super::facts::Facts;

/// The longest time between two records of a role that counts as one state lasting; beyond it guv did not run.
pub(super) const LONGEST_GAP: i64 = 600_000;

/// How two values become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    Sum,
    Max,
}

/// One of the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// Records that know the queue and the workers; what follows up to `Maximum` is over these.
    Samples,
    Ready,
    ReadyMax,
    InFlight,
    Workers,
    WorkersMax,
    Wanted,
    Minimum,
    Maximum,
    /// Seconds.
    Deadline,
    /// Records that know the oldest message, and its age.
    OldestKnown,
    Oldest,
    OldestMax,
    /// Records that expect an end of the jobs at hand, and when.
    ExpectedKnown,
    Expected,
    ExpectedMax,
    /// Jobs that came, over so many seconds for which it is known.
    Arrived,
    ArrivedSeconds,
    /// Jobs that were done, over so many seconds for which it is known.
    Done,
    DoneSeconds,
    /// Jobs of which the waiting is known, what they waited, and how many were late.
    Jobs,
    Waited,
    Late,
    /// How often the number of workers was changed.
    Changes,
    /// Records of rounds that failed.
    Failures,
    /// Time that is accounted for, with workers known.
    Seconds,
    WorkerSeconds,
    /// The same with as many workers as there may be.
    MaximumSeconds,
    /// Time in which an end was expected, and the part of it in which it was in time.
    ExpectedSeconds,
    InTimeSeconds,
}

use Column as C;
use Fold::{Max, Sum};

/// Every column: its name in the table, and how it folds; in the order of [`Column`].
pub(super) const COLUMNS: [(Column, &str, Fold); 30] = [
    (C::Samples, "samples", Sum),
    (C::Ready, "ready", Sum),
    (C::ReadyMax, "ready_max", Max),
    (C::InFlight, "in_flight", Sum),
    (C::Workers, "workers", Sum),
    (C::WorkersMax, "workers_max", Max),
    (C::Wanted, "wanted", Sum),
    (C::Minimum, "minimum", Sum),
    (C::Maximum, "maximum", Sum),
    (C::Deadline, "deadline", Max),
    (C::OldestKnown, "oldest_known", Sum),
    (C::Oldest, "oldest", Sum),
    (C::OldestMax, "oldest_max", Max),
    (C::ExpectedKnown, "expected_known", Sum),
    (C::Expected, "expected", Sum),
    (C::ExpectedMax, "expected_max", Max),
    (C::Arrived, "arrived", Sum),
    (C::ArrivedSeconds, "arrived_seconds", Sum),
    (C::Done, "done", Sum),
    (C::DoneSeconds, "done_seconds", Sum),
    (C::Jobs, "jobs", Sum),
    (C::Waited, "waited", Sum),
    (C::Late, "late", Sum),
    (C::Changes, "changes", Sum),
    (C::Failures, "failures", Sum),
    (C::Seconds, "seconds", Sum),
    (C::WorkerSeconds, "worker_seconds", Sum),
    (C::MaximumSeconds, "maximum_seconds", Sum),
    (C::ExpectedSeconds, "expected_seconds", Sum),
    (C::InTimeSeconds, "in_time_seconds", Sum),
];

/// The numbers, by [`Column`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rollup(pub(super) [f64; COLUMNS.len()]);

impl Rollup {
    /// What one record adds, given the one before it.
    pub(super) fn of(before: Option<&Facts>, now: &Facts) -> Self {
        let mut rollup = Self::default();
        if let (Some(ready), Some(workers)) = (now.ready, now.workers) {
            rollup.set(&[
                (C::Samples, 1.0),
                (C::Ready, ready),
                (C::ReadyMax, ready),
                (C::InFlight, now.in_flight.unwrap_or(0.0)),
                (C::Workers, workers),
                (C::WorkersMax, workers),
                (C::Wanted, now.wanted.unwrap_or(workers)),
                (C::Minimum, now.minimum),
                (C::Maximum, now.maximum),
            ]);
        }
        if let Some(oldest) = now.oldest {
            rollup.set(&[(C::OldestKnown, 1.0), (C::Oldest, oldest), (C::OldestMax, oldest)]);
        }
        if let Some(expected) = now.expected {
            let after = expected.done_after;
            rollup.set(&[(C::ExpectedKnown, 1.0), (C::Expected, after), (C::ExpectedMax, after)]);
        }
        rollup.set(&[
            (C::Deadline, now.deadline),
            (C::Changes, f64::from(u8::from(now.applied))),
            (C::Failures, f64::from(u8::from(now.failed))),
        ]);
        if let Some(before) = before {
            rollup.since(before, now);
        }
        rollup
    }

    /// What the time between two records adds.
    fn since(&mut self, before: &Facts, now: &Facts) {
        let lasted = now.at.saturating_sub(before.at);
        if !(1..=LONGEST_GAP).contains(&lasted) {
            return;
        }
        let seconds = lasted as f64 / 1000.0;
        // What was changed is so from then on.
        if let Some(workers) = if before.applied { before.wanted } else { before.workers } {
            self.set(&[
                (C::Seconds, seconds),
                (C::WorkerSeconds, workers * seconds),
                (C::MaximumSeconds, before.maximum * seconds),
            ]);
        }
        if let Some(expected) = before.expected {
            let in_time = if expected.in_time { seconds } else { 0.0 };
            self.set(&[(C::ExpectedSeconds, seconds), (C::InTimeSeconds, in_time)]);
        }
        // A counter that is smaller than before has begun anew, from zero.
        let grown = |before: f64, now: f64| if now >= before { now - before } else { now };
        let finished = before.finished.zip(now.finished).map(|(before, now)| grown(before, now));
        if let Some(done) = finished.or(now.drain_rate.map(|rate| rate * seconds)) {
            self.set(&[(C::Done, done), (C::DoneSeconds, seconds)]);
        }
        let backlog = |facts: &Facts| facts.ready.zip(facts.in_flight).map(|(ready, held)| ready + held);
        let by_balance = || {
            let (had, has) = backlog(before).zip(backlog(now))?;
            Some((has - had + finished?).max(0.0))
        };
        let published = before.published.zip(now.published).map(|(before, now)| grown(before, now));
        let by_rate = || now.fill_rate.map(|rate| rate * seconds);
        if let Some(arrived) = published.or_else(by_rate).or_else(by_balance) {
            self.set(&[(C::Arrived, arrived), (C::ArrivedSeconds, seconds)]);
        }
        if let Some((before, now)) = before.waits.zip(now.waits) {
            self.set(&[
                (C::Jobs, grown(before.jobs, now.jobs)),
                (C::Waited, grown(before.sum, now.sum)),
                (C::Late, grown(before.late, now.late)),
            ]);
        }
    }

    fn set(&mut self, values: &[(Column, f64)]) {
        for (column, value) in values {
            self.0[*column as usize] = *value;
        }
    }

    /// Takes in another.
    pub(super) fn add(&mut self, other: &Self) {
        for ((mine, theirs), (_, _, fold)) in self.0.iter_mut().zip(other.0).zip(COLUMNS) {
            *mine = match fold {
                Sum => *mine + theirs,
                Max => mine.max(theirs),
            };
        }
    }

    pub(super) fn get(&self, column: Column) -> f64 {
        self.0[column as usize]
    }

    /// One number for each of another; `None` where there are none.
    pub(super) fn mean(&self, sum: Column, count: Column) -> Option<f64> {
        let count = self.get(count);
        (count > 0.0).then(|| self.get(sum) / count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_columns() {
        for (index, (column, name, _)) in COLUMNS.iter().enumerate() {
            assert_eq!(*column as usize, index, "{name}");
        }
    }

    fn facts(at: i64, ready: f64, finished: f64) -> Facts {
        let waits = super::super::facts::Waits { jobs: finished, sum: finished, late: finished / 10.0 };
        Facts {
            at,
            ready: Some(ready),
            in_flight: Some(0.0),
            workers: Some(2.0),
            wanted: Some(5.0),
            maximum: 9.0,
            finished: Some(finished),
            waits: Some(waits),
            applied: true,
            ..Facts::default()
        }
    }

    #[test]
    fn time_is_accounted_with_the_workers_of_the_record_before() {
        let rollup = Rollup::of(Some(&facts(0, 100.0, 50.0)), &facts(10_000, 80.0, 80.0));
        assert_eq!(rollup.get(C::WorkerSeconds), 50.0, "ten seconds of the five that were set");
        assert_eq!(rollup.get(C::MaximumSeconds), 90.0);
        // 30 were done, and there are 20 fewer: 10 have come.
        assert_eq!((rollup.get(C::Done), rollup.get(C::Arrived)), (30.0, 10.0));
        assert_eq!((rollup.get(C::Jobs), rollup.get(C::Late)), (30.0, 3.0));
    }

    #[test]
    fn nothing_is_accounted_for_while_guv_did_not_run_and_counters_may_begin_anew() {
        let late = Rollup::of(Some(&facts(0, 1.0, 5.0)), &facts(LONGEST_GAP + 1, 1.0, 9.0));
        assert_eq!((late.get(C::Seconds), late.get(C::Jobs)), (0.0, 0.0));
        let anew = Rollup::of(Some(&facts(0, 1.0, 500.0)), &facts(10_000, 1.0, 9.0));
        assert_eq!(anew.get(C::Jobs), 9.0);
    }
}
