//! Where the parts of a graph stand in the text it was parsed from, for diagnostics that only a later step can make
//! ("component `imageresise/Web` is not in the library").

use std::collections::HashSet;

use indexmap::IndexMap;

use crate::check::{Place, Problem};
use crate::diagnostic::Cause;
use crate::{Connection, Diagnostic, Endpoint, LineIndex, NodeName, PortName, Span, did_you_mean};
use crate::{Graph, language};

/// The spans of a graph's parts. Parts that were added after parsing have none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spans {
    pub(crate) nodes: IndexMap<NodeName, NodeSpans>,
    pub(crate) connections: Vec<ConnectionSpans>,
    /// The nodes of exported ports, by public name.
    pub(crate) inports: IndexMap<PortName, Span>,
    pub(crate) outports: IndexMap<PortName, Span>,
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeSpans {
    /// Its name, where the node is first defined.
    pub name: Span,
    /// The component that counts (the last one given).
    pub component: Option<Span>,
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionSpans {
    /// The source, unless the connection is an initial packet.
    pub src: Option<EndpointSpans>,
    /// The packet's content, if it is one.
    pub data: Option<Span>,
    /// The target.
    pub tgt: EndpointSpans,
}

/// Where one end of a connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointSpans {
    /// The node.
    pub node: Span,
    /// The port, if it was written.
    pub port: Option<Span>,
}

impl EndpointSpans {
    /// The port, or the node where the port was left out.
    pub fn port_or_node(&self) -> Span {
        self.port.unwrap_or(self.node)
    }
}

impl Spans {
    /// Where that node stands.
    pub fn node(&self, name: &str) -> Option<&NodeSpans> {
        self.nodes.get(name)
    }

    /// Where the component of that node stands.
    pub fn component(&self, node: &str) -> Option<Span> {
        self.node(node)?.component
    }

    /// Where the connection with that index in [`Graph::connections`] stands.
    pub fn connection(&self, index: usize) -> Option<&ConnectionSpans> {
        self.connections.get(index)
    }

    /// Where a part of the graph stands; for an exported port, where its node does.
    pub fn locate(&self, place: &Place) -> Option<Span> {
        match place {
            Place::Node(name) => self.node(name.as_str()).map(|node| node.name),
            Place::Source(index) => self.connection(*index)?.src.map(|src| src.node),
            Place::Target(index) => self.connection(*index).map(|connection| connection.tgt.node),
            Place::Inport(port) => self.inports.get(port).copied(),
            Place::Outport(port) => self.outports.get(port).copied(),
        }
    }

    /// The connections that the text makes again, whatever the case of their ports.
    pub(crate) fn repeated(&self, graph: &Graph, lines: &LineIndex<'_>) -> Vec<Diagnostic> {
        let mut seen = HashSet::new();
        let again = graph.connections.iter().enumerate().filter(|(_, connection)| {
            let Some(edge) = connection.as_edge() else { return false };
            let end =
                |end: &Endpoint| (end.process.clone(), end.port.as_str().to_ascii_lowercase(), end.index);
            !seen.insert((end(&edge.src), end(&edge.tgt)))
        });
        let diagnose = |(index, connection): (usize, &Connection)| {
            let span = self.locate(&Place::Source(index)).unwrap_or_default();
            Diagnostic::new(Cause::Repeated { connection: connection.to_string() }, span, lines)
        };
        again.take(language::MAX_DIAGNOSTICS).map(diagnose).collect()
    }

    /// The graph's inconsistencies as diagnostics of the text.
    pub(crate) fn diagnose(&self, graph: &Graph, lines: &LineIndex<'_>) -> Vec<Diagnostic> {
        let diagnose = |Problem { cause, place }| {
            let span = self.locate(&place).unwrap_or_default();
            let known = graph.processes.iter().filter(|(_, process)| !process.component.as_str().is_empty());
            let near = cause
                .undefined_node()
                .and_then(|node| did_you_mean(node.as_str(), known.map(|(name, _)| name.as_str())))
                .map(str::to_owned);
            let mut diagnostic = Diagnostic::new(cause, span, lines);
            if let Some(near) = near {
                diagnostic.help = Some(format!("did you mean `{near}`?"));
            }
            diagnostic
        };
        graph.check().take(language::MAX_DIAGNOSTICS).map(diagnose).collect()
    }
}
