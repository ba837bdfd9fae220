//! What is to be said about a configuration, and where.

use std::fmt;
use std::ops::Range;

use serde::Serialize;

use super::keys;
use super::tree::SyntaxError;

/// A place in the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// First byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl Place {
    /// The bytes covered.
    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// A deadline that cannot be met: wrong, and a validation fails on it, but the role can run as well as it may.
    OutOfReach,
    /// Probably not what was meant.
    Warning,
}

/// One thing to say about a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, on one line; names the role and the key.
    pub message: String,
    /// A few words for the marked place.
    pub label: String,
    /// What to do next.
    pub help: String,
    /// Where.
    #[serde(flatten)]
    pub place: Place,
}

/// `line:column: severity: message; help`, on one line; the file's name is the caller's.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error | Severity::OutOfReach => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}:{}: {severity}: {}; {}", self.place.line, self.place.column, self.message, self.help)
    }
}

/// A configuration that cannot be used as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// All that was found, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.diagnostics.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Collects diagnostics while a configuration is read.
pub(super) struct Diagnostics<'t> {
    text: &'t str,
    found: Vec<Diagnostic>,
}

impl<'t> Diagnostics<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, found: Vec::new() }
    }

    pub(super) fn error(
        &mut self,
        place: Place,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Severity::Error, place, message, label, help);
    }

    pub(super) fn push(
        &mut self,
        severity: Severity,
        place: Place,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.found.push(Diagnostic {
            severity,
            message: message.into(),
            label: label.into(),
            help: help.into(),
            place,
        });
    }

    /// Text that is not YAML. A missing space after a colon is the usual reason, and the parser's message does
    /// not say so; therefore the lines around are searched for it.
    pub(super) fn syntax(&mut self, error: SyntaxError) {
        let read_so_far = self.text.lines().take(error.place.line.max(1) as usize);
        let suspect = read_so_far
            .enumerate()
            .filter_map(|(i, line)| keys::without_space(line).map(|(key, value)| (i + 1, key, value)))
            .last();
        let help = match suspect {
            Some((line, key, value)) => {
                format!("a space is missing after the colon in line {line}: write `{key}: {}`", value.trim())
            }
            None => "the file must be YAML (or JSON): `role: {key: value, …}`".to_owned(),
        };
        self.error(error.place, format!("this is not YAML: {}", error.message), "here", help);
    }

    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|d| d.place);
        together(self.found)
    }
}

/// What is said at one place of several roles, which have it from `*`, is said once.
fn together(found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut told: Vec<(Diagnostic, Vec<String>)> = Vec::new();
    for diagnostic in found {
        let Some((role, said)) = of_role(&diagnostic.message) else {
            told.push((diagnostic, Vec::new()));
            continue;
        };
        let same = |(before, _): &&mut (Diagnostic, Vec<String>)| {
            before.place == diagnostic.place
                && before.help == diagnostic.help
                && of_role(&before.message).is_some_and(|(_, before)| before == said)
        };
        match told.iter_mut().find(same) {
            Some((_, roles)) => roles.push(role.to_owned()),
            None => {
                let roles = vec![role.to_owned()];
                told.push((diagnostic, roles));
            }
        }
    }
    told.into_iter()
        .map(|(mut diagnostic, roles)| {
            if let (Some((_, said)), [_, _, ..]) = (of_role(&diagnostic.message), &*roles) {
                diagnostic.message = format!("roles `{}`: {said}", roles.join("`, `"));
            }
            diagnostic
        })
        .collect()
}

/// The role that a message begins with, and what it says of it.
fn of_role(message: &str) -> Option<(&str, &str)> {
    message.strip_prefix("role `")?.split_once("`: ")
}
