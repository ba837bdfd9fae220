//! The jobs that a configuration is tried on: drawn, or read from a trace.

use std::f64::consts::TAU;
use std::path::Path;

use guv::model::RoleConfig;
use guv::model::simulation::{Counts, Service, Workload};

use crate::arguments::{Shape, Simulate};
use crate::outcome::{Failure, Stop};

/// More jobs than this are not tried at once: each takes memory.
const MOST: f64 = 50e6;

/// The jobs that a role gets: the same for every configuration that says the same of them.
pub(super) fn workload(role: &RoleConfig, options: &Simulate) -> Result<Workload, Stop> {
    let mean = role.processing.as_secs_f64();
    let service = Service { mean, variation: role.stddev.as_secs_f64() / mean };
    if let Some(path) = &options.trace {
        let counts = match read(path)? {
            Trace::Counts(counts) => counts,
            Trace::Jobs(jobs) if options.load.is_none() => return Ok(jobs),
            Trace::Jobs(_) => {
                let what = format!("{} lists jobs, which are taken as they are", path.display());
                return Err(Stop::config(Failure::new(what, "leave --load out, or count the arrivals")));
            }
        };
        let counted = counts.arrivals.iter().map(|&count| f64::from(count)).sum::<f64>();
        let own = counted * mean / (counts.bin * counts.arrivals.len() as f64);
        return Ok(counts.workload(options.load.unwrap_or(own), service, options.seed));
    }
    let length = options.hours * 3600.0;
    let rate = options.load.unwrap_or(1.0) / mean;
    let highest = rate * options.shape.highest();
    if rate * length > MOST {
        let what = format!("that would be {:.0} million jobs", rate * length / 1e6);
        return Err(Stop::config(Failure::new(what, "choose a lower --load or fewer --hours")));
    }
    if options.shape == Shape::Batch {
        return Ok(batches(rate, length).workload(rate * mean, service, options.seed));
    }
    Ok(Workload::poisson(length, highest, |at| rate * options.shape.at(at, length), service, options.seed))
}

/// Seconds from batch to batch.
const BATCHES: usize = 600;

/// All that comes from batch to batch, within its first second.
fn batches(rate: f64, length: f64) -> Counts {
    let batch = (rate * BATCHES as f64).ceil().max(1.0) as u32;
    let arrivals = (0..length as usize).map(|second| if second % BATCHES == 0 { batch } else { 0 });
    Counts { bin: 1.0, arrivals: arrivals.collect() }
}

impl Shape {
    /// What the mean rate is multiplied with, so many seconds from the start of a run of `length` seconds.
    fn at(self, seconds: f64, length: f64) -> f64 {
        match self {
            Self::Constant | Self::Batch => 1.0,
            Self::Step if seconds < length / 2.0 => 0.5,
            Self::Step => 1.5,
            Self::Sine => 1.0 - 0.8 * (TAU * seconds / 86_400.0).cos(),
            Self::Square if seconds % 3600.0 < 1800.0 => 0.5,
            Self::Square => 1.5,
            Self::Spikes if seconds % 3600.0 >= 3300.0 => 6.5,
            Self::Spikes => 0.5,
        }
    }

    fn highest(self) -> f64 {
        match self {
            Self::Constant | Self::Batch => 1.0,
            Self::Sine => 1.8,
            Self::Step | Self::Square => 1.5,
            Self::Spikes => 6.5,
        }
    }
}

/// What a file tells.
#[derive(Debug, PartialEq)]
enum Trace {
    /// Arrivals in equally long times.
    Counts(Counts),
    /// Each job.
    Jobs(Workload),
}

const FORM: &str = "a trace is a line of headings, then `seconds,arrivals` for each of equally long times, or, under a second heading \
                    `service`, `seconds,service` for each job";

fn read(path: &Path) -> Result<Trace, Stop> {
    let wrong = |what: String| Stop::config(Failure::new(what, FORM));
    let text = std::fs::read_to_string(path)
        .map_err(|error| wrong(format!("{} cannot be read: {error}", path.display())))?;
    let is_number = |field: &str| field.trim().parse::<f64>().is_ok();
    if text.lines().next().is_some_and(|line| line.split(',').take(2).all(is_number)) {
        return Err(wrong(format!("{}:1: this line is no heading, and would be left out", path.display())));
    }
    let of_jobs = text
        .lines()
        .next()
        .and_then(|headings| headings.split(',').nth(1))
        .is_some_and(|heading| heading.trim().starts_with("service"));
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate().skip(1) {
        let mut fields = line.split(',').map(|field| field.trim().parse::<f64>().ok());
        match (fields.next().flatten(), fields.next().flatten()) {
            (Some(seconds), Some(value)) if seconds >= 0.0 && value >= 0.0 && value.is_finite() => {
                lines.push((seconds, value));
            }
            _ => return Err(wrong(format!("{}:{}: `{line}` is not understood", path.display(), index + 1))),
        }
    }
    let trace = if of_jobs { jobs(&lines) } else { counts(&lines) };
    trace.map_err(|(line, what)| wrong(format!("{}:{}: {what}", path.display(), line + 2)))
}

/// Later than this, in seconds, no trace begins: it is the time since 1970.
const CLOCK: f64 = 1e8;

/// What is wrong in which of the lines.
type Wrong = (usize, String);

fn jobs(lines: &[(f64, f64)]) -> Result<Trace, Wrong> {
    if let Some(index) = lines.windows(2).position(|pair| pair[1].0 < pair[0].0) {
        return Err((index + 1, "this job arrives before the one above it".to_owned()));
    }
    let first = lines.first().ok_or((0, "there are no jobs".to_owned()))?.0;
    // Where the times are those of a clock, the trace begins with its first job.
    let start = if first < CLOCK { 0.0 } else { first };
    let last = lines.last().map_or(start, |(at, _)| *at) - start;
    let longest = lines.iter().map(|(_, service)| *service).fold(0.0, f64::max);
    let (arrivals, services) = lines.iter().map(|(at, service)| (at - start, *service)).unzip();
    Ok(Trace::Jobs(Workload { arrivals, services, length: last + longest }))
}

fn counts(lines: &[(f64, f64)]) -> Result<Trace, Wrong> {
    let bin = match lines {
        [first, second, ..] if second.0 > first.0 => second.0 - first.0,
        _ => return Err((0, "there are fewer than two times in order".to_owned())),
    };
    let uneven = |pair: &[(f64, f64)]| (pair[1].0 - pair[0].0 - bin).abs() > 1e-6 * bin;
    if let Some(index) = lines.windows(2).position(uneven) {
        return Err((index + 1, format!("not {bin} s after the line before")));
    }
    let mut arrivals = Vec::with_capacity(lines.len());
    for (index, (_, count)) in lines.iter().enumerate() {
        if count.fract() != 0.0 || *count > f64::from(u32::MAX) {
            return Err((index, format!("{count} is no number of arrivals")));
        }
        arrivals.push(*count as u32);
    }
    if arrivals.iter().all(|&count| count == 0) {
        return Err((0, "nothing arrives".to_owned()));
    }
    Ok(Trace::Counts(Counts { bin, arrivals }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(text: &str) -> Result<Trace, Stop> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace.csv");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn a_trace_is_read() {
        let counts = trace("t,n\n0,3\n60, 0\n120,5\n").unwrap();
        assert_eq!(counts, Trace::Counts(Counts { bin: 60.0, arrivals: vec![3, 0, 5] }));
    }

    #[test]
    fn a_trace_may_list_jobs() {
        let jobs = trace("t_seconds,service_s,tokens\n0.5,3,9\n0.5,1.5,2\n4,2,1\n").unwrap();
        let (arrivals, services) = (vec![0.5, 0.5, 4.0], vec![3.0, 1.5, 2.0]);
        assert_eq!(jobs, Trace::Jobs(Workload { arrivals, services, length: 7.0 }));
    }

    #[test]
    fn a_trace_by_the_clock_begins_with_its_first_job() {
        let jobs = trace("seconds,service\n1700000000,1.5\n1700000003,2\n").unwrap();
        let (arrivals, services) = (vec![0.0, 3.0], vec![1.5, 2.0]);
        assert_eq!(jobs, Trace::Jobs(Workload { arrivals, services, length: 5.0 }));
    }

    #[test]
    fn what_is_no_trace_is_refused() {
        for text in [
            "0,100\n60,1\n120,1\n",
            "",
            "t,n\n0,3\n",
            "t,n\n0,3\n60,x\n",
            "t,n\n0,3\n60,1\n90,1\n",
            "t,n\n60,3\n0,1\n",
            "t,n\n0,0\n60,0\n",
            "t,n\n0,1.5\n60,2\n",
            "t,service\n",
            "t,service\n5,1\n4,1\n",
            "t,service\n5,-1\n",
        ] {
            assert!(trace(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn batches_come_every_ten_minutes() {
        for rate in [0.0003, 0.8] {
            let service = Service { mean: 10.0, variation: 0.5 };
            let jobs = batches(rate, 864_000.0).workload(rate * 10.0, service, 1);
            let expected = rate * 864_000.0;
            assert!((jobs.len() as f64 - expected).abs() < 0.2 * expected, "{} of {expected}", jobs.len());
            assert!(jobs.arrivals.iter().all(|at| at % 600.0 < 1.0));
        }
    }

    #[test]
    fn every_shape_has_the_mean_that_is_asked_for() {
        let day = 86_400.0;
        for shape in [Shape::Constant, Shape::Step, Shape::Sine, Shape::Square, Shape::Spikes] {
            let mean = (0..86_400).map(|second| shape.at(f64::from(second), day)).sum::<f64>() / day;
            assert!((mean - 1.0).abs() < 1e-3, "{shape:?} {mean}");
            assert!((0..86_400).all(|second| shape.at(f64::from(second), day) <= shape.highest()));
        }
    }
}
