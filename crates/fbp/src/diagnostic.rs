//! What is wrong with a text, and where. The library states facts; a binary renders them.

use std::fmt;

use serde_json::Value;

use crate::language::{MAX_DIAGNOSTICS, MAX_INPUT};
use crate::{ComponentName, LineIndex, NodeName, PortName, Position, Span};

/// A text that is not a graph: every diagnostic that was found, in the order of the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    diagnostics: Vec<Diagnostic>,
}

impl Error {
    /// What is wrong; never empty.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Gathers diagnostics in the order of the text.
    ///
    /// Without any the text is fine, and that is no error.
    pub(crate) fn gather(mut diagnostics: Vec<Diagnostic>) -> Result<(), Self> {
        if diagnostics.is_empty() {
            return Ok(());
        }
        diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
        // One place is wrong once, even if two edges suffer from it.
        diagnostics.dedup_by(|next, first| next.span == first.span);
        diagnostics.truncate(MAX_DIAGNOSTICS);
        Err(Self { diagnostics })
    }

    pub(crate) fn too_large() -> Self {
        let start = Position { line: 1, column: 1 };
        let diagnostic =
            Diagnostic { cause: Cause::TooLarge, span: Span::default(), position: start, help: None };
        Self { diagnostics: vec![diagnostic] }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.diagnostics.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// One thing that is wrong, or that is probably not meant.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// What it is.
    pub cause: Cause,
    /// The part of the text that it is about.
    pub span: Span,
    /// Where that part begins.
    pub position: Position,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    pub(crate) fn new(cause: Cause, span: Span, lines: &LineIndex<'_>) -> Self {
        let help = cause.help();
        Self { cause, span, position: lines.position(span.start), help }
    }

    /// Notes it, unless there are more than anybody reads.
    pub(crate) fn report(cause: Cause, span: Span, lines: &LineIndex<'_>, to: &mut Vec<Self>) {
        if to.len() < MAX_DIAGNOSTICS {
            to.push(Self::new(cause, span, lines));
        }
    }

    /// A few words to write beside the part of the text.
    pub fn label(&self) -> &'static str {
        self.cause.label()
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.position.line, self.position.column, self.cause)
    }
}

/// Why a text is not a graph.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The text is longer than [`MAX_INPUT`].
    #[error("The text is longer than {MAX_INPUT} bytes")]
    TooLarge,
    /// Something else was expected.
    #[error("Expected {expected}, found {}", Found(*found))]
    Unexpected {
        /// What could stand there.
        expected: &'static str,
        /// What stands there; nothing at the end of the text.
        found: Option<char>,
    },
    /// A packet's text has no closing quote.
    #[error("The text of this packet is not closed")]
    UnclosedText,
    /// Not JSON.
    #[error("Invalid JSON: {0}")]
    Json(String),
    /// `EXPORT=`, which the language had once.
    #[error("`EXPORT=` is no longer part of the language")]
    Export,
    /// The index of a port does not fit.
    #[error("The index of this port is larger than {}", u32::MAX)]
    IndexTooLarge,
    /// `x` or `y` of a node is not a number.
    #[error("The position `{key}={value}` is not a number")]
    Position {
        /// `x` or `y`.
        key: String,
        /// What was written.
        value: String,
    },
    /// A node is mentioned, but nothing says what it runs.
    #[error("Node \"{node}\" does not have a component defined")]
    NoComponent {
        /// The node.
        node: NodeName,
    },
    /// An inport leads nowhere.
    #[error("Inport \"{port}\" is connected to an undefined target node \"{node}\"")]
    InportTarget {
        /// The public name.
        port: PortName,
        /// The node that does not exist.
        node: NodeName,
    },
    /// An outport comes from nowhere.
    #[error("Outport \"{port}\" is connected to an undefined source node \"{node}\"")]
    OutportSource {
        /// The public name.
        port: PortName,
        /// The node that does not exist.
        node: NodeName,
    },
    /// An edge leads nowhere.
    #[error("Edge from \"{from}\" port \"{port}\" is connected to an undefined target node \"{node}\"")]
    EdgeTarget {
        /// The node where the edge begins.
        from: NodeName,
        /// The port where it begins.
        port: PortName,
        /// The node that does not exist.
        node: NodeName,
    },
    /// An edge comes from nowhere.
    #[error("Edge to \"{to}\" port \"{port}\" is connected to an undefined source node \"{node}\"")]
    EdgeSource {
        /// The node where the edge ends.
        to: NodeName,
        /// The port where it ends.
        port: PortName,
        /// The node that does not exist.
        node: NodeName,
    },
    /// An initial packet leads nowhere.
    #[error("IIP containing \"{}\" is connected to an undefined target node \"{node}\"", Content(data))]
    InitialTarget {
        /// The packet's content.
        data: Value,
        /// The node that does not exist.
        node: NodeName,
    },
    /// A port is written where no connection is: a warning, as the graph is complete without it.
    #[error("Port \"{port}\" is not part of a connection")]
    DanglingPort {
        /// The port.
        port: PortName,
    },
    /// A node is given a second component: a warning, as the last one counts.
    #[error("Node \"{node}\" has two components: `{first}`, and `{second}` here")]
    SecondComponent {
        /// The node.
        node: NodeName,
        /// The component that it was given before.
        first: ComponentName,
        /// The component that it is given now.
        second: ComponentName,
    },
    /// A connection is made twice: a warning, as there is one of it.
    #[error("The connection {connection} is there already")]
    Repeated {
        /// The connection.
        connection: String,
    },
    /// An annotation speaks of something that is not there: a warning, as the graph is complete without it.
    #[error("This annotation is about something that is not in the graph, and is left out")]
    StaleAnnotation,
    /// A JSON graph has something else in that place.
    #[error("{path} must be {expected}")]
    Shape {
        /// The place: `connections[2].tgt`.
        path: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// A JSON graph lacks something.
    #[error("{path} lacks `{key}`")]
    MissingKey {
        /// The place: `connections[2].tgt`.
        path: String,
        /// What belongs there.
        key: &'static str,
    },
    /// A JSON graph has a key that means nothing: a warning, as the graph is complete without it.
    #[error("{path} has the unknown key `{key}`, which is left out")]
    UnknownKey {
        /// The place: `connections[2].tgt`.
        path: String,
        /// The key.
        key: String,
    },
}

impl Cause {
    /// The node that the cause is about and that does not exist.
    pub fn undefined_node(&self) -> Option<&NodeName> {
        match self {
            Self::NoComponent { node }
            | Self::InportTarget { node, .. }
            | Self::OutportSource { node, .. }
            | Self::EdgeTarget { node, .. }
            | Self::EdgeSource { node, .. }
            | Self::InitialTarget { node, .. } => Some(node),
            _ => None,
        }
    }

    /// Whether one part of the text denies another: the graph is complete, but what is meant is not known.
    pub fn is_contradiction(&self) -> bool {
        matches!(self, Self::SecondComponent { .. })
    }

    fn label(&self) -> &'static str {
        match self {
            Self::TooLarge => "too large",
            Self::Unexpected { .. } => "unexpected",
            Self::UnclosedText => "opened here",
            Self::Json(_) => "not JSON",
            Self::Export => "removed from the language",
            Self::IndexTooLarge => "too large",
            Self::Position { .. } => "not a number",
            Self::NoComponent { .. } => "no component",
            Self::InportTarget { .. }
            | Self::OutportSource { .. }
            | Self::EdgeTarget { .. }
            | Self::EdgeSource { .. }
            | Self::InitialTarget { .. } => "undefined node",
            Self::DanglingPort { .. } => "not connected",
            Self::SecondComponent { .. } => "another component",
            Self::Repeated { .. } => "once more",
            Self::StaleAnnotation => "about nothing",
            Self::Shape { .. } => "of another kind",
            Self::MissingKey { .. } => "incomplete",
            Self::UnknownKey { .. } => "unknown key",
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::Unexpected { found: Some('\t'), .. } => "white space is spaces; replace the tab".to_owned(),
            Self::Unexpected { found: Some(','), .. } => "one comma ends a statement, and only after it".to_owned(),
            Self::Unexpected { found: Some('.'), .. } => {
                "names of nodes are letters, digits, `_` and `-`; components may also have `/`; only ports have dots"
                    .to_owned()
            }
            Self::Unexpected { found: Some('"'), .. } => "text packets are written 'like this'".to_owned(),
            Self::UnclosedText => "close it with `'`; a quote inside is written `\\'`".to_owned(),
            Self::Export => {
                "write `INPORT=node.PORT:NAME` or `OUTPORT=node.PORT:NAME`, as the port is an inport or an outport"
                    .to_owned()
            }
            Self::Position { .. } => "positions are whole numbers, as in `x=120,y=40`".to_owned(),
            Self::NoComponent { node } => format!("say what it runs: `{node}(library/Component)`"),
            Self::UnknownKey { key, .. } if key == "exports" => {
                "old graphs have `exports`; name the ports in `inports` and `outports`".to_owned()
            }
            Self::StaleAnnotation => "correct the names in it, or remove it".to_owned(),
            Self::SecondComponent { node, .. } => {
                format!("name the component once, and the node alone elsewhere: `{node}`; or give this node another name")
            }
            Self::Repeated { .. } => "remove one of them; the case of ports does not matter".to_owned(),
            Self::DanglingPort { .. } => "a port stands between an arrow and its node".to_owned(),
            _ => match self.undefined_node() {
                Some(node) => format!("define it once with its component: `{node}(library/Component)`"),
                None => return None,
            },
        };
        Some(help)
    }
}

/// What stands in the text instead of what was expected.
struct Found(Option<char>);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("the end of the text"),
            Some('\t') => f.write_str("a tab"),
            Some(character) if crate::span::is_newline(character) => f.write_str("the end of the line"),
            Some(character) => write!(f, "`{}`", character.escape_debug()),
        }
    }
}

/// A packet's content as people wrote it: text without quotes.
struct Content<'a>(&'a Value);

impl fmt::Display for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(text) => f.write_str(text),
            other => other.fmt(f),
        }
    }
}
