//! Comments of .fbp text. The graph does not hold them; they lie beside it, each tied to the part that it speaks of, so
//! that a graph that was edited can be printed with them.

use crate::{Endpoint, NodeName, PortName};

/// A comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// What follows the `#`, with its leading space.
    pub text: String,
    /// What it speaks of.
    pub anchor: Anchor,
    /// Whether it stands behind the statement on the same line, and not on a line before it.
    pub trailing: bool,
}

/// What a comment speaks of. Values and not positions, so that it stays true when other parts are edited.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Anchor {
    /// The annotation that sets this property.
    Property(String),
    /// The exported inport of that public name.
    Inport(PortName),
    /// The exported outport of that public name.
    Outport(PortName),
    /// The node.
    Node(NodeName),
    /// The first connection between these ends; initial packets have no source.
    Connection {
        /// Where it begins.
        src: Option<Endpoint>,
        /// Where it ends.
        tgt: Endpoint,
    },
    /// The end of the text.
    End,
}
