//! What is tried: traffic, load, deadline, spread of service times, faults.

use anyhow::Result;
use guv_model::Clairvoyant;
use guv_model::simulation::{Counts, Platform, Service, Tells, Watch, Workload};

use crate::traces::Traces;

/// Seconds at the start that do not count: by then every policy has found its way.
const UNSCORED: f64 = 1800.0;
/// The shortest boot and stop, seconds.
const START: f64 = 55.0;
/// The days on which settings are chosen; they are in no scenario.
const REHEARSAL: [usize; 4] = [4, 19, 33, 47];

/// Multiples of it fall evenly between whole numbers.
const GOLDEN: f64 = 0.618_033_988_749_895;
/// An hour that is cheap to try is tried so often.
const OFTEN: u64 = 10;

/// 13 July among the days.
const BUSIEST: usize = 12;
/// A day with fewer requests is one on which the server was away, or the log was.
const LEAST: u32 = 10_000;
const ALL: Traffic = Traffic::OtherDays { every: 1 };
const SOME: Traffic = Traffic::OtherDays { every: 9 };

/// Where the jobs come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Traffic {
    /// A web server's busiest day, by the second.
    Busiest,
    /// Every so many of its other days.
    OtherDays { every: usize },
    /// Little, and five minutes of much every two hours.
    Spikes,
    /// An hour of requests to a language model, with its own service times.
    Bursts,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// Nothing is seen of the queue for a while.
    Blind,
    /// The platform refuses every change for a while.
    Refused,
    /// It runs no more than so many workers.
    Limit(u32),
    /// This share of the starts fails.
    Failing(f64),
    /// The queue tells less of itself.
    Tells(Tells),
}

/// From when to when it is so, seconds: at the busiest time of 13 July.
const WHILE: (f64, f64) = (50_400.0, 50_700.0);

/// A scenario before its jobs are drawn.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) traffic: Traffic,
    load: f64,
    service: Service,
    deadline: f64,
    interval: f64,
    fault: Option<Fault>,
    seeds: u64,
}

/// A scenario with its jobs.
pub(crate) struct Cell {
    pub(crate) deadline: f64,
    pub(crate) service: Service,
    pub(crate) minimum: u32,
    pub(crate) initial: u32,
    pub(crate) platform: Platform,
    pub(crate) watch: Watch,
    /// Jobs that arrive earlier do not count, seconds.
    pub(crate) from: f64,
    pub(crate) runs: Vec<Run>,
    /// Jobs to choose settings on.
    pub(crate) rehearsal: Vec<Run>,
}

/// A workload, and what a clairvoyant would pay for it.
pub(crate) struct Run {
    /// Where it is from.
    pub(crate) name: String,
    pub(crate) seed: u64,
    pub(crate) workload: Workload,
    /// For all jobs in time; infinite where nobody asks.
    pub(crate) bound: f64,
}

/// The standard grid: the busiest day at two loads and two deadlines, with even and uneven jobs; with faults; other days; bursts.
pub(crate) fn standard(seeds: u64) -> Vec<Scenario> {
    let even = |traffic, load, deadline, seeds| Scenario {
        traffic,
        load,
        service: Service { mean: 10.0, variation: 0.5 },
        deadline,
        interval: 30.0,
        fault: None,
        seeds,
    };
    let uneven = Service { mean: 10.0, variation: 1.5 };
    let faulty = |fault| Scenario { fault: Some(fault), ..even(Traffic::Busiest, 8.0, 60.0, seeds) };
    vec![
        even(Traffic::Busiest, 8.0, 60.0, seeds),
        even(Traffic::Busiest, 8.0, 180.0, seeds),
        Scenario { service: uneven, ..even(Traffic::Busiest, 8.0, 60.0, seeds) },
        even(Traffic::Busiest, 0.3, 60.0, seeds),
        faulty(Fault::Blind),
        faulty(Fault::Refused),
        faulty(Fault::Limit(20)),
        faulty(Fault::Failing(0.2)),
        faulty(Fault::Tells(Tells::Jobs)),
        faulty(Fault::Tells(Tells::Ready)),
        even(ALL, 8.0, 60.0, 1),
        even(ALL, 8.0, 180.0, 1),
        even(ALL, 0.3, 60.0, 1),
        even(Traffic::Spikes, 8.0, 60.0, seeds),
        even(Traffic::Bursts, 0.0, 60.0, seeds.max(OFTEN)),
        Scenario { interval: 1.0, ..even(Traffic::Bursts, 0.0, 60.0, seeds.max(OFTEN)) },
    ]
}

/// The full grid: every combination of load, service time, spread and deadline, on three kinds of traffic.
pub(crate) fn full(seeds: u64) -> Vec<Scenario> {
    let mut all = Vec::new();
    for traffic in [Traffic::Busiest, SOME, Traffic::Spikes] {
        for load in [0.3, 2.0, 8.0, 30.0] {
            for mean in [1.0, 10.0, 60.0] {
                for variation in [0.5, 1.5] {
                    for factor in [3.0, 6.0, 18.0] {
                        let seeds = if traffic == SOME { 1 } else { seeds };
                        let service = Service { mean, variation };
                        let deadline = factor * mean;
                        all.push(Scenario {
                            traffic,
                            load,
                            service,
                            deadline,
                            interval: 30.0,
                            fault: None,
                            seeds,
                        });
                    }
                }
            }
        }
    }
    let beside = |scenario: &Scenario| scenario.traffic == Traffic::Bursts || scenario.fault.is_some();
    all.extend(standard(seeds).into_iter().filter(beside));
    all
}

impl Scenario {
    pub(crate) fn name(&self) -> String {
        let Self { load, service, deadline, .. } = self;
        let traffic = match self.traffic {
            Traffic::Busiest => "13 July",
            Traffic::OtherDays { .. } => "other days",
            Traffic::Spikes => "spikes",
            Traffic::Bursts if self.interval < 30.0 => {
                return format!("language model × 3, D {deadline}, looked at every {} s", self.interval);
            }
            Traffic::Bursts => return format!("language model × 3, D {deadline}"),
        };
        let mut name = format!("{traffic}, load {load}, D {deadline}");
        if service.mean != 10.0 {
            name = format!("{name}, S {}", service.mean);
        }
        if service.variation != 0.5 {
            name = format!("{name}, CV {}", service.variation);
        }
        match self.fault {
            None => name,
            Some(Fault::Blind) => format!("{name}, nothing seen for 5 minutes"),
            Some(Fault::Refused) => format!("{name}, changes refused for 5 minutes"),
            Some(Fault::Limit(most)) => format!("{name}, at most {most} workers"),
            Some(Fault::Tells(Tells::Ready)) => format!("{name}, only what waits is told"),
            Some(Fault::Tells(_)) => format!("{name}, nobody counts what comes and is done"),
            Some(Fault::Failing(share)) => format!("{name}, {:.0} % of the starts fail", 100.0 * share),
        }
    }

    /// Draws the jobs.
    pub(crate) fn cell(&self, traces: &Traces) -> Result<Cell> {
        let Self { load, deadline, seeds, .. } = *self;
        let drawn = |counts: &Counts, seed| counts.workload(load, self.service, seed);
        let named = |seed| format!("seed {seed}");
        let each_seed = |counts: &Counts| {
            let drawn = |seed| (named(seed), seed, drawn(counts, seed));
            (0..seeds).map(drawn).collect()
        };
        let days = traces.days()?;
        let workloads: Vec<(String, u64, Workload)> = match self.traffic {
            Traffic::Busiest => each_seed(&traces.busiest()?),
            Traffic::OtherDays { every } => {
                let chosen = (5 % every..days.len()).step_by(every).filter(|day| {
                    let jobs: u32 = days[*day].arrivals.iter().sum();
                    *day != BUSIEST && !REHEARSAL.contains(day) && jobs >= LEAST
                });
                chosen.map(|day| (format!("day {}", day + 1), 0, drawn(&days[day], 0))).collect()
            }
            Traffic::Spikes => each_seed(&spikes()),
            Traffic::Bursts => {
                let hour = traces.language_model()?;
                // There is one such hour only: each time the looks fall elsewhere in it.
                let later =
                    |seed: u64| hour.later((seed as f64 * GOLDEN).fract() * Watch::default().interval);
                (0..seeds).map(|seed| (named(seed), seed, later(seed))).collect()
            }
        };
        let bursts = self.traffic == Traffic::Bursts;
        let service = if bursts { spread(&workloads[0].2) } else { self.service };
        // There is one hour of the language model only: settings are chosen on days of the web server at as high a load.
        let of_model = |workload: &Workload| workload.len() as f64 * service.mean / workload.length;
        let load = if bursts { of_model(&workloads[0].2) } else { load };
        // That hour is too short to leave half of it out.
        let from = if bursts { 0.0 } else { UNSCORED };
        let rehearsal = REHEARSAL.iter().map(|&day| days[day].workload(load, service, 100));
        Ok(Cell {
            deadline,
            service,
            minimum: u32::from(load >= 1.0),
            initial: (load * 1.3).ceil() as u32,
            // Where jobs may outlast the grace of a platform, it is one that stops idle workers first.
            platform: Platform {
                idle_first: outlasts_grace(service),
                limit: if let Some(Fault::Limit(most)) = self.fault { most } else { u32::MAX },
                refuses: (self.fault == Some(Fault::Refused)).then_some(WHILE),
                failing: if let Some(Fault::Failing(share)) = self.fault { share } else { 0.0 },
                ..Platform::default()
            },
            watch: Watch {
                interval: self.interval,
                staleness: Watch::default().staleness.min(self.interval / 2.0),
                blind: (self.fault == Some(Fault::Blind)).then_some(WHILE),
                tells: if let Some(Fault::Tells(tells)) = self.fault { tells } else { Tells::All },
                reaction: None,
            },
            from,
            runs: workloads
                .into_iter()
                .map(|(name, seed, workload)| Run::bounded(name, workload, deadline, from, seed))
                .collect(),
            rehearsal: rehearsal.map(Run::unbounded).collect(),
        })
    }
}

/// Whether many jobs take longer than a worker has that is told to stop.
fn outlasts_grace(service: Service) -> bool {
    service.variation > 1.0 || service.mean > Platform::default().grace
}

/// Twelve hours of ten a minute, but for the last five minutes of every second hour: then nineteen times as much.
fn spikes() -> Counts {
    let minutes = (0..720).map(|minute| if minute % 120 >= 115 { 190 } else { 10 });
    Counts { bin: 60.0, arrivals: minutes.collect() }
}

/// Mean and spread of the services of a workload.
fn spread(workload: &Workload) -> Service {
    let jobs = workload.len() as f64;
    let mean = workload.services.iter().sum::<f64>() / jobs;
    let variance = workload.services.iter().map(|service| (service - mean).powi(2)).sum::<f64>() / jobs;
    Service { mean, variation: variance.sqrt() / mean }
}

impl Cell {
    /// What a clairvoyant who may be late with this share of the jobs pays, as a part of what all in time cost: at the first run.
    pub(crate) fn bound_with_late(&self, late: f64) -> Option<f64> {
        let run = self.runs.first()?;
        Some(clairvoyant(self.deadline, self.from).integer_bound_with_late(&run.workload, late) / run.bound)
    }
}

fn clairvoyant(deadline: f64, from: f64) -> Clairvoyant {
    Clairvoyant { deadline, concurrency: 1, start: START, from }
}

impl Run {
    fn bounded(name: String, workload: Workload, deadline: f64, from: f64, seed: u64) -> Self {
        let bound = clairvoyant(deadline, from).integer_bound(&workload);
        Self { name, seed, workload, bound }
    }

    fn unbounded(workload: Workload) -> Self {
        Self { name: "rehearsal".to_owned(), seed: 100, workload, bound: f64::INFINITY }
    }
}
