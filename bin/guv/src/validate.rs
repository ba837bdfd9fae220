//! `guv validate`.

use std::process::ExitCode;

use guv::model::Diagnostic;
use guv::tools::capacity::jobs_per_second;
use guv::{Config, Role};
use serde::Serialize;

use crate::arguments::Validate;
use crate::configuration::{Report, Text, environment};
use crate::outcome::{CONFIG, FAILED, Failure, Outcome, Stop, print_json, write_out};

/// What is written with `--json`.
#[derive(Serialize)]
struct Findings<'a> {
    file: &'a str,
    valid: bool,
    diagnostics: &'a [Diagnostic],
}

pub(crate) fn validate(options: &Validate) -> Outcome {
    let Text { name, text } = options.config.read()?;
    let checked = guv::config::validate(&name, &text, &environment()?, &options.config.allow_key);
    let (valid, diagnostics) = match &checked {
        Ok(loaded) => (true, &loaded.remarks),
        Err(error) => (false, &error.diagnostics),
    };
    if options.json {
        print_json(&Findings { file: &name, valid, diagnostics })?;
        return Ok(if valid { ExitCode::SUCCESS } else { ExitCode::from(CONFIG) });
    }
    let report = Report::new(&name, &text, diagnostics);
    let loaded = match checked {
        Ok(loaded) => loaded,
        Err(_) => return Err(Stop::config(report)),
    };
    if !loaded.remarks.is_empty() {
        eprintln!("{:?}", miette::Report::new(report));
    }
    let mut sustained = true;
    for (name, rate) in &options.rate {
        sustained &= sustains(&loaded.config, name, *rate)?;
    }
    let roles = loaded.config.roles.len();
    let plural = if roles == 1 { "" } else { "s" };
    write_out(|out| writeln!(out, "{name} is valid: {roles} role{plural}"))?;
    Ok(if sustained { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// Whether a role can do so many jobs per second with all its workers; warns if not.
fn sustains(config: &Config, role: &str, rate: f64) -> Result<bool, Stop> {
    let Some(role) = config.role(&Role::new(role)) else {
        let names: Vec<_> = config.roles.iter().map(|role| role.role.as_str()).collect();
        let help = format!("the roles are {}", names.join(", "));
        return Err(Stop::config(Failure::new(format!("--rate: there is no role `{role}`"), help)));
    };
    let most = jobs_per_second(role, role.limits.maximum);
    if rate <= most {
        return Ok(true);
    }
    let workers = (rate * role.processing.as_secs_f64() / f64::from(role.concurrency.get())).ceil();
    eprintln!(
        "role `{}`: {rate} jobs/s cannot be sustained: {} workers do {most:.3} jobs/s; {workers} would be needed",
        role.role, role.limits.maximum
    );
    Ok(false)
}
