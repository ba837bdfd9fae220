//! From .fbp text to a graph.

use crate::diagnostic::{Diagnostic, Error};
use crate::language::MAX_INPUT;
use crate::resolve::resolve;
use crate::span::LineIndex;
use crate::syntax::items;
use crate::{Comment, Graph, Spans};

/// A graph with what its text says beyond it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// The graph.
    pub graph: Graph,
    /// Where its parts stand in the text.
    pub spans: Spans,
    /// The comments of the text; JSON has none.
    pub comments: Vec<Comment>,
    /// What is probably not meant, though the graph is complete without it.
    pub warnings: Vec<Diagnostic>,
}

/// How to read .fbp text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether `OUT` and `out` are different ports; otherwise ports and public names are lower-cased.
    pub case_sensitive: bool,
}

/// Reads .fbp text, with ports lower-cased.
///
/// ```
/// let graph = fbp::parse("web(Http) OUT -> IN resize(Resize)")?;
/// assert_eq!(graph.processes["web"].component, "Http");
/// assert_eq!(graph.connections[0].to_string(), "web out -> in resize");
/// # Ok::<(), fbp::Error>(())
/// ```
///
/// # Errors
/// Everything that is wrong with the text, each with its place.
pub fn parse(text: &str) -> Result<Graph, Error> {
    parse_with(text, Options::default()).map(|parsed| parsed.graph)
}

/// Reads .fbp text and keeps places, comments and warnings.
///
/// # Errors
/// Everything that is wrong with the text, each with its place. Undefined nodes are reported only when every
/// statement could be read, since the missing definition may be in one that could not.
pub fn parse_with(text: &str, options: Options) -> Result<Parsed, Error> {
    if text.len() > MAX_INPUT {
        return Err(Error::too_large());
    }
    let lines = LineIndex::new(text);
    let (items, failures) = items(text);
    Error::gather(
        failures.into_iter().map(|failure| Diagnostic::new(failure.cause, failure.span, &lines)).collect(),
    )?;
    let resolved = resolve(items, options.case_sensitive, &lines);
    let mut errors = resolved.errors;
    errors.extend(resolved.spans.diagnose(&resolved.graph, &lines));
    Error::gather(errors)?;
    let (graph, spans, mut warnings) = (resolved.graph, resolved.spans, resolved.warnings);
    warnings.extend(spans.repeated(&graph, &lines));
    Ok(Parsed { graph, spans, comments: resolved.comments, warnings })
}
