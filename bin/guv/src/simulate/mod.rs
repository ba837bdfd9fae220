//! `guv simulate`: a configuration tried on traffic, before it is switched on.

use std::f64::consts::TAU;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use guv::config::Loaded;
use guv::model::RoleConfig;
use guv::model::simulation::{
    Boot, Counts, Outcome as Run, Platform, RoleScaler, Score, Service, Watch, Workload, simulate as run,
};
use serde::Serialize;

use crate::arguments::{ConfigArguments, Shape, Simulate};
use crate::outcome::{Failure, Outcome, Stop, print_json, write_out};

/// What a role came to.
#[derive(Serialize)]
struct Trial {
    config: String,
    role: String,
    policy: &'static str,
    jobs: usize,
    /// Share of the jobs that were done within the deadline.
    in_time: f64,
    /// Jobs that take longer than the deadline, whatever is done.
    hopeless: usize,
    /// The lowest share in any ten minutes.
    worst_ten_minutes: f64,
    /// Seconds within which 99 % were done.
    p99: f64,
    deadline: f64,
    worker_hours: f64,
    /// Share of the workers' paid time in which they worked.
    used: f64,
    changes: u64,
    killed: u64,
    most_workers: u32,
    cost: Option<f64>,
    /// The most workers in each of equally long times.
    workers: Vec<u32>,
}

pub(crate) fn simulate(options: &Simulate) -> Outcome {
    let others = options.compare.iter().map(|file| ConfigArguments {
        file: Some(file.clone()),
        config: None,
        file_flag: None,
        allow_key: options.config.allow_key.clone(),
    });
    let mut results = Vec::new();
    for arguments in std::iter::once(options.config.clone()).chain(others) {
        let name = arguments.path().map_or_else(|| "-".to_owned(), |path| path.display().to_string());
        let loaded = arguments.load()?;
        for role in chosen(&loaded, options.role.as_deref(), &name)? {
            let jobs = workload(role, options)?;
            results.push(tried(role, &loaded, &name, &jobs, options.seed));
        }
    }
    if options.json {
        print_json(&results)?;
        return Ok(ExitCode::SUCCESS);
    }
    write_out(|out| {
        for result in &results {
            write(out, result, !options.compare.is_empty())?;
        }
        io::Result::Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The roles that are asked for.
fn chosen<'a>(loaded: &'a Loaded, role: Option<&str>, name: &str) -> Result<Vec<&'a RoleConfig>, Stop> {
    let roles: Vec<_> =
        loaded.config.roles.iter().filter(|one| role.is_none_or(|role| one.role.as_str() == role)).collect();
    if roles.is_empty() {
        let names: Vec<_> = loaded.config.roles.iter().map(|one| one.role.as_str()).collect();
        let message = format!("{name} has no role `{}`", role.unwrap_or_default());
        return Err(Stop::config(Failure::new(message, format!("its roles are {}", names.join(", ")))));
    }
    Ok(roles)
}

/// The jobs that a role gets: the same for every configuration that says the same of them.
fn workload(role: &RoleConfig, options: &Simulate) -> Result<Workload, Stop> {
    let mean = role.processing.as_secs_f64();
    let service = Service { mean, variation: role.stddev.as_secs_f64() / mean };
    if let Some(path) = &options.trace {
        let counts = read(path)?;
        let counted = counts.arrivals.iter().map(|&count| f64::from(count)).sum::<f64>();
        let own = counted * mean / (counts.bin * counts.arrivals.len() as f64);
        return Ok(counts.workload(options.load.unwrap_or(own), service, options.seed));
    }
    let length = options.hours * 3600.0;
    let rate = options.load.unwrap_or(1.0) / mean;
    let highest = rate * options.shape.highest();
    Ok(Workload::poisson(length, highest, |at| rate * options.shape.at(at), service, options.seed))
}

impl Shape {
    /// What the mean rate is multiplied with, so many seconds from the start.
    fn at(self, seconds: f64) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Sine => 1.0 - 0.8 * (TAU * seconds / 86_400.0).cos(),
            Self::Square if seconds % 3600.0 < 1800.0 => 0.5,
            Self::Square => 1.5,
            Self::Spikes if seconds % 3600.0 >= 3300.0 => 6.5,
            Self::Spikes => 0.5,
        }
    }

    fn highest(self) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Sine => 1.8,
            Self::Square => 1.5,
            Self::Spikes => 6.5,
        }
    }
}

fn tried(role: &RoleConfig, loaded: &Loaded, name: &str, jobs: &Workload, seed: u64) -> Trial {
    let boot = role.boot.as_secs_f64();
    let platform = Platform {
        concurrency: role.concurrency.get(),
        // As large platforms do: some start a little sooner, some half as late again.
        boot: Boot { median: boot, spread: 0.12, least: boot * 0.85, most: boot * 1.5 },
        grace: role.grace.as_secs_f64(),
        ..Platform::default()
    };
    let watch = Watch { interval: loaded.config.poll_interval.as_secs_f64(), ..Watch::default() };
    let mut scaler = RoleScaler::new(role.clone(), loaded.config.window());
    let run = run(jobs, &platform, &watch, &mut scaler, role.limits.minimum, seed);
    let deadline = role.deadline.as_secs_f64();
    let score: Score = run.score(jobs, deadline, 0.0);
    Trial {
        config: name.to_owned(),
        role: role.role.to_string(),
        policy: role.policy.name(),
        jobs: score.jobs,
        in_time: score.hit_rate(),
        hopeless: score.hopeless,
        worst_ten_minutes: score.worst,
        p99: score.p99,
        deadline,
        worker_hours: score.paid / 3600.0,
        used: score.utilisation(role.concurrency.get()),
        changes: run.operations,
        killed: run.killed,
        most_workers: run.points.iter().map(|point| point.workers).max().unwrap_or(0),
        cost: role.price.map(|price| price * score.paid / 3600.0),
        workers: columns(&run, jobs.length),
    }
}

/// How many columns the picture has.
const COLUMNS: usize = 72;

fn columns(run: &Run, length: f64) -> Vec<u32> {
    let mut columns = vec![0; COLUMNS];
    for point in &run.points {
        let column = &mut columns[((point.at / length * COLUMNS as f64) as usize).min(COLUMNS - 1)];
        *column = point.workers.max(*column);
    }
    columns
}

fn write(out: &mut dyn io::Write, result: &Trial, compared: bool) -> io::Result<()> {
    const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = result.most_workers.max(1);
    let bar = |workers: &u32| BARS[(workers * 8).div_ceil(most).min(8) as usize];
    let of = if compared { format!(" ({})", result.config) } else { String::new() };
    writeln!(out, "{}{of}, {}", result.role, result.policy)?;
    writeln!(
        out,
        "  workers     {} at most {}",
        result.workers.iter().map(bar).collect::<String>(),
        result.most_workers
    )?;
    writeln!(
        out,
        "  in time     {:.2} % of {} jobs within {} s; in the worst ten minutes {:.1} %; 99 % within {:.0} s",
        100.0 * result.in_time,
        result.jobs,
        result.deadline,
        100.0 * result.worst_ten_minutes,
        result.p99
    )?;
    if result.hopeless > 0 {
        writeln!(out, "  hopeless    {} jobs take longer than the deadline by themselves", result.hopeless)?;
    }
    let cost = result.cost.map_or(String::new(), |cost| format!(", {cost:.2} to pay"));
    writeln!(
        out,
        "  paid        {:.1} worker-hours{cost}; {:.0} % of them worked",
        result.worker_hours,
        100.0 * result.used
    )?;
    writeln!(out, "  changes     {}; {} jobs begun anew after a kill", result.changes, result.killed)
}

/// A trace: `seconds,arrivals` for each of equally long times.
fn read(path: &Path) -> Result<Counts, Stop> {
    const FORM: &str =
        "a trace is a line of headings, then `seconds,arrivals` for each of equally long times";
    let wrong = |what: String| Stop::config(Failure::new(what, FORM));
    let text = std::fs::read_to_string(path)
        .map_err(|error| wrong(format!("{} cannot be read: {error}", path.display())))?;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate().skip(1) {
        let mut fields = line.split(',').map(str::trim);
        let seconds = fields.next().and_then(|field| field.parse::<f64>().ok());
        let arrivals = fields.next().and_then(|field| field.parse::<u32>().ok());
        match (seconds, arrivals) {
            (Some(seconds), Some(arrivals)) => lines.push((seconds, arrivals)),
            _ => return Err(wrong(format!("{}:{}: `{line}` is not understood", path.display(), index + 1))),
        }
    }
    let bin = match lines.as_slice() {
        [first, second, ..] if second.0 > first.0 => second.0 - first.0,
        _ => return Err(wrong(format!("{} has fewer than two times in order", path.display()))),
    };
    for (index, pair) in lines.windows(2).enumerate() {
        if (pair[1].0 - pair[0].0 - bin).abs() > 1e-6 * bin {
            return Err(wrong(format!(
                "{}:{}: not {bin} s after the line before",
                path.display(),
                index + 3
            )));
        }
    }
    let arrivals: Vec<u32> = lines.into_iter().map(|(_, arrivals)| arrivals).collect();
    if arrivals.iter().all(|&count| count == 0) {
        return Err(wrong(format!("nothing arrives in {}", path.display())));
    }
    Ok(Counts { bin, arrivals })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(text: &str) -> Result<Counts, Stop> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace.csv");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn a_trace_is_read() {
        let counts = trace("t,n\n0,3\n60, 0\n120,5\n").unwrap();
        assert_eq!(counts, Counts { bin: 60.0, arrivals: vec![3, 0, 5] });
    }

    #[test]
    fn what_is_no_trace_is_refused() {
        for text in [
            "",
            "t,n\n0,3\n",
            "t,n\n0,3\n60,x\n",
            "t,n\n0,3\n60,1\n90,1\n",
            "t,n\n60,3\n0,1\n",
            "t,n\n0,0\n60,0\n",
        ] {
            assert!(trace(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn every_shape_has_the_mean_that_is_asked_for() {
        for shape in [Shape::Constant, Shape::Sine, Shape::Square, Shape::Spikes] {
            let mean = (0..86_400).map(|second| shape.at(f64::from(second))).sum::<f64>() / 86_400.0;
            assert!((mean - 1.0).abs() < 1e-3, "{shape:?} {mean}");
            assert!((0..86_400).all(|second| shape.at(f64::from(second)) <= shape.highest()));
        }
    }
}
