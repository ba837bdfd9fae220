//! `guv validate`.

use std::process::ExitCode;

use guv::model::{Diagnostic, Severity, place_of, place_of_key};
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
    let loaded = match checked {
        Ok(loaded) => loaded,
        Err(error) if options.json => {
            print_json(&Findings { file: &name, valid: false, diagnostics: &error.diagnostics })?;
            return Ok(ExitCode::from(CONFIG));
        }
        Err(error) => return Err(Stop::config(Report::new(&name, &text, &error.diagnostics))),
    };
    let mut diagnostics = loaded.remarks;
    let mut sustained = true;
    for (role, rate) in &options.rate {
        if let Some(warning) = unsustained(&loaded.config, &text, role, *rate)? {
            sustained = false;
            diagnostics.push(warning);
        }
    }
    let status = if sustained { ExitCode::SUCCESS } else { ExitCode::from(FAILED) };
    if options.json {
        print_json(&Findings { file: &name, valid: true, diagnostics: &diagnostics })?;
        return Ok(status);
    }
    if !diagnostics.is_empty() {
        eprintln!("{:?}", miette::Report::new(Report::new(&name, &text, &diagnostics)));
    }
    let roles = loaded.config.roles.len();
    let plural = if roles == 1 { "" } else { "s" };
    write_out(|out| writeln!(out, "{name} is valid: {roles} role{plural}"))?;
    Ok(status)
}

/// A warning when a role cannot do so many jobs per second with all its workers.
fn unsustained(config: &Config, text: &str, role: &str, rate: f64) -> Result<Option<Diagnostic>, Stop> {
    let Some(role) = config.role(&Role::new(role)) else {
        let names: Vec<_> = config.roles.iter().map(|role| role.role.as_str()).collect();
        let help = format!("the roles are {}", names.join(", "));
        return Err(Stop::config(Failure::new(format!("--rate: there is no role `{role}`"), help)));
    };
    let most = jobs_per_second(role, role.limits.maximum);
    if rate <= most {
        return Ok(None);
    }
    let workers = (rate * role.processing.as_secs_f64() / f64::from(role.concurrency.get())).ceil();
    let place = place_of_key(text, &role.role, "maximum").or_else(|| place_of_key(text, &role.role, "max"));
    Ok(Some(Diagnostic {
        severity: Severity::Warning,
        message: format!(
            "role `{}`: {rate} jobs/s cannot be sustained: {} workers do {most:.3} jobs/s",
            role.role, role.limits.maximum
        ),
        label: "too few for that".to_owned(),
        help: format!("{workers} workers would be needed"),
        place: place.or_else(|| place_of(text, &role.role)).unwrap_or_default(),
    }))
}
