//! The graphs that clients see and edit. Pure: an edit changes the graph and yields what is to be told of it.

mod edit;
mod places;

use fbp::{Direction, Graph};
use indexmap::IndexMap;
use msgflo_coordinator::{Part, PortRef, is_binding};
use serde_json::{Value, json};

use crate::protocol::{Cleared, End, Protocol, Signal};

/// The most graphs that are kept at once.
const MAX_GRAPHS: usize = 200;
/// The most nodes and connections of a graph.
const MAX_PARTS: usize = 50_000;

/// Why a request about graphs is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// The words are the protocol's.
    #[error("Requested graph not found")]
    NoGraph,
    #[error(transparent)]
    Edit(#[from] fbp::EditError),
    #[error("there may be {MAX_GRAPHS} graphs at most")]
    TooManyGraphs,
    #[error("a graph may have {MAX_PARTS} nodes and connections at most")]
    TooLarge,
}

/// A graph that clients see.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    pub(crate) graph: Graph,
    /// Whether its processes are to run.
    pub(crate) started: bool,
    /// Since when, in seconds since the Unix epoch.
    pub(crate) since: i64,
}

pub(crate) use places::{EdgePlace, Places};

/// Every graph, by its id.
#[derive(Debug, Default)]
pub(crate) struct Graphs {
    opened: IndexMap<String, Opened>,
    /// The one whose nodes are roles under their own names.
    main: Option<String>,
}

/// Where the messages of an outport are seen in a graph.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Route {
    /// On an edge.
    Edge { graph: String, src: End, tgt: End },
    /// On an exported outport.
    Export { graph: String, public: String },
}

impl Graphs {
    /// Begins with the main graph, which runs.
    pub(crate) fn with_main(id: String, graph: Graph) -> Self {
        let opened = IndexMap::from([(
            id.clone(),
            Opened { graph, started: true, since: jiff::Timestamp::now().as_second() },
        )]);
        Self { opened, main: Some(id) }
    }

    /// The id of the main graph.
    pub(crate) fn main(&self) -> Option<&str> {
        self.main.as_deref()
    }

    pub(crate) fn get(&self, id: &str) -> Result<&Opened, Error> {
        self.opened.get(id).ok_or(Error::NoGraph)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Result<&mut Opened, Error> {
        self.opened.get_mut(id).ok_or(Error::NoGraph)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Opened)> {
        self.opened.iter()
    }

    /// The graphs as parts of a network.
    pub(crate) fn parts(&self) -> Vec<Part<'_>> {
        self.opened.iter().map(|(id, opened)| self.part(id, opened)).collect()
    }

    fn part<'g>(&'g self, id: &'g str, opened: &'g Opened) -> Part<'g> {
        let scope = (self.main.as_deref() != Some(id)).then_some(id);
        Part { graph: &opened.graph, scope, started: opened.started }
    }

    /// Makes a graph, or makes an old one empty. A running main graph goes on running; any other must be started.
    pub(crate) fn clear(&mut self, cleared: &Cleared) -> Result<Vec<Signal>, Error> {
        if !self.opened.contains_key(&cleared.id) && self.opened.len() >= MAX_GRAPHS {
            return Err(Error::TooManyGraphs);
        }
        if self.main.is_none() && cleared.main == Some(true) {
            self.main = Some(cleared.id.clone());
        }
        let is_main = self.main.as_ref() == Some(&cleared.id);
        let opened = self.opened.entry(cleared.id.clone()).or_default();
        opened.started &= is_main;
        let mut payload = json!({"id": cleared.id});
        let texts = [
            ("name", &cleared.name),
            ("library", &cleared.library),
            ("icon", &cleared.icon),
            ("description", &cleared.description),
        ];
        let mut properties = std::mem::take(&mut opened.graph.properties);
        for (key, value) in texts {
            if let Some(value) = value {
                payload[key] = value.as_str().into();
                properties.insert(key.to_owned(), value.as_str().into());
            }
        }
        if let Some(main) = cleared.main {
            payload["main"] = main.into();
        }
        opened.graph = Graph { properties, ..Graph::default() };
        Ok(vec![Signal::new(Protocol::Graph, "clear", payload)])
    }

    /// The ports that a graph shows outwards.
    pub(crate) fn ports(&self, id: &str) -> Result<Signal, Error> {
        let graph = &self.get(id)?.graph;
        let ports = |direction| -> Value {
            let exported = graph.exports(direction).keys();
            exported.map(|public| json!({"id": public, "type": "all"})).collect()
        };
        let payload =
            json!({"graph": id, "inPorts": ports(Direction::In), "outPorts": ports(Direction::Out)});
        Ok(Signal::new(Protocol::Runtime, "ports", payload))
    }

    /// The participant's port behind an exported inport.
    pub(crate) fn inport(&self, id: &str, public: &str) -> Result<Option<PortRef>, Error> {
        let (key, opened) = self.opened.get_key_value(id).ok_or(Error::NoGraph)?;
        let mut inports = opened.graph.inports.iter();
        let export =
            inports.find(|(name, _)| name.as_str().eq_ignore_ascii_case(public)).map(|(_, export)| export);
        let part = self.part(key, opened);
        Ok(export.map(|export| port_of(&part, export.process.as_str(), export.port.as_str())))
    }

    /// Where the messages of each outport are seen.
    pub(crate) fn routes(&self) -> Vec<(PortRef, Route)> {
        let mut routes = Vec::new();
        for (id, opened) in &self.opened {
            let part = self.part(id, opened);
            let graph = &opened.graph;
            let is_binding = |node: &fbp::NodeName| {
                graph.processes.get(node).is_some_and(|process| is_binding(process.component.as_str()))
            };
            for edge in graph.edges() {
                let route =
                    Route::Edge { graph: id.clone(), src: (&edge.src).into(), tgt: (&edge.tgt).into() };
                if !is_binding(&edge.src.process) {
                    let port = port_of(&part, edge.src.process.as_str(), edge.src.port.as_str());
                    routes.push((port, route));
                } else if edge.src.port.as_str().eq_ignore_ascii_case("out") {
                    // What goes into a binding comes out of it.
                    for before in graph.edges().filter(|before| before.tgt.process == edge.src.process) {
                        let port = port_of(&part, before.src.process.as_str(), before.src.port.as_str());
                        routes.push((port, route.clone()));
                    }
                }
            }
            for (public, export) in &graph.outports {
                let route = Route::Export { graph: id.clone(), public: public.to_string() };
                routes.push((port_of(&part, export.process.as_str(), export.port.as_str()), route));
            }
        }
        routes
    }

    /// Where a packet to an inport is seen: the graph, and the end that it goes to.
    pub(crate) fn place(&self, target: &PortRef) -> Option<(String, End)> {
        self.opened.iter().find_map(|(id, opened)| {
            let part = self.part(id, opened);
            let initials = opened.graph.initials().map(|initial| &initial.tgt);
            let mut matching = initials.filter(|tgt| part.port(tgt) == *target);
            matching.next().map(|tgt| (id.clone(), tgt.into()))
        })
    }
}

/// A participant's port, with its name in the one form in which it is looked up.
fn port_of(part: &Part<'_>, node: &str, port: &str) -> PortRef {
    PortRef { role: part.role(node), port: port.to_ascii_lowercase().into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Command, Request};

    fn ask(graphs: &mut Graphs, command: &str, payload: Value) -> Result<Vec<Signal>, String> {
        let message = json!({"protocol": "graph", "command": command, "payload": payload}).to_string();
        match Request::decode(&message).unwrap().command {
            Command::Clear(cleared) => graphs.clear(&cleared),
            Command::Edit { graph, edit } => graphs.edit(&graph, &edit),
            other => panic!("{other:?}"),
        }
        .map_err(|error| error.to_string())
    }

    fn told(signals: &[Signal]) -> Vec<String> {
        signals.iter().map(|signal| format!("{} {}", signal.command, signal.payload)).collect()
    }

    #[test]
    fn clearing_repeats_what_was_said_and_nothing_else() {
        let mut graphs = Graphs::default();
        let payload = json!({"id": "foo", "main": true, "name": "Foo", "baseDir": "/x"});
        let signals = ask(&mut graphs, "clear", payload).unwrap();
        assert_eq!(told(&signals), [r#"clear {"id":"foo","name":"Foo","main":true}"#]);
        assert_eq!(graphs.main(), Some("foo"));
        ask(&mut graphs, "clear", json!({"id": "bar", "main": true})).unwrap();
        assert_eq!(graphs.main(), Some("foo"), "there is one main graph, the first");
    }

    #[test]
    fn a_node_goes_with_its_edges_which_are_told_first() {
        let mut graphs =
            Graphs::with_main("g".into(), fbp::parse("a(A) OUT -> IN b(B), 'x' -> IN b").unwrap());
        let signals = ask(&mut graphs, "removenode", json!({"graph": "g", "id": "b"})).unwrap();
        assert_eq!(
            told(&signals),
            [
                r#"removeedge {"src":{"node":"a","port":"out"},"tgt":{"node":"b","port":"in"},"graph":"g"}"#,
                r#"removeinitial {"src":{"data":"x"},"tgt":{"node":"b","port":"in"},"graph":"g"}"#,
                r#"removenode {"id":"b","graph":"g"}"#,
            ]
        );
    }

    #[test]
    fn metadata_are_merged_and_null_removes() {
        let mut graphs = Graphs::with_main("g".into(), fbp::parse("a(A)").unwrap());
        ask(&mut graphs, "changenode", json!({"graph": "g", "id": "a", "metadata": {"x": 1, "k": "v"}}))
            .unwrap();
        let signals =
            ask(&mut graphs, "changenode", json!({"graph": "g", "id": "a", "metadata": {"k": null, "y": 2}}));
        assert_eq!(
            told(&signals.unwrap()),
            [r#"changenode {"id":"a","metadata":{"x":1,"y":2},"graph":"g"}"#]
        );
    }

    #[test]
    fn what_is_not_there_is_an_error_and_changes_nothing() {
        let graph = fbp::parse("a(A) OUT -> IN b(B)").unwrap();
        let mut graphs = Graphs::with_main("g".into(), graph.clone());
        let edge = |node: &str| json!({"src": {"node": node, "port": "out"}, "tgt": {"node": "b", "port": "in"}, "graph": "g"});
        for (command, payload, said) in [
            ("addnode", json!({"graph": "h", "id": "c", "component": "C"}), "Requested graph not found"),
            ("addnode", json!({"graph": "g", "id": "a", "component": "C"}), "node `a` exists already"),
            ("removenode", json!({"graph": "g", "id": "c"}), "no node `c`"),
            ("addedge", edge("c"), "no node `c`"),
            ("addedge", edge("a"), "edge `a out -> in b` exists already"),
            ("addgroup", json!({"graph": "g", "name": "x", "nodes": ["zz"]}), "no node `zz`"),
            ("removeoutport", json!({"graph": "g", "public": "p"}), "no exported port `p`"),
        ] {
            assert_eq!(ask(&mut graphs, command, payload), Err(said.to_owned()), "{command}");
        }
        assert_eq!(graphs.get("g").unwrap().graph, graph);
    }

    #[test]
    fn messages_are_seen_on_every_edge_and_behind_bindings() {
        let text = "a(A) OUT -> IN rr(msgflo/RoundRobin) OUT -> IN b(B), rr DEADLETTER -> IN c(C), a OUT -> IN c\nOUTPORT=b.OUT:RESULT";
        let graphs = Graphs::with_main("g".into(), fbp::parse(text).unwrap());
        let shown: Vec<_> = graphs
            .routes()
            .into_iter()
            .map(|(port, route)| match route {
                Route::Edge { src, tgt, .. } => format!("{port}: {} -> {}", src.node, tgt.node),
                Route::Export { public, .. } => format!("{port}: {public}"),
            })
            .collect();
        assert_eq!(shown, ["a.out: a -> rr", "a.out: rr -> b", "a.out: a -> c", "b.out: result"]);
    }

    #[test]
    fn graphs_with_equal_names_do_not_meet() {
        let mut graphs = Graphs::with_main("g".into(), fbp::parse("a(A)").unwrap());
        ask(&mut graphs, "clear", json!({"id": "fixture.1"})).unwrap();
        ask(&mut graphs, "addnode", json!({"graph": "fixture.1", "id": "a", "component": "A"})).unwrap();
        let roles: Vec<_> =
            graphs.parts().iter().map(|part| (part.role("a").to_string(), part.started)).collect();
        assert_eq!(roles, [("a".to_owned(), true), ("fixture.1/a".to_owned(), false)]);
        let places = graphs.places();
        assert_eq!(places.nodes["fixture.1/a"], ("fixture.1".to_owned(), "a".to_owned()));
    }
}
