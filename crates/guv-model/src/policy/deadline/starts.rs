//! Which workers were asked for when: those that boot will help soon, and must not be asked for again.

use std::collections::VecDeque;

use crate::{Timestamp, WorkerCount};

/// Workers that were asked for and do not work yet, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Starts {
    asked: VecDeque<(Timestamp, u32)>,
    /// The workers at the last look.
    before: Option<u32>,
}

/// Seconds until a worker that should be up by now is expected.
const ANY_MOMENT: f64 = 2.0;

impl Starts {
    /// Takes in what there is. `boot` is how long a start takes, in seconds.
    pub(crate) fn observe(&mut self, workers: WorkerCount, boot: f64, now: Timestamp) {
        let current = workers.current;
        match self.before.replace(current) {
            Some(before) if current > before => self.asked.push_back((now, current - before)),
            Some(before) => self.forget_newest(before - current),
            None => self
                .asked
                .extend(workers.booting.filter(|&booting| booting > 0).map(|booting| (now, booting))),
        }
        match workers.booting {
            // The platform knows: only the newest can be booting still.
            Some(booting) => self.keep_newest(booting),
            // It does not: then whoever has had the time is up.
            None => self.asked.retain(|(at, _)| now.saturating_since(*at).as_secs_f64() < boot),
        }
    }

    /// The platform has just accepted so many workers.
    pub(crate) fn accepted(&mut self, workers: u32, now: Timestamp) {
        match self.before.replace(workers) {
            Some(before) if workers > before => self.asked.push_back((now, workers - before)),
            Some(before) => self.forget_newest(before - workers),
            None => {}
        }
    }

    /// For each group that boots, oldest first: its size, and in how many seconds it is expected to be up.
    pub(crate) fn expected(&self, boot: f64, now: Timestamp) -> impl Iterator<Item = (u32, f64)> {
        self.asked.iter().map(move |&(at, workers)| {
            (workers, (boot - now.saturating_since(at).as_secs_f64()).max(ANY_MOMENT))
        })
    }

    fn keep_newest(&mut self, mut left: u32) {
        for (_, workers) in self.asked.iter_mut().rev() {
            *workers = left.min(*workers);
            left -= *workers;
        }
        self.asked.retain(|&(_, workers)| workers > 0);
    }

    fn forget_newest(&mut self, gone: u32) {
        let all: u32 = self.asked.iter().map(|&(_, workers)| workers).sum();
        let mut left = all.saturating_sub(gone);
        for (_, workers) in &mut self.asked {
            *workers = left.min(*workers);
            left -= *workers;
        }
        self.asked.retain(|&(_, workers)| workers > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: f64 = 50.0;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(1000 + seconds)
    }

    fn groups(starts: &Starts, now: u64) -> Vec<(u32, f64)> {
        starts.expected(BOOT, at(now)).collect()
    }

    #[test]
    fn workers_are_expected_when_they_have_had_the_time_to_boot() {
        let mut starts = Starts::default();
        starts.observe(WorkerCount::running(2), BOOT, at(0));
        assert_eq!(groups(&starts, 0), []);
        starts.accepted(5, at(10));
        starts.observe(WorkerCount::running(5), BOOT, at(30));
        starts.observe(WorkerCount::running(6), BOOT, at(40));
        assert_eq!(groups(&starts, 40), [(3, 20.0), (1, 50.0)]);
        starts.observe(WorkerCount::running(6), BOOT, at(60));
        assert_eq!(groups(&starts, 60), [(1, 30.0)]);
    }

    #[test]
    fn a_platform_that_tells_is_believed() {
        let mut starts = Starts::default();
        let seen = |current, booting| WorkerCount { booting: Some(booting), ..WorkerCount::running(current) };
        starts.observe(seen(4, 1), BOOT, at(0));
        starts.accepted(7, at(10));
        starts.observe(seen(7, 3), BOOT, at(30));
        assert_eq!(groups(&starts, 30), [(3, 30.0)]);
        starts.observe(seen(7, 2), BOOT, at(90));
        assert_eq!(groups(&starts, 90), [(2, ANY_MOMENT)], "late, and expected at any moment");
    }

    #[test]
    fn the_newest_are_stopped_first() {
        let mut starts = Starts::default();
        starts.observe(WorkerCount::running(0), BOOT, at(0));
        starts.accepted(3, at(0));
        starts.accepted(5, at(10));
        starts.observe(WorkerCount::running(2), BOOT, at(20));
        assert_eq!(groups(&starts, 20), [(2, 30.0)]);
    }
}
