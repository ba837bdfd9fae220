//! The graph of a network: the .fbp language and JSON graphs, parsed, printed and compared.
//!
//! A [`Graph`] is nodes that run components, connections between their ports, and the ports that the graph shows
//! outwards. It is read from .fbp text ([`parse`]) or JSON ([`from_json`]), written as either ([`print()`], [`to_json`]),
//! compared ([`diff()`]) and edited step by step ([`Graph::add_node`] and its siblings).
//!
//! Invariants:
//! - A graph that was parsed is consistent ([`Graph::check`] finds nothing), and every edit keeps it so.
//! - Every error has its place in the text and says what to do. All of them are reported at once.
//! - Nothing is lost silently: what the .fbp language has no words for (groups, negative positions, metadata of edges) goes into
//!   annotations (`# @group {…}`), what .fbp text cannot hold is listed in [`Printed::lost`], what JSON holds beyond a graph in
//!   [`Parsed::warnings`], and comments lie in [`Parsed::comments`].
//! - `parse(print(g)) == g` for every graph that the language can express, and `from_json(to_json(g)) == g` for every
//!   consistent one.
//! - Text of any kind and size is answered with a graph or an error: the limits are [`MAX_INPUT`], [`MAX_JSON_DEPTH`]
//!   and [`MAX_DIAGNOSTICS`].
//!
//! Not here: files, component libraries, what ports a component has, and the rendering of diagnostics. [`Spans`] lets
//! those who know such things point at the text, and [`did_you_mean`] helps them to suggest a name.

mod check;
mod comment;
mod diagnostic;
mod diff;
mod edit;
mod fact;
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
pub use diff::{Change, diff};
pub use edit::{Direction, EditError, RemovedNode};
pub use json::{from_json, parse_json, to_json};
pub use language::{MAX_DIAGNOSTICS, MAX_INPUT, MAX_JSON_DEPTH};
pub use model::{Connection, Edge, Endpoint, ExportedPort, Graph, Group, Initial, Metadata, Process};
pub use name::{ComponentName, NodeName, PortName};
pub use parse::{Options, Parsed, parse, parse_with};
pub use print::{Loss, Printed, print, print_with_comments};
pub use span::{LineIndex, Position, Span};
pub use spans::{ConnectionSpans, EndpointSpans, NodeSpans, Spans};
pub use suggest::did_you_mean;
