//! The order of statements, their layout and their comments.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;

use indexmap::{IndexMap, IndexSet};

use super::chains::{self, Anonymous};
use super::names::Unwritten;
use super::{Loss, Printed, names};
use crate::comment::{Anchor, Comment};
use crate::fact::{EdgeFact, End, ExportFact, Fact, NodeFact, PacketFact, PropertyFact};
use crate::resolve::anchor_of;
use crate::syntax::annotation;
use crate::{Connection, Endpoint, ExportedPort, Graph, Group, NodeName, PortName};

/// Writes everything.
pub(super) fn write(graph: &Graph, comments: &[Comment]) -> Printed {
    let mut writer = Writer::new(graph, comments);
    writer.properties();
    writer.section();
    let exports = writer.exports();
    let chains = writer.chains();
    writer.body(exports, chains);
    writer.rest();
    writer.facts();
    writer.finish()
}

struct Writer<'g> {
    graph: &'g Graph,
    text: String,
    lost: Vec<Loss>,
    ports_lost: IndexSet<(PortName, String)>,
    /// The names of nodes that cannot be written by their own.
    renamed: HashMap<&'g NodeName, String>,
    given: names::Given,
    anonymous: Anonymous<'g>,
    /// The anonymous nodes that nothing mentions and that have not been written.
    alone: VecDeque<&'g NodeName>,
    /// Nodes that have been defined.
    defined: HashSet<&'g NodeName>,
    /// The first node, in the graph's order, that may not have been defined.
    next: usize,
    /// The comments that wait for their part.
    comments: IndexMap<&'g Anchor, Vec<&'g Comment>>,
    /// Entries of nodes' metadata that have no place where the nodes are defined.
    unwritten: Vec<(&'g NodeName, Vec<Unwritten>)>,
    /// The annotations that will stand at the end.
    facts: Vec<String>,
    /// Whether a blank line is due before the next statement.
    gap: bool,
}

/// An exported port that is to be written.
struct Export<'g> {
    keyword: &'static str,
    public: String,
    export: &'g ExportedPort,
    anchor: Anchor,
}

impl<'g> Writer<'g> {
    fn new(graph: &'g Graph, comments: &'g [Comment]) -> Self {
        let mut waiting: IndexMap<&Anchor, Vec<&Comment>> = IndexMap::new();
        for comment in comments {
            waiting.entry(&comment.anchor).or_default().push(comment);
        }
        let (anonymous, alone) = Anonymous::find(graph);
        Self {
            graph,
            text: String::new(),
            lost: Vec::new(),
            ports_lost: IndexSet::new(),
            renamed: HashMap::new(),
            given: names::Given::default(),
            anonymous,
            alone,
            defined: HashSet::new(),
            next: 0,
            comments: waiting,
            unwritten: Vec::new(),
            facts: Vec::new(),
            gap: false,
        }
    }

    fn properties(&mut self) {
        for (key, value) in &self.graph.properties {
            let (annotation, says_all) = names::annotation(key, value);
            if let Some((written, text)) = annotation {
                self.statement(format!("# @{written} {text}"), &[Anchor::Property(key.clone())]);
            }
            if !says_all {
                let fact = Fact::Property(PropertyFact { key: key.clone(), value: value.clone() });
                self.fact(&fact, [Loss::Property { key: key.clone() }]);
            }
        }
    }

    /// The exported ports that can be written.
    fn exports(&mut self) -> Vec<Export<'g>> {
        let graph = self.graph;
        let inports = graph
            .inports
            .iter()
            .map(|(public, export)| ("INPORT", Anchor::Inport as fn(_) -> _, public, export));
        let outports = graph
            .outports
            .iter()
            .map(|(public, export)| ("OUTPORT", Anchor::Outport as fn(_) -> _, public, export));
        let mut given: HashMap<&str, names::Given> = HashMap::new();
        let mut exports = Vec::new();
        for (keyword, anchor, public, export) in inports.chain(outports) {
            if !graph.processes.contains_key(&export.process) {
                self.lost.push(Loss::Export { public: public.clone() });
                continue;
            }
            let given = given.entry(keyword).or_default();
            let written = names::public(public, graph.case_sensitive, given, &mut self.ports_lost);
            if !export.metadata.is_empty() {
                let fact = ExportFact { public: written.clone(), metadata: export.metadata.clone() };
                let fact = if keyword == "INPORT" { Fact::Inport(fact) } else { Fact::Outport(fact) };
                self.fact(&fact, [Loss::ExportMetadata { public: public.clone() }]);
            }
            exports.push(Export { keyword, public: written, export, anchor: anchor(public.clone()) });
        }
        exports
    }

    /// The connections that can be written, in chains.
    fn chains(&mut self) -> Vec<Vec<&'g Connection>> {
        let graph = self.graph;
        let chains = chains::chains(graph, &self.anonymous);
        let whole = chains.into_iter().map(|range: Range<usize>| graph.connections[range].iter());
        let mut writable = Vec::new();
        for chain in whole {
            let mut run = Vec::new();
            for connection in chain {
                match self.unwritable(connection) {
                    None => run.push(connection),
                    Some(loss) => {
                        self.lost.push(loss);
                        writable.push(std::mem::take(&mut run));
                    }
                }
            }
            writable.push(run);
        }
        writable.retain(|chain| !chain.is_empty());
        writable
    }

    fn unwritable(&self, connection: &Connection) -> Option<Loss> {
        let is_defined = |end: &Endpoint| self.graph.processes.contains_key(&end.process);
        if !is_defined(connection.tgt()) || !connection.src().is_none_or(is_defined) {
            return Some(Loss::Connection(connection.clone()));
        }
        let initial = connection.as_initial()?;
        names::packet(&initial.data).is_none().then(|| Loss::Packet(connection.clone()))
    }

    /// Writes the exports and the chains. Those with anonymous nodes wait until their turn in the counting; if nothing
    /// else is left, these nodes get names.
    fn body(&mut self, mut exports: Vec<Export<'g>>, chains: Vec<Vec<&'g Connection>>) {
        let mut chains = chains.into_iter().peekable();
        let mut exports_open = true;
        loop {
            let before = self.text.len();
            exports.retain(|export| {
                let ready = self.anonymous.can_write(std::iter::once(&export.export.process));
                if ready {
                    self.export(export);
                }
                !ready
            });
            if std::mem::take(&mut exports_open) {
                self.section();
            }
            while let Some(chain) = chains.next_if(|chain| self.anonymous.can_write(chains::nodes(chain))) {
                self.chain(&chain);
            }
            if self.text.len() > before || self.alone() {
                continue;
            }
            let blocked: Vec<&NodeName> = match (chains.peek(), exports.first()) {
                (Some(chain), _) => chains::nodes(chain).collect(),
                (None, Some(export)) => vec![&export.export.process],
                (None, None) => return,
            };
            blocked.into_iter().for_each(|node| self.anonymous.give_up(node));
        }
    }

    /// Writes the first of the anonymous nodes that stand alone and whose turn it is.
    fn alone(&mut self) -> bool {
        let ready = self.alone.iter().position(|node| self.anonymous.can_write(std::iter::once(*node)));
        let Some(index) = ready else { return false };
        let Some(node) = self.alone.remove(index) else { return false };
        self.define(node);
        true
    }

    /// Writes the nodes and the comments that nothing mentioned.
    fn rest(&mut self) {
        let graph = self.graph;
        let undefined = |node: &&NodeName| self.anonymous.contains(node) && !self.defined.contains(node);
        let undefined = graph.processes.keys().filter(undefined).collect();
        self.alone = self.anonymous.by_number(undefined);
        // From the start, for nodes that lost their own place.
        self.next = 0;
        self.define_up_to(graph.processes.len());
        while self.alone() {}
        for node in std::mem::take(&mut self.alone) {
            self.anonymous.give_up(node);
            self.define(node);
        }
        self.section();
        for (_, comments) in std::mem::take(&mut self.comments) {
            for comment in comments {
                self.comment(&comment.text);
            }
        }
    }

    /// Notes an annotation, or that these are lost.
    fn fact(&mut self, fact: &Fact, lost: impl IntoIterator<Item = Loss>) {
        match fact.print() {
            Some(line) => self.facts.push(line),
            None => self.lost.extend(lost),
        }
    }

    /// Writes what the language has no words for.
    fn facts(&mut self) {
        let graph = self.graph;
        for (node, unwritten) in std::mem::take(&mut self.unwritten) {
            let metadata = unwritten.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect();
            let fact = Fact::Node(NodeFact { node: self.known_as(node), metadata });
            let lost = unwritten.into_iter().map(|Unwritten { key, value, written }| Loss::NodeMetadata {
                node: node.clone(),
                key,
                value,
                written,
            });
            self.fact(&fact, lost);
        }
        let mut same: HashMap<(Option<End>, End), usize> = HashMap::new();
        for connection in &graph.connections {
            if self.unwritable(connection).is_some() {
                continue;
            }
            let (src, tgt) = (connection.src().map(|src| self.end(src)), self.end(connection.tgt()));
            let nth = same.entry((src.clone(), tgt.clone())).or_default();
            let nth = std::mem::replace(nth, *nth + 1);
            let metadata = connection.metadata().clone();
            if metadata.is_empty() {
                continue;
            }
            let fact = match src {
                Some(src) => Fact::Edge(EdgeFact { src, tgt, nth, metadata }),
                None => Fact::Packet(PacketFact { tgt, nth, metadata }),
            };
            self.fact(&fact, [Loss::ConnectionMetadata(connection.clone())]);
        }
        for group in &graph.groups {
            let nodes = group.nodes.iter().map(|node| self.known_as(node).into()).collect();
            let written = Group { name: group.name.clone(), nodes, metadata: group.metadata.clone() };
            self.fact(&Fact::Group(written), [Loss::Group(group.clone())]);
        }
        self.section();
        for line in std::mem::take(&mut self.facts) {
            self.blank_line();
            self.text.push_str(&line);
            self.text.push('\n');
        }
    }

    /// The name that the node has when the text is read.
    fn known_as(&mut self, node: &'g NodeName) -> String {
        let is_there = self.graph.processes.contains_key(node);
        if is_there && !self.anonymous.contains(node) { self.name(node) } else { node.to_string() }
    }

    fn end(&mut self, end: &'g Endpoint) -> End {
        let port = names::port(&end.port, self.graph.case_sensitive, &mut self.ports_lost);
        End { node: self.known_as(&end.process), port, index: end.index }
    }

    fn finish(mut self) -> Printed {
        let graph = self.graph;
        self.lost.extend(self.ports_lost.into_iter().map(|(port, written)| Loss::Port { port, written }));
        if graph.case_sensitive {
            self.lost.push(Loss::CaseSensitive);
        }
        Printed { text: self.text, lost: self.lost }
    }

    fn export(&mut self, Export { keyword, public, export, anchor }: &Export<'g>) {
        let mut anchors = vec![anchor.clone()];
        // A named node is defined elsewhere; an anonymous one can only be defined here.
        let node = if self.anonymous.contains(&export.process) {
            self.mention(&export.process, &mut anchors)
        } else {
            self.name(&export.process)
        };
        let port = names::port(&export.port, self.graph.case_sensitive, &mut self.ports_lost);
        self.statement(format!("{keyword}={node}.{port}:{public}"), &anchors);
    }

    fn chain(&mut self, chain: &[&'g Connection]) {
        self.define_before(chain);
        let mut anchors: Vec<Anchor> = chain.iter().map(|connection| anchor_of(connection)).collect();
        let mut line = String::new();
        for (index, connection) in chain.iter().enumerate() {
            match connection {
                Connection::Initial(initial) => {
                    // `unwritable` has left out the packets that have no text.
                    line.push_str(&names::packet(&initial.data).unwrap_or_default());
                }
                Connection::Edge(edge) => {
                    if index == 0 {
                        line.push_str(&self.mention(&edge.src.process, &mut anchors));
                    }
                    line.push(' ');
                    line.push_str(&self.port(&edge.src));
                }
            }
            let tgt = connection.tgt();
            let (port, node) = (self.port(tgt), self.mention(&tgt.process, &mut anchors));
            line.push_str(&format!(" -> {port} {node}"));
        }
        self.statement(line, &anchors);
    }

    fn port(&mut self, end: &Endpoint) -> String {
        let port = names::port(&end.port, self.graph.case_sensitive, &mut self.ports_lost);
        end.index.map_or(port.clone(), |index| format!("{port}[{index}]"))
    }

    /// Defines nodes until those that the chain itself defines are next in the graph's order, so that the text keeps
    /// that order.
    fn define_before(&mut self, chain: &[&'g Connection]) {
        loop {
            self.skip_defined();
            let mut rest =
                (self.next..).map_while(|index| self.graph.processes.get_index(index)).map(|(node, _)| node);
            let mut defined_here = HashSet::new();
            let mut in_order = true;
            for node in chains::nodes(chain) {
                if self.is_defined_elsewhere(node) || !defined_here.insert(node) {
                    continue;
                }
                in_order &= rest.find(|next| !self.is_defined_elsewhere(next)) == Some(node);
            }
            // A node that lost its own place may come late; then no order is left to keep.
            if in_order || self.next >= self.graph.processes.len() {
                return;
            }
            self.define_up_to(self.next + 1);
        }
    }

    /// Whether the node need not be defined where it is mentioned next. Anonymous nodes have a place of their own.
    fn is_defined_elsewhere(&self, node: &NodeName) -> bool {
        self.defined.contains(node) || self.anonymous.contains(node)
    }

    fn skip_defined(&mut self) {
        let is_skipped = |(node, _): (&NodeName, _)| self.is_defined_elsewhere(node);
        let skipped =
            (self.next..).take_while(|index| self.graph.processes.get_index(*index).is_some_and(is_skipped));
        self.next += skipped.count();
    }

    fn define_up_to(&mut self, end: usize) {
        while self.next < end {
            let Some((node, _)) = self.graph.processes.get_index(self.next) else { return };
            self.next += 1;
            if !self.is_defined_elsewhere(node) {
                self.define(node);
            }
        }
    }

    /// Writes a statement that only defines the node.
    fn define(&mut self, node: &'g NodeName) {
        let mut anchors = Vec::new();
        let line = self.mention(node, &mut anchors);
        self.statement(line, &anchors);
    }

    /// The node's name, with its component where it is first mentioned.
    fn mention(&mut self, node: &'g NodeName, anchors: &mut Vec<Anchor>) -> String {
        if !self.defined.insert(node) {
            return self.name(node);
        }
        anchors.push(Anchor::Node(node.clone()));
        let Some(process) = self.graph.processes.get(node) else { return self.name(node) };
        let component = names::component(node, &process.component, &mut self.lost);
        let (metadata, unwritten) = names::metadata(&process.metadata);
        if !unwritten.is_empty() {
            self.unwritten.push((node, unwritten));
        }
        let name = if self.anonymous.contains(node) { String::new() } else { self.name(node) };
        self.anonymous.wrote(node);
        let colon = if metadata.is_empty() { "" } else { ":" };
        format!("{name}({component}{colon}{metadata})")
    }

    /// The name by which the node is written.
    fn name(&mut self, node: &'g NodeName) -> String {
        if crate::language::is_node_name(node.as_str()) {
            return node.as_str().to_owned();
        }
        if let Some(name) = self.renamed.get(node) {
            return name.clone();
        }
        let name = names::node(node, self.graph, &mut self.given);
        self.lost.push(Loss::NodeName { node: node.clone(), written: name.clone() });
        self.renamed.insert(node, name.clone());
        name
    }

    /// Begins a new section: a blank line comes before its first statement.
    fn section(&mut self) {
        self.gap = !self.text.is_empty();
    }

    fn statement(&mut self, line: String, anchors: &[Anchor]) {
        let comments = anchors.iter().filter_map(|anchor| self.comments.shift_remove(anchor));
        let (mut trailing, mut before): (Vec<&Comment>, Vec<&Comment>) =
            comments.flatten().partition(|comment| comment.trailing && !line.starts_with('#'));
        // Only one fits behind the statement.
        before.extend(trailing.drain(1.min(trailing.len())..));
        if !before.is_empty() && !self.text.is_empty() {
            self.gap = true;
        }
        before.into_iter().for_each(|comment| self.comment(&comment.text));
        self.blank_line();
        self.text.push_str(&line);
        if let Some(comment) = trailing.first() {
            self.text.push_str(" #");
            self.text.push_str(&comment.text);
        }
        self.text.push('\n');
    }

    fn comment(&mut self, text: &str) {
        self.blank_line();
        for line in text.split(crate::span::is_newline) {
            let line = format!("#{line}");
            // In column 0 it would be an annotation.
            let indent = if annotation(&line).is_some() || Fact::parse(&line).is_some() { " " } else { "" };
            self.text.push_str(indent);
            self.text.push_str(&line);
            self.text.push('\n');
        }
    }

    fn blank_line(&mut self) {
        if std::mem::take(&mut self.gap) {
            self.text.push('\n');
        }
    }
}
