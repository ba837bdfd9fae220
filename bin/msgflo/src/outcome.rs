//! How a command ends: its exit status, and what is said when it did not do what was asked.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use miette::Report;

use crate::located::Problems;

/// What every command returns.
pub(crate) type Outcome = Result<ExitCode, Stop>;

/// Checked, and failed.
const FAILED: u8 = 1;
/// Something that a person has configured cannot be used.
const CONFIG: u8 = 78;
/// Something that should not happen.
const INTERNAL: u8 = 70;
/// Stopped by Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;

/// The end of a command that did not do what was asked.
#[derive(Debug)]
pub(crate) struct Stop {
    status: u8,
    reports: Vec<Report>,
}

impl Stop {
    /// Something that a person has written cannot be used.
    pub(crate) fn config(report: impl Into<Report>) -> Self {
        Self { status: CONFIG, reports: vec![report.into()] }
    }

    /// A text that a person has written cannot be used, for each of these reasons.
    pub(crate) fn problems(problems: Problems) -> Self {
        Self { status: CONFIG, reports: problems.reports() }
    }

    /// What was asked for was not there, or did not work.
    pub(crate) fn failed(error: impl Into<Failure>) -> Self {
        Self { status: FAILED, reports: vec![error.into().into()] }
    }

    /// What should not happen.
    pub(crate) fn internal(error: impl Into<Failure>) -> Self {
        Self { status: INTERNAL, reports: vec![error.into().into()] }
    }

    /// What went wrong, for programs: each with its place, counted from 1, where it has one.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let problem = |report: &Report| {
            let place = || {
                let span = *report.labels()?.next()?.inner();
                let contents = report.source_code()?.read_span(&span, 0, 0).ok()?;
                Some((contents.line() + 1, contents.column() + 1))
            };
            let (line, column) = place().unzip();
            serde_json::json!({
                "message": report.to_string(),
                "help": report.help().map(|help| help.to_string()),
                "line": line,
                "column": column,
            })
        };
        self.reports.iter().map(problem).collect()
    }

    /// With what status the program ends.
    pub(crate) fn status(&self) -> ExitCode {
        ExitCode::from(self.status)
    }

    /// Says what went wrong.
    pub(crate) fn report(self) -> ExitCode {
        for report in self.reports {
            // If even this cannot be written, there is nobody to tell.
            let _ = writeln!(io::stderr(), "{report:?}");
        }
        ExitCode::from(self.status)
    }
}

/// What went wrong, on one line.
impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said: Vec<_> = self.reports.iter().map(ToString::to_string).collect();
        f.write_str(&said.join("; "))
    }
}

/// An error for a person: what happened, why, and what to do next.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    help: Option<String>,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    /// Adds what to do next.
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl miette::Diagnostic for Failure {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }
}

/// An error with all that caused it. What repeats its cause, as errors of some libraries do, is said once.
pub(crate) fn because(error: &dyn std::error::Error) -> Failure {
    let causes = std::iter::successors(error.source(), |error| error.source());
    Failure::new(causes.map(ToString::to_string).fold(error.to_string(), |text, cause| {
        if text.ends_with(&cause) { text } else { format!("{text}: {cause}") }
    }))
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        because(&error)
    }
}

impl From<msgflo_coordinator::Error> for Stop {
    fn from(error: msgflo_coordinator::Error) -> Self {
        Self::failed(because(&error))
    }
}

/// What the broker refuses for good is a matter of configuration; the rest may work another time.
impl From<msgflo_core::Error> for Stop {
    fn from(error: msgflo_core::Error) -> Self {
        use msgflo_core::Error as E;
        let failure = because(&error);
        match &error {
            E::InvalidUrl { .. } | E::UnknownScheme { .. } => Self::config(failure.help(
                "say --broker amqp://user:password@host:port/vhost; for `msgflo run` also embedded: or embedded+mqtt:",
            )),
            E::AccessRefused { .. } => Self::config(
                failure.help("check the user, the password and the vhost in --broker or MSGFLO_BROKER"),
            ),
            E::Unreachable { .. } => Self::failed(
                failure.help("check that it runs there, and the host and port in --broker or MSGFLO_BROKER"),
            ),
            E::NotFound { .. } => Self::failed(
                failure.help("check the name, and that the participant that makes it has started"),
            ),
            E::Ledger { path, .. } => {
                let help = format!(
                    "repair the file, or move it away: `mv {path} {path}.broken`; our bindings in the broker are then not known as ours"
                );
                Self::config(failure.help(help))
            }
            _ => Self::failed(failure),
        }
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

/// Writes a line of data to standard output.
pub(crate) fn print(line: impl fmt::Display) -> Result<(), Stop> {
    write_out(|out| writeln!(out, "{line}"))
}

/// Writes `value` as JSON to standard output.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<(), Stop> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Stop::internal(because(&error)))?;
    print(text)
}
