//! `guv validate`.

use std::process::ExitCode;

use guv::model::Diagnostic;
use serde::Serialize;

use crate::arguments::Validate;
use crate::configuration::{Report, Text, environment};
use crate::outcome::{CONFIG, Outcome, Stop, print_json, write_out};

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
    let roles = loaded.config.roles.len();
    let plural = if roles == 1 { "" } else { "s" };
    write_out(|out| writeln!(out, "{name} is valid: {roles} role{plural}"))?;
    Ok(ExitCode::SUCCESS)
}
