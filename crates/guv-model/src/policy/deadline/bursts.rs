//! The jobs that only those workers can do that are there already.
//!
//! Whoever is asked for when a burst is seen is there when it has started. Of what comes until then, as much as cannot wait so long
//! has to be done by workers that stand by. The most that came within that time is written down for every five minutes. For
//! a burst that comes often a worker that stands by is worth its money; for one that comes once a day it is not.

use std::collections::VecDeque;

use super::traffic::Waits;

/// Of so many seconds the most is remembered.
const BLOCK: f64 = 300.0;
/// A second of work that is in time is worth so many seconds of a worker.
const WORTH: f64 = 17.0;
/// What comes in this part of the blocks is worth it in any case.
const ALWAYS: f64 = 0.9;
/// The time constant with which it is forgotten, seconds.
const REMEMBERED: f64 = 2700.0;
/// Eighths of a doubling: up to a million jobs.
const BUCKETS: usize = 160;
const PER_DOUBLING: f64 = 8.0;

/// What is remembered of bursts.
#[derive(Clone, Debug, Default)]
pub(super) struct Bursts {
    /// What came at the last looks, and in how many seconds, newest first.
    recent: VecDeque<(f64, f64)>,
    /// The most in this block so far, jobs, and its seconds so far.
    most: f64,
    seconds: f64,
    /// Seconds of blocks by their most, faded; empty before the first.
    blocks: Vec<f64>,
}

impl Bursts {
    /// So many jobs have come in so many seconds.
    pub(super) fn observe(&mut self, jobs: f64, seconds: f64, waits: Waits) {
        let (alone, slack) = (waits.alone(), waits.slack);
        if alone <= 0.0 {
            self.recent.clear();
            return;
        }
        self.recent.push_front((jobs, seconds));
        let (mut jobs, mut time, mut looks) = (0.0, 0.0, 0);
        for &(came, seconds) in &self.recent {
            if looks > 0 && time + seconds / 2.0 > alone {
                break;
            }
            jobs += came;
            time += seconds;
            looks += 1;
            // Workers that do these by the time at which the last of them is due do as many as this.
            self.most = self.most.max(jobs * (alone + slack) / (time + slack));
        }
        self.recent.truncate(looks);
        self.seconds += seconds;
        if self.seconds >= BLOCK {
            let (most, seconds) = (std::mem::take(&mut self.most), std::mem::take(&mut self.seconds));
            self.blocks.resize(BUCKETS, 0.0);
            let fade = (-seconds / REMEMBERED).exp();
            self.blocks.iter_mut().for_each(|bucket| *bucket *= fade);
            self.blocks[bucket(most)] += seconds;
        }
    }

    /// The jobs that have come at once often enough to have workers for them; none where jobs can wait for a start. In each burst
    /// such a worker does work that would be late without it, for as long as a start takes.
    pub(super) fn often(&self, waits: Waits) -> f64 {
        if waits.alone() <= 0.0 {
            return 0.0;
        }
        let share = (BLOCK / (WORTH * waits.blind)).min(ALWAYS);
        let open = if self.seconds > 0.0 { BLOCK } else { 0.0 };
        let all = open + self.blocks.iter().fold(0.0, |sum, seconds| sum + seconds);
        let at = bucket(self.most);
        let mut above = 0.0;
        for index in (1..BUCKETS).rev() {
            above += self.blocks.get(index).copied().unwrap_or(0.0);
            above += if index == at { open } else { 0.0 };
            if above > share * all {
                return ((index as f64 + 0.5) / PER_DOUBLING).exp2() - 1.0;
            }
        }
        0.0
    }
}

fn bucket(jobs: f64) -> usize {
    (((jobs + 1.0).log2() * PER_DOUBLING) as usize).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITS: Waits = Waits { slack: 35.0, blind: 65.0, boot: 50.0, stale: 5.0 };

    fn hours(every: u32) -> Bursts {
        let mut bursts = Bursts::default();
        for look in 0..480 {
            bursts.observe(if look % every == 0 { 100.0 } else { 5.0 }, 30.0, WAITS);
        }
        bursts
    }

    #[test]
    fn what_comes_often_counts_and_what_comes_seldom_does_not() {
        assert_eq!(Bursts::default().often(WAITS), 0.0);
        let often = hours(10).often(WAITS);
        assert!((90.0..112.0).contains(&often), "{often}");
        let seldom = hours(240).often(WAITS);
        assert!((4.0..7.0).contains(&seldom), "twice in four hours: {seldom}");
    }

    #[test]
    fn a_first_burst_counts_at_once_and_is_forgotten() {
        let mut bursts = Bursts::default();
        bursts.observe(50.0, 30.0, WAITS);
        assert!(bursts.often(WAITS) > 40.0);
        for _ in 0..200 {
            bursts.observe(0.0, 30.0, WAITS);
        }
        assert!(bursts.often(WAITS) < 1.0);
    }

    #[test]
    fn a_job_more_never_makes_bursts_rarer() {
        for looks in 0..400 {
            let bursts = (0..looks).fold(hours(30), |mut bursts, _| {
                bursts.observe(0.0, 30.0, WAITS);
                bursts
            });
            let with = |jobs: f64| {
                let mut bursts = bursts.clone();
                bursts.observe(jobs, 30.0, WAITS);
                bursts.often(WAITS)
            };
            assert!(with(1.0) >= with(0.0), "after {looks} looks: {} and {}", with(1.0), with(0.0));
        }
    }

    #[test]
    fn however_often_it_is_looked_it_is_the_same_burst() {
        let of = |interval: u32| {
            let mut bursts = Bursts::default();
            for end in (interval..7200).step_by(interval as usize) {
                let jobs = (end - interval..end).filter(|second| second % 300 < 30).count();
                bursts.observe(jobs as f64, interval.into(), WAITS);
            }
            bursts.often(WAITS)
        };
        let (often, seldom) = (of(1), of(30));
        assert!((0.8..1.25).contains(&(often / seldom)), "{often} and {seldom}");
    }

    #[test]
    fn where_jobs_can_wait_for_a_start_nobody_stands_by() {
        let patient = Waits { slack: 90.0, ..WAITS };
        let mut bursts = hours(10);
        bursts.observe(100.0, 30.0, patient);
        assert_eq!(bursts.often(patient), 0.0);
        assert!(bursts.often(WAITS) > 90.0, "it is not forgotten for that");
    }
}
