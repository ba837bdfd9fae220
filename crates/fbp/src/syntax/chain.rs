//! Connections: nodes and packets with arrows between them.

use serde_json::Value;
use winnow::Parser;
use winnow::combinator::{alt, opt, preceded, terminated};
use winnow::token::{literal, take_while};

use super::part::{bare_node, defined_node, node, port};
use super::{Input, NodeRef, Parsed, PortRef, Spanned, expect, packet, spaces};

/// One element of a chain with the ports that stand beside it.
#[derive(Debug)]
pub(crate) struct Hop<'t> {
    pub(crate) inport: Option<PortRef<'t>>,
    pub(crate) element: Element<'t>,
    pub(crate) outport: Option<PortRef<'t>>,
}

/// What an arrow connects.
#[derive(Debug)]
pub(crate) enum Element<'t> {
    /// A packet, only at the start of a chain.
    Packet(Spanned<Value>),
    /// A node.
    Node(NodeRef<'t>),
    /// Two words between two arrows, `-> X Y ->`: either the node X with the outport Y, or the inport X of the
    /// node Y. Which one is known when all nodes are.
    Either(Spanned<&'t str>, Spanned<&'t str>),
}

/// `a OUT -> IN b OUT -> IN c`, or a node alone.
///
/// What stands before an arrow is tried first. So an outport counts only if an arrow follows it; otherwise the node ends
/// its chain and the word begins the next statement.
pub(super) fn chain<'t>(input: &mut Input<'t>) -> Parsed<Vec<Hop<'t>>> {
    let mut hops = Vec::new();
    loop {
        let is_first = hops.is_empty();
        if is_first && packet::is_packet(input) {
            let element = Element::Packet(packet::packet(input)?);
            expect("`->` and the port that the packet goes to", json_space_and_arrow).parse_next(input)?;
            hops.push(Hop { inport: None, element, outport: None });
            spaces(input);
            continue;
        }
        match opt(|input: &mut Input<'t>| source(input, is_first)).parse_next(input)? {
            Some(hop) => hops.push(hop),
            None => {
                hops.push(destination(input, is_first)?);
                return Ok(hops);
            }
        }
        spaces(input);
    }
}

/// What stands before an arrow, with the arrow.
fn source<'t>(input: &mut Input<'t>, is_first: bool) -> Parsed<Hop<'t>> {
    let between_ports = (port_before, node, port_after).map(|(inport, node, outport)| Hop {
        inport: Some(inport),
        element: Element::Node(node),
        outport: Some(outport),
    });
    let defined = (opt(port_before), defined_node, opt(port_after)).map(|(inport, node, outport)| Hop {
        inport,
        element: Element::Node(node),
        outport,
    });
    let bare = (bare_node, opt(port_after)).map(move |(node, outport)| match (node.name, outport) {
        (Some(name), Some(port)) if !is_first && port.index.is_none() => {
            let (first, second) =
                (Spanned { value: name, span: node.span }, Spanned { value: port.name, span: port.span });
            Hop { inport: None, element: Element::Either(first, second), outport: None }
        }
        (_, outport) => Hop { inport: None, element: Element::Node(node), outport },
    });
    // An indexed word can only be a port, and so can one with a dot.
    let indexed = (port_before, bare_node).map(|(inport, node)| Hop {
        inport: Some(inport),
        element: Element::Node(node),
        outport: None,
    });
    alt((
        terminated(between_ports, arrow),
        terminated(defined, arrow),
        terminated(bare, arrow),
        terminated(indexed, arrow),
    ))
    .parse_next(input)
}

/// What ends a chain.
fn destination<'t>(input: &mut Input<'t>, is_first: bool) -> Parsed<Hop<'t>> {
    let what = if is_first { "a node, a packet or `INPORT=`" } else { "a port and its node, or a node" };
    let hop = |inport, node| Hop { inport, element: Element::Node(node), outport: None };
    let hop = alt((
        (port_before, node).map(move |(port, node)| hop(Some(port), node)),
        node.map(move |node| hop(None, node)),
    ));
    expect(what, hop).parse_next(input)
}

fn port_before<'t>(input: &mut Input<'t>) -> Parsed<PortRef<'t>> {
    terminated(port, take_while(1.., ' ')).parse_next(input)
}

fn port_after<'t>(input: &mut Input<'t>) -> Parsed<PortRef<'t>> {
    preceded(take_while(1.., ' '), port).parse_next(input)
}

fn arrow(input: &mut Input<'_>) -> Parsed<()> {
    (take_while(0.., ' '), literal("->")).void().parse_next(input)
}

/// Behind a packet, the white space is that of JSON.
fn json_space_and_arrow(input: &mut Input<'_>) -> Parsed<()> {
    (take_while(0.., [' ', '\t', '\n', '\r']), literal("->")).void().parse_next(input)
}
