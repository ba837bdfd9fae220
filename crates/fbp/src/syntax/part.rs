//! Nodes, components and ports.

use winnow::Parser;
use winnow::combinator::{alt, opt};
use winnow::error::{ErrMode, ParserError};
use winnow::stream::Location;
use winnow::token::{literal, take_while};

use super::{Failure, Input, Parsed, Spanned, expect, skip};
use crate::diagnostic::Cause;
use crate::language;
use crate::span::Span;

/// A node as a statement mentions it.
#[derive(Clone, Debug)]
pub(crate) struct NodeRef<'t> {
    /// Its name; nodes without one are named after their component.
    pub(crate) name: Option<&'t str>,
    /// What the parentheses say; none refer back to the node's definition.
    pub(crate) component: Option<Component<'t>>,
    /// The name, or the parentheses of a node without one.
    pub(crate) span: Span,
}

/// The parentheses behind a node's name.
#[derive(Clone, Debug)]
pub(crate) struct Component<'t> {
    /// The component; empty refers back to the node's definition.
    pub(crate) name: Spanned<&'t str>,
    /// What follows the colon.
    pub(crate) metadata: Option<Spanned<&'t str>>,
}

/// A port of a node.
#[derive(Clone, Debug)]
pub(crate) struct PortRef<'t> {
    pub(crate) name: &'t str,
    pub(crate) index: Option<u32>,
    pub(crate) span: Span,
}

/// `name(Component:meta)`, `name()`, `name` or `(Component:meta)`.
pub(super) fn node<'t>(input: &mut Input<'t>) -> Parsed<NodeRef<'t>> {
    alt((defined_node, bare_node)).parse_next(input)
}

/// A node with parentheses.
pub(super) fn defined_node<'t>(input: &mut Input<'t>) -> Parsed<NodeRef<'t>> {
    let ((name, component), whole) = (opt(node_name.with_span()), component).with_span().parse_next(input)?;
    Ok(match name {
        Some((name, span)) => NodeRef { name: Some(name), component: Some(component), span: span.into() },
        None => NodeRef { name: None, component: Some(component), span: whole.into() },
    })
}

/// A node that is only named.
pub(super) fn bare_node<'t>(input: &mut Input<'t>) -> Parsed<NodeRef<'t>> {
    let (name, span) = node_name.with_span().parse_next(input)?;
    Ok(NodeRef { name: Some(name), component: None, span: span.into() })
}

/// A minus that begins an arrow is not part of the name.
fn node_name<'t>(input: &mut Input<'t>) -> Parsed<&'t str> {
    let text: &'t str = input;
    let end = text.find(|character| !language::is_node_character(character)).unwrap_or(text.len());
    let end = if text[end..].starts_with('>') { text[..end].trim_end_matches('-').len() } else { end };
    if !language::is_node_name(&text[..end]) {
        return Err(ErrMode::from_input(input));
    }
    skip(input, end);
    Ok(&text[..end])
}

pub(super) fn port_name<'t>(input: &mut Input<'t>) -> Parsed<&'t str> {
    (take_while(1, language::is_name_start), take_while(0.., language::is_port_character))
        .take()
        .parse_next(input)
}

/// `PORT` or `PORT[2]`.
pub(super) fn port<'t>(input: &mut Input<'t>) -> Parsed<PortRef<'t>> {
    let start = input.current_token_start();
    let name = port_name(input)?;
    let index = if input.starts_with('[') { Some(index(input)?) } else { None };
    Ok(PortRef { name, index, span: Span { start, end: input.previous_token_end() } })
}

fn index(input: &mut Input<'_>) -> Parsed<u32> {
    skip(input, 1);
    let digits = take_while(1.., |character: char| character.is_ascii_digit()).with_span();
    let (digits, span) = expect("the index of the port", digits).parse_next(input)?;
    expect("`]`", literal("]")).parse_next(input)?;
    let digits: &str = digits;
    digits
        .parse()
        .map_err(|_too_large| ErrMode::Cut(Failure { cause: Cause::IndexTooLarge, span: span.into() }))
}

fn component<'t>(input: &mut Input<'t>) -> Parsed<Component<'t>> {
    literal("(").parse_next(input)?;
    let (name, span) = take_while(0.., language::is_component_character).with_span().parse_next(input)?;
    let name = Spanned { value: name, span: span.into() };
    let metadata = if input.starts_with(':') {
        skip(input, 1);
        let characters = take_while(1.., language::is_metadata_character).with_span();
        let (value, span) = expect("metadata such as `x=120,y=40`", characters).parse_next(input)?;
        Some(Spanned { value, span: span.into() })
    } else {
        None
    };
    let closing =
        if metadata.is_some() { "more metadata or `)`" } else { "more of the component's name, `:` or `)`" };
    expect(closing, literal(")")).parse_next(input)?;
    Ok(Component { name, metadata })
}
