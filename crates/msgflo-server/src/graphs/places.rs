//! Where in the graphs the parts of the network are.

use std::collections::HashMap;

use msgflo_coordinator::{PortRef, is_binding};
use msgflo_core::Role;

use super::Graphs;
use crate::protocol::End;

/// An edge of a graph: the graph, its source and its target.
pub(crate) type EdgePlace = (String, End, End);

/// The parts of the network, and where they are in the graphs.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// The graph and the node of each role.
    pub(crate) nodes: HashMap<Role, (String, String)>,
    /// The edges that each connection is made of: two where it goes by way of a binding.
    pub(crate) edges: HashMap<(PortRef, PortRef), Vec<EdgePlace>>,
}

impl Graphs {
    /// Where everything is.
    pub(crate) fn places(&self) -> Places {
        let mut places = Places::default();
        for (id, opened) in &self.opened {
            let part = self.part(id, opened);
            let graph = &opened.graph;
            for node in graph.processes.keys() {
                places.nodes.insert(part.role(node.as_str()), (id.clone(), node.to_string()));
            }
            let is_binding = |node: &fbp::NodeName| {
                graph.processes.get(node).is_some_and(|process| is_binding(process.component.as_str()))
            };
            for edge in graph.edges().filter(|edge| !is_binding(&edge.src.process)) {
                let source = part.port(&edge.src);
                let first = (id.clone(), End::from(&edge.src), End::from(&edge.tgt));
                if !is_binding(&edge.tgt.process) {
                    places.edges.entry((source, part.port(&edge.tgt))).or_default().push(first);
                    continue;
                }
                for next in graph.edges().filter(|next| next.src.process == edge.tgt.process) {
                    let second = (id.clone(), End::from(&next.src), End::from(&next.tgt));
                    let both = places.edges.entry((source.clone(), part.port(&next.tgt))).or_default();
                    both.extend([first.clone(), second]);
                }
            }
        }
        places
    }
}
