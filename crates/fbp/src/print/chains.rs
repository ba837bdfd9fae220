//! Which connections must be written as one chain, and which nodes must stay anonymous.
//!
//! The name of an anonymous node may be one that the language cannot write (`(a-b/C)` is named `_a_b/C_1`). Such a node
//! can only be written as it was: without a name, once, as the n-th of its base name. Then its incoming and its
//! outgoing connection meet there and are one chain.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use crate::language;
use crate::{Connection, Graph, NodeName};

/// Nodes that can be written without a name.
#[derive(Default)]
pub(super) struct Anonymous<'g> {
    /// Base name and number of each.
    candidates: HashMap<&'g NodeName, (String, u64)>,
    /// How many of each base name have been written.
    written: HashMap<String, u64>,
}

impl<'g> Anonymous<'g> {
    /// Finds the nodes that have a name which cannot be written, but which the language gives to an anonymous node.
    ///
    /// The second value lists those that nothing mentions.
    pub(super) fn find(graph: &'g Graph) -> (Self, VecDeque<&'g NodeName>) {
        let mut candidates = HashMap::new();
        for (name, process) in &graph.processes {
            let component = process.component.as_str();
            if language::is_node_name(name.as_str()) || !language::is_component_name(component) {
                continue;
            }
            let base = language::anonymous_base(component);
            let number = name.as_str().strip_prefix(&base).and_then(|rest| rest.strip_prefix('_'));
            let Some(number) = number.and_then(|digits| digits.parse::<u64>().ok()) else { continue };
            if number > 0 && name.as_str() == format!("{base}_{number}") {
                candidates.insert(name, (base, number));
            }
        }
        let mut anonymous = Self { candidates, written: HashMap::new() };
        if anonymous.candidates.is_empty() {
            return (anonymous, VecDeque::new());
        }
        let uses = uses(graph);
        // Such a node is written once: alone, in one export, or at one place of one chain.
        anonymous.candidates.retain(|name, _| uses.get(name).is_none_or(Uses::is_one_place));
        let alone = |name: &&NodeName| anonymous.contains(name) && !uses.contains_key(name);
        let alone = anonymous.by_number(graph.processes.keys().filter(alone).collect());
        (anonymous, alone)
    }

    /// The nodes in an order in which they can be written, if they can: the graph's, but lower numbers first.
    pub(super) fn by_number(&self, mut nodes: Vec<&'g NodeName>) -> VecDeque<&'g NodeName> {
        nodes.sort_by_key(|node| self.candidates.get(node).map(|(_, number)| *number));
        nodes.into()
    }

    /// Whether the node is written without a name.
    pub(super) fn contains(&self, node: &NodeName) -> bool {
        self.candidates.contains_key(node)
    }

    /// Whether these nodes, of which some may be anonymous, can be written now, in this order.
    pub(super) fn can_write<'n>(&self, nodes: impl Iterator<Item = &'n NodeName>) -> bool {
        let mut ahead: HashMap<&str, u64> = HashMap::new();
        nodes.filter_map(|node| self.candidates.get(node)).all(|(base, number)| {
            let ahead = ahead.entry(base).or_default();
            *ahead += 1;
            *number == self.written.get(base).copied().unwrap_or_default() + *ahead
        })
    }

    /// Notes that the node has been written.
    pub(super) fn wrote(&mut self, node: &NodeName) {
        if let Some((base, number)) = self.candidates.get(node) {
            self.written.insert(base.clone(), *number);
        }
    }

    /// The node gets a name after all.
    pub(super) fn give_up(&mut self, node: &NodeName) {
        self.candidates.remove(node);
    }
}

fn uses(graph: &Graph) -> HashMap<&NodeName, Uses> {
    let mut uses: HashMap<&NodeName, Uses> = HashMap::new();
    for export in graph.inports.values().chain(graph.outports.values()) {
        uses.entry(&export.process).or_default().exports += 1;
    }
    for (index, connection) in graph.connections.iter().enumerate() {
        if let Some(src) = connection.src() {
            uses.entry(&src.process).or_default().sources.push(index);
        }
        uses.entry(&connection.tgt().process).or_default().targets.push(index);
    }
    uses
}

/// Where a node is mentioned.
#[derive(Default)]
struct Uses {
    exports: usize,
    sources: Vec<usize>,
    targets: Vec<usize>,
}

impl Uses {
    fn is_one_place(&self) -> bool {
        match (self.exports, &self.targets[..], &self.sources[..]) {
            (1, [], []) | (0, [_], []) | (0, [], [_]) => true,
            (0, [target], [source]) => *source == target + 1,
            _ => false,
        }
    }
}

/// Splits the connections into chains: one each, but longer where anonymous nodes join them.
pub(super) fn chains(graph: &Graph, anonymous: &Anonymous<'_>) -> Vec<Range<usize>> {
    let mut chains: Vec<Range<usize>> = Vec::new();
    for (index, connection) in graph.connections.iter().enumerate() {
        let joins = |node: &NodeName| {
            connection.src().is_some_and(|src| src.process == *node) && anonymous.contains(node)
        };
        match chains.last_mut() {
            Some(chain) if joins(&graph.connections[index - 1].tgt().process) => chain.end = index + 1,
            _ => chains.push(index..index + 1),
        }
    }
    chains
}

/// The nodes of a chain, in order.
pub(super) fn nodes<'g>(chain: &[&'g Connection]) -> impl Iterator<Item = &'g NodeName> {
    let first = chain.first().and_then(|connection| connection.src()).map(|src| &src.process);
    first.into_iter().chain(chain.iter().map(|connection| &connection.tgt().process))
}
