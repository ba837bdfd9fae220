//! `guv simulate`: a configuration tried on traffic, before it is switched on.

mod picture;
mod traffic;

use std::io;
use std::path::Path;
use std::process::ExitCode;

use guv::config::Loaded;
use guv::model::simulation::{
    Boot, Outcome as Run, Platform, Scaler, Score, Watch, Workload, simulate as run,
};
use guv::model::{Part, RoleConfig};
use serde::Serialize;

use crate::arguments::{ConfigArguments, Simulate};
use crate::outcome::{Failure, Outcome, Stop, print_json, write_out};
use crate::simulated::{Kept, Recorded};

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
    /// Seconds within which 99 % were done; `null` where they were not, by the end.
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

pub(crate) async fn simulate(options: Simulate) -> Outcome {
    let others = options.compare.iter().map(|file| ConfigArguments {
        file: Some(file.clone()),
        config: None,
        file_flag: None,
        allow_key: options.config.allow_key.clone(),
    });
    let (mut results, mut panels) = (Vec::new(), Vec::new());
    let kept = options.history.as_deref().map(Kept::open).transpose()?;
    for arguments in std::iter::once(options.config.clone()).chain(others) {
        let name = arguments.path().map_or_else(|| "-".to_owned(), |path| path.display().to_string());
        let loaded = arguments.load()?;
        for role in chosen(&loaded, options.role.as_deref(), &name)? {
            let jobs = traffic::workload(role, &options)?;
            let mut scaler = Recorded::new(role.clone(), loaded.config.window(), jobs.length);
            let (trial, run) = tried(role, &loaded, &name, &jobs, &mut scaler, &options);
            if options.picture.is_some() {
                panels.push(picture::Panel::of(&trial, &run, &jobs));
            }
            results.push(trial);
            if let Some(kept) = &kept {
                kept.keep(scaler).await?;
            }
        }
    }
    if let Some(path) = &options.picture {
        draw(path, &panels)?;
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

fn draw(path: &Path, panels: &[picture::Panel]) -> Result<(), Stop> {
    picture::draw(path, panels).map_err(|error| {
        let what = format!("{} cannot be drawn: {error}", path.display());
        Stop::failed(Failure::new(what, "choose a file that can be written, such as simulation.svg"))
    })
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

/// How soon after a change a source that watches its queues tells of it, seconds.
const REACTION: f64 = 0.25;

fn tried(
    role: &RoleConfig,
    loaded: &Loaded,
    name: &str,
    jobs: &Workload,
    scaler: &mut dyn Scaler,
    options: &Simulate,
) -> (Trial, Run) {
    let Simulate { polls_only, seed, .. } = *options;
    let boot = role.boot.as_secs_f64();
    let platform = Platform {
        concurrency: role.concurrency.get(),
        // As large platforms do: some start a little sooner, some half as late again.
        boot: Boot { median: boot, spread: 0.12, least: boot * 0.85, most: boot * 1.5 },
        grace: role.grace.as_secs_f64(),
        ..Platform::default()
    };
    let is_watched = !polls_only && role.source.as_ref().is_none_or(Part::is_watched);
    let watch = Watch {
        interval: loaded.config.poll_interval.as_secs_f64(),
        reaction: is_watched.then_some(REACTION),
        ..Watch::default()
    };
    let run = run(jobs, &platform, &watch, scaler, role.limits.minimum, seed);
    let deadline = role.deadline.as_secs_f64();
    let score: Score = run.score(jobs, deadline, 0.0);
    let trial = Trial {
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
    };
    (trial, run)
}

/// How many columns the picture has.
const COLUMNS: usize = 72;

fn columns(run: &Run, length: f64) -> Vec<u32> {
    let mut columns = vec![None; COLUMNS];
    let mut at_last = [None; COLUMNS];
    for point in &run.points {
        let column = ((point.at / length * COLUMNS as f64) as usize).min(COLUMNS - 1);
        columns[column] = columns[column].max(Some(point.workers));
        at_last[column] = Some(point.workers);
    }
    // Where nobody looked, it was as before.
    let first = run.points.first().map_or(0, |point| point.workers);
    let carried = columns.into_iter().zip(at_last).scan(first, |before, (most, last)| {
        let shown = most.unwrap_or(*before);
        *before = last.unwrap_or(*before);
        Some(shown)
    });
    carried.collect()
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
        "  in time     {:.2} % of {} jobs within {} s; in the worst ten minutes {:.1} %; 99 % {}",
        100.0 * result.in_time,
        result.jobs,
        result.deadline,
        100.0 * result.worst_ten_minutes,
        if result.p99.is_finite() {
            format!("within {:.0} s", result.p99)
        } else {
            "not by the end".to_owned()
        }
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
