//! The table of the `ratio` policy: workers against waiting jobs.

use serde::{Deserialize, Serialize};

/// How many waiting jobs need how many workers, as DynoScaler has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobWorkerRatio(Vec<Step>);

/// From so many waiting jobs on, so many workers are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Step {
    /// Workers, 1 or more.
    pub workers: u32,
    /// Waiting jobs, 1 or more.
    pub jobs: u64,
}

impl JobWorkerRatio {
    /// A table. `None` when it is empty or names a number of workers twice.
    pub fn new(mut steps: Vec<Step>) -> Option<Self> {
        steps.sort();
        let distinct = steps.windows(2).all(|pair| pair[0].workers < pair[1].workers);
        (!steps.is_empty() && distinct).then_some(Self(steps))
    }

    /// The largest number of workers whose threshold is reached, else 0.
    pub fn needed(&self, waiting: u64) -> u32 {
        self.0.iter().filter(|step| step.jobs <= waiting).map(|step| step.workers).max().unwrap_or(0)
    }

    /// Its steps, fewest workers first.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }
}

impl Default for JobWorkerRatio {
    fn default() -> Self {
        let step = |(workers, jobs)| Step { workers, jobs };
        Self([(1, 1), (2, 25), (3, 50), (4, 75), (5, 100)].map(step).to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_number_of_workers_whose_threshold_is_reached() {
        let table = JobWorkerRatio::default();
        let needed = [0, 1, 24, 25, 99, 100, 1_000_000].map(|waiting| table.needed(waiting));
        assert_eq!(needed, [0, 1, 1, 2, 4, 5, 5]);
    }

    #[test]
    fn a_table_names_each_number_of_workers_once() {
        let step = |workers, jobs| Step { workers, jobs };
        assert_eq!(JobWorkerRatio::new(vec![step(1, 1), step(1, 2)]), None);
        assert_eq!(JobWorkerRatio::new(vec![]), None);
        let backwards = JobWorkerRatio::new(vec![step(9, 10), step(1, 5)]).unwrap();
        assert_eq!((backwards.needed(7), backwards.needed(10)), (1, 9));
    }
}
