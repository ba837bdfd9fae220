//! From statements to a graph: names anonymous nodes, fills in default ports, pairs the hops of chains and notes
//! where everything stands.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::comment::{Anchor, Comment};
use crate::diagnostic::{Cause, Diagnostic};
use crate::fact::Fact;
use crate::language;
use crate::span::{LineIndex, Span};
use crate::spans::{ConnectionSpans, EndpointSpans, Spans};
use crate::syntax::{Component, Element, Export, Hop, Item, NodeRef, PortRef, Spanned};
use crate::{Connection, Edge, Endpoint, ExportedPort, Graph, Initial, Metadata, NodeName, PortName};

/// The graph that the items describe, with everything noted beside it.
pub(crate) struct Resolved {
    pub(crate) graph: Graph,
    pub(crate) spans: Spans,
    pub(crate) comments: Vec<Comment>,
    pub(crate) errors: Vec<Diagnostic>,
    pub(crate) warnings: Vec<Diagnostic>,
}

/// Puts the items together.
pub(crate) fn resolve(items: Vec<Item<'_>>, case_sensitive: bool, lines: &LineIndex<'_>) -> Resolved {
    let mut resolver = Resolver {
        graph: Graph { case_sensitive, ..Graph::default() },
        spans: Spans::default(),
        comments: Vec::new(),
        errors: Vec::new(),
        warnings: Vec::new(),
        lines,
        defined: defined(&items),
        anonymous: HashMap::new(),
        default_inport: "IN".to_owned(),
        default_outport: "OUT".to_owned(),
        alone: Vec::new(),
        facts: Vec::new(),
    };
    let mut waiting = Vec::new();
    let mut last = None;
    for item in items {
        match item {
            Item::Comment { text, trailing: false } => waiting.push(text),
            Item::Comment { text, trailing: true } => match &last {
                Some(anchor) => resolver.comment(text, anchor, true),
                None => waiting.push(text),
            },
            item => {
                let anchors = resolver.item(item);
                if let Some((first, _)) = &anchors {
                    waiting.drain(..).for_each(|text| resolver.comment(text, first, false));
                }
                last = anchors.map(|(_, last)| last);
            }
        }
    }
    waiting.into_iter().for_each(|text| resolver.comment(text, &Anchor::End, false));
    resolver.finish()
}

/// The names that are given a component somewhere.
fn defined<'t>(items: &[Item<'t>]) -> HashSet<&'t str> {
    let nodes = items.iter().flat_map(|item| {
        let (export, hops) = match item {
            Item::Inport(export) | Item::Outport(export) => (Some(&export.node), &[][..]),
            Item::Chain(hops) => (None, &hops[..]),
            _ => (None, &[][..]),
        };
        let in_chain = hops.iter().filter_map(|hop| match &hop.element {
            Element::Node(node) => Some(node),
            _ => None,
        });
        export.into_iter().chain(in_chain)
    });
    let has_component =
        |node: &&NodeRef<'t>| node.component.as_ref().is_some_and(|given| !given.name.value.is_empty());
    nodes.filter(has_component).filter_map(|node| node.name).collect()
}

struct Resolver<'t> {
    graph: Graph,
    spans: Spans,
    comments: Vec<Comment>,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    lines: &'t LineIndex<'t>,
    /// The names that are given a component somewhere.
    defined: HashSet<&'t str>,
    /// How many anonymous nodes have that base name.
    anonymous: HashMap<String, u32>,
    default_inport: String,
    default_outport: String,
    /// Nodes that a statement only names; they must be defined elsewhere.
    alone: Vec<(NodeName, Span)>,
    /// What is added when everything is there that it may speak of.
    facts: Vec<Spanned<Box<Fact>>>,
}

/// The anchors of a statement's first and last part.
type Anchors = Option<(Anchor, Anchor)>;

impl<'t> Resolver<'t> {
    fn finish(mut self) -> Resolved {
        for (node, span) in std::mem::take(&mut self.alone) {
            if !self.graph.processes.contains_key(&node) {
                Diagnostic::report(Cause::NoComponent { node }, span, self.lines, &mut self.errors);
            }
        }
        for fact in std::mem::take(&mut self.facts) {
            if !fact.value.apply(&mut self.graph) {
                Diagnostic::report(Cause::StaleAnnotation, fact.span, self.lines, &mut self.warnings);
            }
        }
        let Self { graph, spans, comments, errors, warnings, .. } = self;
        Resolved { graph, spans, comments, errors, warnings }
    }

    fn comment(&mut self, text: &str, anchor: &Anchor, trailing: bool) {
        self.comments.push(Comment { text: text.to_owned(), anchor: anchor.clone(), trailing });
    }

    fn item(&mut self, item: Item<'t>) -> Anchors {
        let anchor = match item {
            Item::Comment { .. } => return None,
            Item::Annotation { key, value } => self.annotate(key, value),
            Item::Fact(fact) => {
                self.facts.push(fact);
                return None;
            }
            Item::Inport(export) => {
                let (public, port, span) = self.export(export);
                self.graph.inports.insert(public.clone(), port);
                self.spans.inports.insert(public.clone(), span);
                Anchor::Inport(public)
            }
            Item::Outport(export) => {
                let (public, port, span) = self.export(export);
                self.graph.outports.insert(public.clone(), port);
                self.spans.outports.insert(public.clone(), span);
                Anchor::Outport(public)
            }
            Item::DefaultInport(name) => {
                self.default_inport = name.to_owned();
                return None;
            }
            Item::DefaultOutport(name) => {
                self.default_outport = name.to_owned();
                return None;
            }
            Item::Chain(hops) => return self.chain(hops),
        };
        Some((anchor.clone(), anchor))
    }

    fn annotate(&mut self, key: &str, value: &str) -> Anchor {
        let (key, value) = match key {
            "runtime" => {
                ("environment", Value::Object(Map::from_iter([("type".to_owned(), Value::from(value))])))
            }
            key => (key, Value::from(value)),
        };
        self.graph.properties.insert(key.to_owned(), value);
        Anchor::Property(key.to_owned())
    }

    fn export(&mut self, export: Export<'t>) -> (PortName, ExportedPort, Span) {
        let process = self.node(&export.node);
        let port = ExportedPort { process, port: self.port_name(export.port), metadata: Metadata::new() };
        (self.port_name(export.public), port, export.node.span)
    }

    fn port_name(&self, name: &str) -> PortName {
        if self.graph.case_sensitive {
            PortName::from(name)
        } else {
            PortName::from(name.to_ascii_lowercase())
        }
    }

    /// Pairs each hop of a chain with the next.
    fn chain(&mut self, hops: Vec<Hop<'t>>) -> Anchors {
        let first_connection = self.graph.connections.len();
        let is_alone = hops.len() == 1;
        let mut from: Option<From> = None;
        let mut only_node = None;
        for hop in hops {
            let (node, inport, outport) = match hop.element {
                Element::Packet(data) => {
                    from = Some(From::Packet(data));
                    continue;
                }
                Element::Node(node) => (node, hop.inport, hop.outport),
                Element::Either(first, second) => self.either(first, second),
            };
            let name = self.node(&node);
            let tgt = self.end(&name, node.span, inport.as_ref(), &self.default_inport);
            let src = self.end(&name, node.span, outport.as_ref(), &self.default_outport);
            match from.replace(From::Port(src.0, src.1)) {
                Some(from) => self.connect(from, tgt),
                None => {
                    if let Some(port) = inport {
                        let cause = Cause::DanglingPort { port: self.port_name(port.name) };
                        Diagnostic::report(cause, port.span, self.lines, &mut self.warnings);
                    }
                    if is_alone && node.component.is_none() {
                        self.alone.push((name.clone(), node.span));
                    }
                    only_node = Some(name);
                }
            }
        }
        let connections = &self.graph.connections[first_connection..];
        match (connections.first(), connections.last(), only_node) {
            (Some(first), Some(last), _) => Some((anchor_of(first), anchor_of(last))),
            (_, _, Some(node)) => Some((Anchor::Node(node.clone()), Anchor::Node(node))),
            _ => None,
        }
    }

    /// `-> X Y ->` is the node X with the outport Y, unless only Y is a node.
    fn either(
        &self,
        first: Spanned<&'t str>,
        second: Spanned<&'t str>,
    ) -> (NodeRef<'t>, Option<PortRef<'t>>, Option<PortRef<'t>>) {
        let node =
            |word: &Spanned<&'t str>| NodeRef { name: Some(word.value), component: None, span: word.span };
        let port = |word: &Spanned<&'t str>| Some(PortRef { name: word.value, index: None, span: word.span });
        if self.defined.contains(second.value) && !self.defined.contains(first.value) {
            (node(&second), port(&first), None)
        } else {
            (node(&first), None, port(&second))
        }
    }

    fn end(
        &self,
        process: &NodeName,
        node: Span,
        port: Option<&PortRef<'t>>,
        default: &str,
    ) -> (Endpoint, EndpointSpans) {
        let name = self.port_name(port.map_or(default, |port| port.name));
        let endpoint =
            Endpoint { process: process.clone(), port: name, index: port.and_then(|port| port.index) };
        (endpoint, EndpointSpans { node, port: port.map(|port| port.span) })
    }

    fn connect(&mut self, from: From, (tgt, tgt_span): (Endpoint, EndpointSpans)) {
        let (connection, src, data) = match from {
            From::Packet(data) => (Connection::from(Initial::new(data.value, tgt)), None, Some(data.span)),
            From::Port(src, span) => (Connection::from(Edge::new(src, tgt)), Some(span), None),
        };
        self.graph.connections.push(connection);
        self.spans.connections.push(ConnectionSpans { src, data, tgt: tgt_span });
    }

    /// The name of a node, which is defined on the way if its component is given.
    fn node(&mut self, node: &NodeRef<'t>) -> NodeName {
        let name = match (node.name, &node.component) {
            (Some(name), _) => NodeName::from(name),
            (None, component) => self.anonymous(component.as_ref().map_or("", |given| given.name.value)),
        };
        if let Some(component) = &node.component {
            self.define(&name, component, node.span);
        }
        name
    }

    fn define(&mut self, name: &NodeName, component: &Component<'t>, span: Span) {
        let metadata = component.metadata.as_ref().map(|text| self.metadata(text));
        let process = self.graph.processes.entry(name.clone()).or_default();
        let spans = self.spans.nodes.entry(name.clone()).or_default();
        if spans.name.is_empty() {
            spans.name = span;
        }
        if !component.name.value.is_empty() {
            let first = &process.component;
            if !first.as_str().is_empty() && *first != component.name.value {
                let cause = Cause::SecondComponent {
                    node: name.clone(),
                    first: first.clone(),
                    second: component.name.value.into(),
                };
                Diagnostic::report(cause, component.name.span, self.lines, &mut self.warnings);
            }
            process.component = component.name.value.into();
            spans.component = Some(component.name.span);
        }
        if let Some(metadata) = metadata {
            process.metadata = metadata;
        }
    }

    /// Names the next anonymous node of the component, past names that the text gives to others.
    fn anonymous(&mut self, component: &str) -> NodeName {
        let base = language::anonymous_base(component);
        let counter = self.anonymous.entry(base.clone()).or_default();
        loop {
            *counter += 1;
            let name = format!("{base}_{counter}");
            if !self.defined.contains(name.as_str()) {
                return NodeName::from(name);
            }
        }
    }

    fn metadata(&mut self, text: &Spanned<&str>) -> Metadata {
        let mut metadata = Metadata::new();
        for entry in text.value.split(',') {
            let (key, value) = entry.split_once('=').unwrap_or(("routes", entry));
            match language::metadata_value(key, value) {
                Some(value) => {
                    metadata.insert(key.to_owned(), value);
                }
                None => {
                    let cause = Cause::Position { key: key.to_owned(), value: value.to_owned() };
                    Diagnostic::report(cause, text.span, self.lines, &mut self.errors);
                }
            }
        }
        metadata
    }
}

/// What the next hop of a chain is fed by.
enum From {
    Packet(Spanned<Value>),
    Port(Endpoint, EndpointSpans),
}

/// How a comment names a connection.
pub(crate) fn anchor_of(connection: &Connection) -> Anchor {
    Anchor::Connection { src: connection.src().cloned(), tgt: connection.tgt().clone() }
}
