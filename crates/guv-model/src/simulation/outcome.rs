//! What came of a run, and how good it was.

use super::workload::Workload;

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// When each job was finished, seconds since the start; infinite where it was not.
    pub finished: Vec<f64>,
    /// When each worker was asked for, and when it was gone.
    pub lives: Vec<(f64, f64)>,
    /// Changes of the number of workers.
    pub operations: u64,
    /// Changes that the platform refused.
    pub refused: u64,
    /// Jobs whose worker was killed.
    pub killed: u64,
    /// What there was at each look.
    pub points: Vec<Point>,
}

/// What there was at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Seconds since the start.
    pub at: f64,
    /// Jobs that waited.
    pub waiting: u32,
    /// Jobs in work.
    pub in_hand: u32,
    /// Workers asked for and not told to stop.
    pub workers: u32,
    /// How many of them were up.
    pub up: u32,
}

/// How good a run was, from some time on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Jobs that arrived then.
    pub jobs: usize,
    /// How many of them were finished within the deadline. Of those that are neither finished
    /// nor due at the end, all count as such that could be.
    pub hits: usize,
    /// Jobs that no worker could have finished in time: they take longer than the deadline.
    pub hopeless: usize,
    /// The lowest share of hits among the jobs that arrived in any ten minutes.
    pub worst: f64,
    /// Seconds within which 99 % of the jobs were finished.
    pub p99: f64,
    /// Worker-seconds paid.
    pub paid: f64,
    /// Seconds of work done in that time, at most what was finished.
    pub work: f64,
}

/// The time over which the lowest share of hits is looked for, seconds.
const WINDOW: f64 = 600.0;

impl Outcome {
    /// The score of the jobs that arrived from `from` on, and of the time from then to the end of the trace.
    pub fn score(&self, workload: &Workload, deadline: f64, from: f64) -> Score {
        let first = workload.arrivals.partition_point(|&arrival| arrival < from);
        let mut times: Vec<f64> = Vec::with_capacity(workload.len() - first);
        let (mut hits, mut hopeless, mut work) = (0, 0, 0.0);
        let windows = ((workload.length - from) / WINDOW).ceil().max(1.0) as usize;
        let mut of_window = vec![(0_u32, 0_u32); windows];
        for job in first..workload.len() {
            let (arrival, finished) = (workload.arrivals[job], self.finished[job]);
            let time = finished - arrival;
            let is_hopeless = workload.services[job] > deadline;
            // Of what is not done at the end nobody knows whether it will be late.
            let is_open = finished.is_infinite() && arrival + deadline > workload.length;
            let hit = time <= deadline || (is_open && !is_hopeless);
            hits += usize::from(hit);
            hopeless += usize::from(is_hopeless);
            let window = &mut of_window[(((arrival - from) / WINDOW) as usize).min(windows - 1)];
            *window = (window.0 + u32::from(hit), window.1 + 1);
            if finished.is_finite() {
                work += workload.services[job];
            }
            times.push(time);
        }
        let worst = of_window.iter().filter(|window| window.1 > 0);
        let worst = worst.map(|&(hits, jobs)| f64::from(hits) / f64::from(jobs)).fold(1.0, f64::min);
        let place = ((times.len() as f64 * 0.99).ceil() as usize).saturating_sub(1);
        let p99 = if times.is_empty() { 0.0 } else { *times.select_nth_unstable_by(place, f64::total_cmp).1 };
        let paid =
            self.lives.iter().map(|&(requested, gone)| gone.min(workload.length) - requested.max(from));
        let paid = paid.map(|seconds| seconds.max(0.0)).fold(0.0, |sum, seconds| sum + seconds);
        Score { jobs: workload.len() - first, hits, hopeless, worst, p99, paid, work }
    }
}

impl Score {
    /// The share of jobs that made their deadline, 0 to 1.
    pub fn hit_rate(&self) -> f64 {
        if self.jobs == 0 { 1.0 } else { self.hits as f64 / self.jobs as f64 }
    }

    /// The share of what was paid for that was worked, 0 to 1, with `concurrency` jobs a worker.
    pub fn utilisation(&self, concurrency: u32) -> f64 {
        if self.paid > 0.0 { self.work / (self.paid * f64::from(concurrency)) } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_at_the_end_counts_as_far_as_it_could_be_in_time() {
        let workload =
            Workload { arrivals: vec![0.0, 90.0, 90.0], services: vec![10.0, 10.0, 70.0], length: 100.0 };
        let outcome = Outcome { finished: vec![10.0, f64::INFINITY, f64::INFINITY], ..Outcome::default() };
        let score = outcome.score(&workload, 60.0, 0.0);
        assert_eq!((score.jobs, score.hits, score.hopeless), (3, 2, 1));
    }
}
