//! Problems with a text that a person has written, shown at their places.

use std::fmt;
use std::path::Path;

use miette::{Diagnostic, LabeledSpan, NamedSource, Report, Severity, SourceCode};

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

/// What is to be said about one text.
pub(crate) struct Problems {
    problems: Vec<Shown>,
}

#[derive(Debug)]
struct Shown {
    problem: Problem,
    severity: Severity,
    source: NamedSource<String>,
}

impl Problems {
    /// Errors of the text of `file`.
    pub(crate) fn errors(file: &Path, text: &str, problems: impl IntoIterator<Item = Problem>) -> Self {
        Self::new(file, text, problems, Severity::Error)
    }

    /// Says on standard error what is odd, though it is no reason to stop.
    pub(crate) fn warn(file: &Path, text: &str, problems: impl IntoIterator<Item = Problem>) {
        for report in Self::new(file, text, problems, Severity::Warning).reports() {
            eprintln!("{report:?}");
        }
    }

    fn new(file: &Path, text: &str, problems: impl IntoIterator<Item = Problem>, severity: Severity) -> Self {
        let name = file.display().to_string();
        let shown = |problem| shown(&name, text, problem, severity);
        Self { problems: problems.into_iter().map(shown).collect() }
    }

    /// One for each problem.
    pub(crate) fn reports(self) -> Vec<Report> {
        self.problems.into_iter().map(Report::new).collect()
    }
}

/// Bytes of a line that are shown on either side of a place, where the line is longer than anybody reads.
const BESIDE: usize = 100;

/// The problem with the text that it is shown in: all of it, or what stands around it in a line that is too long.
fn shown(name: &str, text: &str, mut problem: Problem, severity: Severity) -> Shown {
    let at = text.floor_char_boundary(problem.range.start);
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
    if end - line <= 10 * BESIDE {
        return Shown { problem, severity, source: NamedSource::new(name, text.to_owned()) };
    }
    let (number, column) = (text[..line].matches('\n').count() + 1, text[line..at].chars().count() + 1);
    let from = text.floor_char_boundary(at.saturating_sub(BESIDE)).max(line);
    let to = text.floor_char_boundary((at + BESIDE).min(end));
    problem.range = at - from..problem.range.end.clamp(at, to) - from;
    let source = NamedSource::new(format!("{name}:{number}:{column}"), text[from..to].to_owned());
    Shown { problem, severity, source }
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
