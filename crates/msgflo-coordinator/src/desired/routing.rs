//! The connections between participants, with the nodes that stand for bindings resolved.

use std::collections::HashMap;
use std::fmt;

use fbp::{Endpoint, Graph, NodeName, PortName};
use msgflo_core::{Retry, Role};

use super::retry;

/// The component that stands for a round-robin binding, with the ports IN, OUT and DEADLETTER. What is refused is tried again
/// if initial packets at DELAY or RETRIES say so.
pub const ROUND_ROBIN: &str = "msgflo/RoundRobin";
/// The component that stands for a publish-subscribe binding, with the ports IN and OUT.
pub const PUB_SUB: &str = "msgflo/PubSub";

/// Whether a component is a binding and not a process.
pub fn is_binding(component: &str) -> bool {
    component == ROUND_ROBIN || component == PUB_SUB
}

/// A port of a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRef {
    /// The role.
    pub role: Role,
    /// Its port.
    pub port: msgflo_core::PortName,
}

/// As `role.PORT`.
impl fmt::Display for PortRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.role, self.port)
    }
}

/// How a connection is made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Routing {
    /// Straight from exchange to queue.
    PubSub,
    /// By way of an exchange of its own, with a place for what was refused.
    RoundRobin {
        /// Where refused messages go.
        deadletter: Option<PortRef>,
        /// How they are tried again before they go there.
        retry: Option<Retry>,
    },
    /// It cannot be, for this reason.
    Impossible(String),
}

/// A connection between two participants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connection {
    /// The outport.
    pub source: PortRef,
    /// The inport.
    pub target: PortRef,
    /// How it is made.
    pub routing: Routing,
}

impl Connection {
    /// The roles whose ports it is made of. One may come twice.
    pub(crate) fn roles(&self) -> impl Iterator<Item = &Role> {
        let deadletter = match &self.routing {
            Routing::RoundRobin { deadletter, .. } => deadletter.as_ref(),
            Routing::PubSub | Routing::Impossible(_) => None,
        };
        [&self.source, &self.target].into_iter().chain(deadletter).map(|end| &end.role)
    }
}

/// The connections between the participants of `graph`; `port` names the role of a node.
pub(super) fn connections(graph: &Graph, port: impl Fn(&Endpoint) -> PortRef) -> Vec<Connection> {
    let binding = |end: &Endpoint| {
        let component = graph.processes.get(end.process.as_str())?.component.as_str();
        is_binding(component).then_some(component)
    };
    let mut connections = Vec::new();
    for edge in graph.edges() {
        let Some(component) = binding(&edge.tgt) else {
            if binding(&edge.src).is_none() {
                let (source, target) = (port(&edge.src), port(&edge.tgt));
                connections.push(Connection { source, target, routing: Routing::PubSub });
            }
            continue;
        };
        if binding(&edge.src).is_some() {
            // A binding into a binding has no participant at either end.
            continue;
        }
        let leaving = |name: &'static str| {
            let node = &edge.tgt.process;
            graph.edges().filter(move |next| {
                let leaves = next.src.process == *node && next.src.port.as_str().eq_ignore_ascii_case(name);
                leaves && binding(&next.tgt).is_none()
            })
        };
        let routing = match component {
            ROUND_ROBIN => {
                let deadletter = leaving("deadletter").next().map(|edge| port(&edge.tgt));
                round_robin(graph, edge.tgt.process.as_str(), deadletter)
            }
            _ => Routing::PubSub,
        };
        for next in leaving("out") {
            let (source, target) = (port(&edge.src), port(&next.tgt));
            connections.push(Connection { source, target, routing: routing.clone() });
        }
    }
    refuse_contradictions(&mut connections);
    connections
}

/// What is wrong with the nodes of a graph that stand for bindings: for each the node, and what. Messages would vanish there.
pub(super) fn complaints(graph: &Graph) -> Vec<(NodeName, String)> {
    let stands =
        |node: &str| graph.processes.get(node).is_some_and(|node| is_binding(node.component.as_str()));
    let mut complaints = Vec::new();
    for (name, process) in graph.processes.iter().filter(|(name, _)| stands(name.as_str())) {
        let mut complain = |what: String| complaints.push((name.clone(), what));
        let retries = process.component.as_str() == ROUND_ROBIN;
        let (outports, packets): (&[&str], &[&str]) =
            if retries { (&["OUT", "DEADLETTER"], &["DELAY", "RETRIES"]) } else { (&["OUT"], &[]) };
        let is_known = |port: &PortName, known: &[&str]| {
            known.iter().any(|known| port.as_str().eq_ignore_ascii_case(known))
        };
        let coming: Vec<_> = graph.edges().filter(|edge| edge.tgt.process == *name).collect();
        let leaving: Vec<_> = graph.edges().filter(|edge| edge.src.process == *name).collect();
        for port in coming.iter().map(|edge| &edge.tgt.port).filter(|port| !is_known(port, &["IN"])) {
            complain(format!("`{name}` has no inport {port} for connections; it has IN"));
        }
        for port in leaving.iter().map(|edge| &edge.src.port).filter(|port| !is_known(port, outports)) {
            complain(format!("`{name}` has no outport {port}; it has {}", outports.join(" and ")));
        }
        let initials = graph.initials().filter(|initial| initial.tgt.process == *name);
        for port in initials.map(|initial| &initial.tgt.port).filter(|port| !is_known(port, packets)) {
            let has = if packets.is_empty() { "none".to_owned() } else { packets.join(" and ") };
            complain(format!("`{name}` takes no packets at {port}; it takes {has}"));
        }
        for edge in leaving.iter().filter(|edge| stands(edge.tgt.process.as_str())) {
            let other = &edge.tgt.process;
            complain(format!(
                "`{name}` and `{other}` both stand for connections: a participant must be between them"
            ));
        }
        let leads = |port: &str| leaving.iter().filter(|edge| is_known(&edge.src.port, &[port])).count();
        if !coming.is_empty() && leads("OUT") == 0 {
            complain(format!("what comes to `{name}` goes nowhere: connect its OUT"));
        }
        if leads("DEADLETTER") > 1 {
            complain(format!("`{name}` has several connections at DEADLETTER; only one is made"));
        }
        let deadletter = (leads("DEADLETTER") > 0).then(|| PortRef { role: "".into(), port: "".into() });
        if retries && let Routing::Impossible(reason) = round_robin(graph, name.as_str(), deadletter) {
            complain(reason);
        }
    }
    complaints
}

fn round_robin(graph: &Graph, node: &str, deadletter: Option<PortRef>) -> Routing {
    match retry::of(graph, node) {
        Err(reason) => Routing::Impossible(reason),
        Ok(Some(_)) if deadletter.is_none() => Routing::Impossible(format!(
            "`{node}` tries refused messages again: connect its DEADLETTER, where those go that are refused every time"
        )),
        Ok(retry) => Routing::RoundRobin { deadletter, retry },
    }
}

/// What becomes of a refused message is a matter of the queue that it was in, whoever sent it there: where messages are tried
/// again, all connections to a queue must say the same.
fn refuse_contradictions(connections: &mut [Connection]) {
    let mut retried: HashMap<PortRef, Routing> = HashMap::new();
    for Connection { target, routing, .. } in &*connections {
        if matches!(routing, Routing::RoundRobin { retry: Some(_), .. }) {
            retried.entry(target.clone()).or_insert_with(|| routing.clone());
        }
    }
    for Connection { target, routing, .. } in connections {
        let says = matches!(routing, Routing::RoundRobin { deadletter: Some(_), .. });
        if says && retried.get(target).is_some_and(|known| known != routing) {
            *routing = Routing::Impossible(format!(
                "another connection to `{target}` says otherwise what becomes of refused messages: give both the same DELAY, \
                 RETRIES and DEADLETTER"
            ));
        }
    }
}
