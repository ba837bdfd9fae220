//! `guv capacity`, `update-jobstats`, `workerstats` and `config schema`.

use std::collections::BTreeMap;
use std::io::{self, Read, Write as _};
use std::process::ExitCode;

use atomic_write_file::AtomicWriteFile;
use guv::model::{Config, Environment, JobStats, Severity, json_schema, update_job_stats};
use guv::tools::capacity::{by_size, capacity as capacities};
use guv::tools::workerstats::{Spread, worker_stats};
use serde::Deserialize;
use serde_json::json;

use crate::arguments::{Capacity, UpdateJobStats, WorkerStats};
use crate::outcome::{Failure, Outcome, Stop, print_json, write_out};

pub(crate) fn schema() -> Outcome {
    print_json(&json_schema())?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn capacity(options: &Capacity) -> Outcome {
    let config = options.config.load()?.config;
    let roles = capacities(&config);
    let sizes = by_size(&roles);
    if options.json {
        print_json(&json!({ "roles": roles, "sizes": sizes }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let money = |cost: Option<f64>| cost.map_or("?".to_owned(), |cost| format!("{cost:.3}"));
    write_out(|out| {
        writeln!(out, "{:<20} {:>9} {:>22} {:>21}", "role", "workers", "jobs/minute", "cost/hour")?;
        for one in &roles {
            writeln!(
                out,
                "{:<20} {:>9} {:>22} {:>21}",
                one.role,
                format!("{}–{}", one.minimum, one.maximum),
                format!("{:.1}–{:.1}", one.jobs_per_minute_minimum, one.jobs_per_minute),
                format!("{}–{}", money(one.cost_minimum), money(one.cost_maximum))
            )?;
        }
        for size in &sizes {
            writeln!(
                out,
                "{:<20} {:>9} {:>22} {:>21}",
                format!("all {}", size.size),
                format!("{}–{}", size.minimum, size.maximum),
                "",
                format!("{}–{}", money(size.cost_minimum), money(size.cost_maximum))
            )?;
        }
        io::Result::Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn workerstats(options: &WorkerStats) -> Outcome {
    let mut text = String::new();
    let read = match options.file.as_os_str() == "-" {
        true => io::stdin().read_to_string(&mut text).map(|_| ()),
        false => std::fs::read_to_string(&options.file).map(|read| text = read),
    };
    read.map_err(|error| {
        let message = format!("{} cannot be read: {error}", options.file.display());
        Stop::config(Failure::new(message, "name a log, as `heroku logs` writes it"))
    })?;
    let started = options.started.as_ref().map(|pattern| move |message: &str| pattern.is_match(message));
    let started = started.as_ref().map(|started| started as &dyn Fn(&str) -> bool);
    let stats = worker_stats(text.lines(), &options.role, started);
    if options.json {
        print_json(&stats)?;
        return Ok(ExitCode::SUCCESS);
    }
    write_out(|out| {
        writeln!(out, "{:<10} {:>6} {:>9} {:>9} {:>9}", "seconds", "count", "mean", "least", "most")?;
        for (name, spread) in [
            ("scale-up", stats.scale_up),
            ("boot", stats.boot),
            ("stop", stats.stop),
            ("uptime", stats.uptime),
        ] {
            match spread {
                Some(Spread { count, mean, least, most }) => {
                    writeln!(out, "{name:<10} {count:>6} {mean:>9.1} {least:>9.1} {most:>9.1}")?
                }
                None => writeln!(out, "{name:<10} {:>6}", 0)?,
            }
        }
        match stats.utilisation {
            Some(share) => writeln!(out, "ready for {:.1} % of the time from start to exit", 100.0 * share),
            None => Ok(()),
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Deserialize)]
struct Stats {
    average: f64,
    stddev: Option<f64>,
}

pub(crate) fn update_jobstats(options: &UpdateJobStats) -> Outcome {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map_err(Stop::failed)?;
    let wrong = |error: serde_json::Error| {
        let help = "write it as {\"role\": {\"average\": 2.5, \"stddev\": 1.2}}, in seconds";
        Stop::config(Failure::new(format!("the statistics cannot be read: {error}"), help))
    };
    let stats: BTreeMap<String, Stats> = serde_json::from_str(&text).map_err(wrong)?;
    if let Some((role, _)) =
        stats.iter().find(|(_, stats)| !(stats.average > 0.0 && stats.average.is_finite()))
    {
        let message = format!("`{role}`: the average must be above 0 seconds");
        return Err(Stop::config(Failure::new(message, "leave the role out, or correct it")));
    }
    let config = std::fs::read_to_string(&options.file).map_err(|error| {
        let message = format!("{} cannot be read: {error}", options.file.display());
        Stop::config(Failure::new(message, "name the configuration to be changed"))
    })?;
    let stats =
        stats.iter().map(|(role, s)| (role.as_str(), JobStats { average: s.average, stddev: s.stddev }));
    let (edited, unknown) = update_job_stats(&config, stats)
        .map_err(|error| Stop::config(Failure::new(error.to_string(), "correct the configuration first")))?;
    let before = errors(&config);
    if let Some(error) = errors(&edited).into_iter().find(|error| !before.contains(error)) {
        let message = format!("with these statistics {} is not valid: {error}", options.file.display());
        return Err(Stop::config(Failure::new(
            message,
            "give the role a longer `deadline` first, or leave it out",
        )));
    }
    for role in unknown {
        eprintln!("{}: there is no role `{role}`; its statistics are left out", options.file.display());
    }
    if options.stdout {
        write_out(|out| out.write_all(edited.as_bytes()))?;
    } else if edited != config {
        write_whole(&options.file, &edited).map_err(Stop::failed)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is wrong with a configuration.
fn errors(text: &str) -> Vec<String> {
    let parsed = Config::parse(text, &Environment::default(), &[]);
    let errors = parsed.diagnostics().iter().filter(|found| found.severity != Severity::Warning);
    errors.map(|found| found.message.clone()).collect()
}

/// Replaces a file at once: a crash leaves the old one or the new one, with the permissions that it had. A link stays one.
fn write_whole(path: &std::path::Path, text: &str) -> io::Result<()> {
    let mut file = AtomicWriteFile::open(path.canonicalize()?)?;
    file.write_all(text.as_bytes())?;
    file.commit()
}
