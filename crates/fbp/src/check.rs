//! What is inconsistent in a graph, wherever the graph came from.

use crate::diagnostic::Cause;
use crate::{Connection, Graph, NodeName, PortName};

/// The part of a graph that something is about; [`crate::Spans::locate`] knows where the text has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A node.
    Node(NodeName),
    /// The source of the connection with that index.
    Source(usize),
    /// The target of the connection with that index.
    Target(usize),
    /// An exported inport.
    Inport(PortName),
    /// An exported outport.
    Outport(PortName),
}

/// An inconsistency.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// What it is.
    pub cause: Cause,
    /// Where it is.
    pub place: Place,
}

impl Graph {
    /// Every inconsistency: nodes without a component, and connections and exports of nodes that do not exist.
    ///
    /// A graph that was parsed has none.
    pub fn check(&self) -> impl Iterator<Item = Problem> {
        self.check_nodes()
            .chain(self.check_inports())
            .chain(self.check_outports())
            .chain(self.check_connections())
    }

    fn has(&self, node: &NodeName) -> bool {
        self.processes.contains_key(node)
    }

    fn check_nodes(&self) -> impl Iterator<Item = Problem> {
        self.processes.iter().filter(|(_, process)| process.component.as_str().is_empty()).map(|(node, _)| {
            Problem { cause: Cause::NoComponent { node: node.clone() }, place: Place::Node(node.clone()) }
        })
    }

    fn check_inports(&self) -> impl Iterator<Item = Problem> {
        self.inports.iter().filter(|(_, export)| !self.has(&export.process)).map(|(port, export)| Problem {
            cause: Cause::InportTarget { port: port.clone(), node: export.process.clone() },
            place: Place::Inport(port.clone()),
        })
    }

    fn check_outports(&self) -> impl Iterator<Item = Problem> {
        self.outports.iter().filter(|(_, export)| !self.has(&export.process)).map(|(port, export)| Problem {
            cause: Cause::OutportSource { port: port.clone(), node: export.process.clone() },
            place: Place::Outport(port.clone()),
        })
    }

    fn check_connections(&self) -> impl Iterator<Item = Problem> {
        self.connections.iter().enumerate().flat_map(|(index, connection)| {
            let source =
                connection.as_edge().filter(|edge| !self.has(&edge.src.process)).map(|edge| Problem {
                    cause: Cause::EdgeSource {
                        to: edge.tgt.process.clone(),
                        port: edge.tgt.port.clone(),
                        node: edge.src.process.clone(),
                    },
                    place: Place::Source(index),
                });
            let node = &connection.tgt().process;
            let target = (!self.has(node)).then(|| Problem {
                cause: match connection {
                    Connection::Edge(edge) => Cause::EdgeTarget {
                        from: edge.src.process.clone(),
                        port: edge.src.port.clone(),
                        node: node.clone(),
                    },
                    Connection::Initial(initial) => {
                        Cause::InitialTarget { data: initial.data.clone(), node: node.clone() }
                    }
                },
                place: Place::Target(index),
            });
            source.into_iter().chain(target)
        })
    }
}
