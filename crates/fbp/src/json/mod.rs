//! The JSON form of graphs (flowbased/fbp `schema/graph.json`), both ways.

mod decode;
mod raw;

use crate::{Error, Graph, Parsed};

/// Reads a JSON graph.
///
/// # Errors
/// Everything that is wrong with the text, each with its place.
pub fn from_json(text: &str) -> Result<Graph, Error> {
    parse_json(text).map(|parsed| parsed.graph)
}

/// Reads a JSON graph and keeps places and warnings. Names stay as they are written; keys that mean nothing, such as the
/// `exports` and `tests` of old files, are left out with a warning.
///
/// # Errors
/// Everything that is wrong with the text, each with its place.
pub fn parse_json(text: &str) -> Result<Parsed, Error> {
    decode::decode(text)
}

/// Writes the graph as JSON, indented, in the graph's own order, with a line end.
///
/// ```
/// let graph = fbp::parse("a(A) -> b(B)")?;
/// assert_eq!(fbp::from_json(&fbp::to_json(&graph))?, graph);
/// # Ok::<(), fbp::Error>(())
/// ```
pub fn to_json(graph: &Graph) -> String {
    let mut text =
        serde_json::to_string_pretty(graph).expect("writing to memory, with keys that are text, cannot fail");
    text.push('\n');
    text
}
