//! The graph of a network: the .fbp language and JSON graphs, parsed, printed and compared.

mod check;
mod comment;
mod diagnostic;
mod json;
mod language;
mod model;
mod name;
mod parse;
mod print;
mod resolve;
mod span;
mod spans;
mod suggest;
mod syntax;

pub use check::{Place, Problem};
pub use comment::{Anchor, Comment};
pub use diagnostic::{Cause, Diagnostic, Error};
pub use json::{from_json, parse_json, to_json};
pub use language::{MAX_DIAGNOSTICS, MAX_INPUT, MAX_JSON_DEPTH};
pub use model::{Connection, Edge, Endpoint, ExportedPort, Graph, Group, Initial, Metadata, Process};
pub use name::{ComponentName, NodeName, PortName};
pub use parse::{Options, Parsed, parse, parse_with};
pub use print::{Loss, Printed, print, print_with_comments};
pub use span::{LineIndex, Position, Span};
pub use spans::{ConnectionSpans, EndpointSpans, NodeSpans, Spans};
pub use suggest::did_you_mean;
