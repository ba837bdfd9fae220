//! How a command ends: its exit status, and what is said when it did not do what was asked.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use miette::Report;

/// What every command returns.
pub(crate) type Outcome = Result<ExitCode, Stop>;

/// Checked, and failed.
pub(crate) const FAILED: u8 = 1;
/// Something that a person has configured cannot be used.
pub(crate) const CONFIG: u8 = 78;
/// Something that should not happen.
const INTERNAL: u8 = 70;
/// Stopped by Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;

/// The end of a command that did not do what was asked.
#[derive(Debug)]
pub(crate) struct Stop {
    status: u8,
    report: Report,
}

impl Stop {
    /// Something that a person has written cannot be used.
    pub(crate) fn config(report: impl Into<Report>) -> Self {
        Self { status: CONFIG, report: report.into() }
    }

    /// What was asked for did not work.
    pub(crate) fn failed(error: impl Error + Send + Sync + 'static) -> Self {
        Self { status: FAILED, report: Report::from_err(error) }
    }

    /// The same, with what to do next.
    pub(crate) fn failed_because(failure: Failure) -> Self {
        Self { status: FAILED, report: failure.into() }
    }

    /// What should not happen.
    pub(crate) fn internal(error: impl Error + Send + Sync + 'static) -> Self {
        Self { status: INTERNAL, report: Report::from_err(error) }
    }

    /// Says what went wrong.
    pub(crate) fn report(self) -> ExitCode {
        // If even this cannot be written, there is nobody to tell.
        let _ = writeln!(io::stderr(), "{:?}", self.report);
        ExitCode::from(self.status)
    }
}

/// An error for a person: what happened, and what to do next.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    help: String,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {}

impl miette::Diagnostic for Failure {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.help))
    }
}

/// Writes data to standard output. That the reader has gone is not a failure.
pub(crate) fn write_out(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Stop::failed(error)),
        _ => Ok(()),
    }
}

/// Writes `value` as JSON to standard output.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<(), Stop> {
    let text = serde_json::to_string_pretty(value).map_err(Stop::internal)?;
    write_out(|out| writeln!(out, "{text}"))
}
