//! Problems with a text that a person has written, shown at their places.

use std::fmt;
use std::path::Path;

use miette::{Diagnostic, LabeledSpan, NamedSource, Severity, SourceCode};

/// One thing to say about a text.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) message: String,
    /// A few words beside the place.
    pub(crate) label: String,
    pub(crate) help: Option<String>,
    /// The bytes that it is about.
    pub(crate) range: std::ops::Range<usize>,
}

/// Everything that is wrong with one text.
#[derive(Debug)]
pub(crate) struct Problems {
    summary: String,
    problems: Vec<Shown>,
}

#[derive(Debug)]
struct Shown {
    problem: Problem,
    severity: Severity,
    source: NamedSource<String>,
}

impl Problems {
    /// Errors of the text of `file`; `what` is said of it as a whole, as in "is not a graph".
    pub(crate) fn new(file: &Path, text: &str, what: &str, problems: Vec<Problem>) -> Self {
        Self::with_severity(file, text, what, problems, Severity::Error)
    }

    fn with_severity(
        file: &Path,
        text: &str,
        what: &str,
        problems: Vec<Problem>,
        severity: Severity,
    ) -> Self {
        let name = file.display().to_string();
        let shown = |problem| Shown { problem, severity, source: NamedSource::new(&name, text.to_owned()) };
        Self { summary: format!("{name} {what}"), problems: problems.into_iter().map(shown).collect() }
    }

    /// Says on standard error what is wrong, though it is no reason to stop.
    pub(crate) fn warn(file: &Path, text: &str, problems: Vec<Problem>) {
        let shown = Self::with_severity(file, text, "", problems, Severity::Warning);
        for problem in shown.problems {
            eprintln!("{:?}", miette::Report::new(problem));
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary)
    }
}

impl std::error::Error for Problems {}

impl Diagnostic for Problems {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.problems.iter().map(|problem| problem as &dyn Diagnostic)))
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Shown {}

impl Diagnostic for Shown {
    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = Some(self.problem.label.clone());
        let span = LabeledSpan::new_with_span(label, self.problem.range.clone());
        Some(Box::new(std::iter::once(span)))
    }
}
