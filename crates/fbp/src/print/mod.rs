//! From a graph to .fbp text.
//!
//! Laws: the text always parses (with the graph's own case sensitivity), and if nothing is lost it parses to the same
//! graph; every graph that was parsed from .fbp text is printed without loss; printing what was printed changes
//! nothing. The layout is one connection per line, nodes defined where they are first mentioned; at the end stand the annotations
//! for what the language has no words for.

mod chains;
mod loss;
mod names;
mod writer;

pub use loss::Loss;

use crate::{Comment, Graph};

/// .fbp text, and what it does not hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Printed {
    /// The text.
    pub text: String,
    /// What of the graph is not in the text; empty if it parses to the same graph.
    pub lost: Vec<Loss>,
}

/// Writes the graph as .fbp text and names everything that the language cannot hold.
///
/// ```
/// let graph = fbp::parse("'8080' -> port web(Http:x=10,y=20)->(a/Log)")?;
/// let printed = fbp::print(&graph);
/// assert_eq!(printed.text, "'8080' -> PORT web(Http:x=10,y=20)\nweb OUT -> IN _a_Log_1(a/Log)\n");
/// assert!(printed.lost.is_empty());
/// # Ok::<(), fbp::Error>(())
/// ```
pub fn print(graph: &Graph) -> Printed {
    print_with_comments(graph, &[])
}

/// As [`print()`], with comments before or behind the parts that they speak of. Those whose part is gone stand at the end.
pub fn print_with_comments(graph: &Graph, comments: &[Comment]) -> Printed {
    writer::write(graph, comments)
}
