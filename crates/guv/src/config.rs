//! Loading a configuration that has a name, so that what is said about it can name its place.

use std::fmt;

use guv_model::{Checked, Config, ConfigError, Diagnostic, Environment, Severity};

use crate::sources::RabbitMq;

/// A configuration that can be run.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is to be said about it all the same: warnings, and deadlines that cannot be met.
    pub remarks: Vec<Diagnostic>,
}

/// A configuration that cannot be used, with its text, so that a program can show the places.
#[derive(Clone, Debug)]
pub struct Error {
    /// The name of the file, or what stands for it.
    pub file: String,
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub diagnostics: Vec<Diagnostic>,
}

/// `file:line:column: error: message; help`, one line each.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.diagnostics.iter().enumerate() {
            let end = if i + 1 < self.diagnostics.len() { "\n" } else { "" };
            write!(f, "{}:{diagnostic}{end}", self.file)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Reads a configuration to run it. `file` is only its name; reading the file is the caller's business.
///
/// A deadline that cannot be met does not stop a run; it is among the remarks.
///
/// # Errors
/// Everything that is wrong with it, when it cannot be run.
pub fn load(file: &str, text: &str, environment: &Environment, allowed: &[String]) -> Result<Loaded, Error> {
    let (config, remarks) =
        check(text, environment, allowed).runnable().map_err(|error| named(file, text, error))?;
    Ok(Loaded { config, remarks })
}

/// Reads a configuration to validate it: a deadline that cannot be met is an error too, and a broker that no source reads.
///
/// # Errors
/// Everything that is wrong with it, and the warnings with it.
pub fn validate(
    file: &str,
    text: &str,
    environment: &Environment,
    allowed: &[String],
) -> Result<Loaded, Error> {
    let checked = check(text, environment, allowed);
    let remarks = checked.diagnostics().to_vec();
    let config = checked.strict().map_err(|error| named(file, text, error))?;
    let unread = unread(text, &config);
    if !unread.is_empty() {
        let diagnostics = [unread, remarks].concat();
        return Err(Error { file: file.to_owned(), text: text.to_owned(), diagnostics });
    }
    Ok(Loaded { config, remarks })
}

/// Brokers that are not what the role's source reads, each once. A role without one may get it from the environment later.
fn unread(text: &str, config: &Config) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = Vec::new();
    for role in config.roles.iter().filter(|role| role.broker.is_some()) {
        let Err(reason) = RabbitMq::reads(role) else { continue };
        let place = guv_model::place_of_key(text, &role.role, "broker");
        let place = place.or_else(|| guv_model::place_of(text, &role.role)).unwrap_or_default();
        if found.iter().all(|before| before.place != place) {
            found.push(Diagnostic {
                severity: Severity::Error,
                message: format!("role `{}`: {reason}", role.role),
                label: "not a broker of RabbitMQ".to_owned(),
                help: "write amqp://user:password@host/vhost, or name the `source:` that reads it".to_owned(),
                place,
            });
        }
    }
    found
}

fn check(text: &str, environment: &Environment, allowed: &[String]) -> Checked {
    Config::parse(text, environment, allowed)
}

fn named(file: &str, text: &str, error: ConfigError) -> Error {
    Error { file: file.to_owned(), text: text.to_owned(), diagnostics: error.diagnostics }
}
