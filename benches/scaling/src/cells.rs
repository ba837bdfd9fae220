//! What is tried: traffic, deadline, spread of service times.

use std::path::Path;

use anyhow::Result;
use guv_model::Clairvoyant;
use guv_model::simulation::{Counts, Platform, Service, Watch, Workload};

use crate::traces;

/// Seconds at the start that do not count: by then every policy has found its way.
pub(crate) const UNSCORED: f64 = 1800.0;
/// The shortest boot and stop, seconds.
const START: f64 = 55.0;

/// One scenario, run with several seeds.
pub(crate) struct Cell {
    pub(crate) name: String,
    pub(crate) deadline: f64,
    pub(crate) service: Service,
    pub(crate) minimum: u32,
    pub(crate) initial: u32,
    pub(crate) platform: Platform,
    pub(crate) watch: Watch,
    pub(crate) runs: Vec<Run>,
}

/// A workload, and what a clairvoyant would pay for it.
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) workload: Workload,
    pub(crate) bound: f64,
}

/// The standard grid: the busiest day at two loads and two deadlines, with even and uneven jobs; other days; bursts.
pub(crate) fn standard(data: &Path, seeds: u64) -> Result<Vec<Cell>> {
    let busiest = traces::nasa_busiest(data)?;
    let even = Service { mean: 10.0, variation: 0.5 };
    let uneven = Service { mean: 10.0, variation: 1.5 };
    let mut cells = vec![
        of_counts("13 July, load 8, D 60", &[&busiest], 8.0, even, 60.0, seeds),
        of_counts("13 July, load 8, D 180", &[&busiest], 8.0, even, 180.0, seeds),
        of_counts("13 July, load 8, D 60, CV 1.5", &[&busiest], 8.0, uneven, 60.0, seeds),
        of_counts("13 July, load 0.3, D 60", &[&busiest], 0.3, even, 60.0, seeds),
    ];
    let days = traces::nasa_days(data)?;
    // From both months, on all days of the week; without the days on which constants were chosen (4, 19, 33 and 47).
    let others: Vec<&Counts> = days.iter().skip(5).step_by(9).collect();
    cells.push(of_counts("other days, load 8, D 60", &others, 8.0, even, 60.0, 1));
    cells.push(of_counts("other days, load 8, D 180", &others, 8.0, even, 180.0, 1));
    cells.push(of_counts("other days, load 0.3, D 60", &others, 0.3, even, 60.0, 1));
    cells.push(bursts(traces::azure_llm(data)?, seeds));
    Ok(cells)
}

fn of_counts(name: &str, counts: &[&Counts], load: f64, service: Service, deadline: f64, seeds: u64) -> Cell {
    let runs = counts.iter().flat_map(|counts| (0..seeds).map(move |seed| (counts, seed)));
    let runs = runs.map(|(counts, seed)| Run::new(counts.workload(load, service, seed), deadline, seed));
    Cell {
        name: name.to_owned(),
        deadline,
        service,
        minimum: u32::from(load >= 1.0),
        initial: (load * 1.3).ceil() as u32,
        // Where jobs may outlast the grace of a platform, it is one that stops idle workers first.
        platform: Platform { idle_first: service.variation > 1.0, ..Platform::default() },
        watch: Watch::default(),
        runs: runs.collect(),
    }
}

fn bursts(workload: Workload, seeds: u64) -> Cell {
    let deadline = 60.0;
    let jobs = workload.services.len() as f64;
    let mean = workload.services.iter().sum::<f64>() / jobs;
    let variance = workload.services.iter().map(|service| (service - mean).powi(2)).sum::<f64>() / jobs;
    let runs = (0..seeds).map(|seed| Run::new(workload.clone(), deadline, seed)).collect();
    Cell {
        name: "Azure LLM code × 3, D 60".to_owned(),
        deadline,
        service: Service { mean, variation: variance.sqrt() / mean },
        minimum: 1,
        initial: 20,
        platform: Platform::default(),
        watch: Watch::default(),
        runs,
    }
}

impl Run {
    fn new(workload: Workload, deadline: f64, seed: u64) -> Self {
        let clairvoyant = Clairvoyant { deadline, concurrency: 1, start: START, from: UNSCORED };
        let bound = clairvoyant.integer_bound(&workload);
        Self { seed, workload, bound }
    }
}
