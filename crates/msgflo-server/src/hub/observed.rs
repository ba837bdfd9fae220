//! What is observed of the network, told to clients.

use std::collections::HashMap;
use std::time::Instant;

use msgflo_coordinator::{EdgeState, NodeState, NodeStatus, Origin, Packet, PortRef, Status};
use msgflo_core::Message;
use serde_json::{Value, json};

use super::{Hub, STATE};
use crate::graphs::{EdgePlace, Route};
use crate::payload;
use crate::protocol::{Capability, End, Protocol, Signal};

/// How many nodes, and how many edges, clients are told of at once: a queue must hold it. The others follow.
const NEWS: usize = 500;

impl Hub {
    /// A packet is being sent to an inport.
    pub(super) fn packet_sent(&mut self, packet: &Packet) {
        if packet.origin == Origin::Initial
            && let Some((graph, tgt)) = self.graphs.place(&packet.target)
        {
            let id = format!("DATA -> {} {}()", tgt.port.to_uppercase(), tgt.node);
            let data = payload::shown(&packet.message);
            let payload = json!({"id": id, "graph": graph, "tgt": Value::from(&tgt), "data": data});
            let signal = Signal::new(Protocol::Network, "data", payload);
            self.record(&graph, &signal);
            self.tell_others(None, &signal);
        }
    }

    /// A packet could not be sent.
    pub(super) fn packet_returned(&mut self, packet: &Packet, reason: &str) {
        let protocol = match packet.origin {
            Origin::Initial => Protocol::Network,
            Origin::Sent => Protocol::Runtime,
        };
        let message = format!("a packet for `{}` could not be sent: {reason}", packet.target);
        self.tell_others(None, &Signal::error(protocol, message));
    }

    /// An outport that is watched has sent a message.
    pub(super) fn message_seen(&mut self, port: &PortRef, message: &Message) {
        let Some(routes) = self.routes.get(port).cloned() else { return };
        let now = Instant::now();
        let mut data = None;
        for route in routes {
            match route {
                Route::Edge { graph, src, tgt } => {
                    self.edge_carried(&graph, &src, &tgt, message, &mut data, now)
                }
                Route::Export { graph, public } => self.port_sent(&graph, &public, message, &mut data, now),
            }
        }
    }

    fn edge_carried(
        &mut self,
        graph: &str,
        src: &End,
        tgt: &End,
        message: &Message,
        data: &mut Option<Value>,
        now: Instant,
    ) {
        let watchers = self.clients.iter_mut().filter(|(_, client)| {
            client.grant.capabilities().allow(&[Capability::NetworkData]) && client.watches(graph, src, tgt)
        });
        let shown: Vec<_> =
            watchers.filter_map(|(id, client)| client.samples(graph, now).then_some(*id)).collect();
        let is_traced = self.traces.is_running(graph);
        if shown.is_empty() && !is_traced {
            return;
        }
        let data = data.get_or_insert_with(|| payload::shown(message));
        let id = format!(
            "{}() {} -> {} {}()",
            src.node,
            src.port.to_uppercase(),
            tgt.port.to_uppercase(),
            tgt.node
        );
        let payload =
            json!({"id": id, "graph": graph, "src": Value::from(src), "tgt": Value::from(tgt), "data": data});
        let signal = Signal::new(Protocol::Network, "data", payload);
        self.record(graph, &signal);
        let (detailed, plain): (Vec<_>, Vec<_>) =
            shown.into_iter().partition(|id| self.clients.get(id).is_some_and(|client| client.wants_details));
        plain.into_iter().for_each(|client| self.reply(client, None, &signal));
        if !detailed.is_empty() {
            let mut signal = signal;
            signal.payload["message"] = payload::properties(message);
            detailed.into_iter().for_each(|client| self.reply(client, None, &signal));
        }
    }

    fn port_sent(
        &mut self,
        graph: &str,
        public: &str,
        message: &Message,
        data: &mut Option<Value>,
        now: Instant,
    ) {
        let watchers = self
            .clients
            .iter_mut()
            .filter(|(_, client)| client.grant.capabilities().allow(&[Capability::Runtime]));
        let told: Vec<_> =
            watchers.filter_map(|(id, client)| client.takes_packet(graph, now).then_some(*id)).collect();
        if told.is_empty() {
            return;
        }
        let data = data.get_or_insert_with(|| payload::shown(message));
        let payload = json!({"port": public, "event": "data", "graph": graph, "payload": data});
        let signal = Signal::new(Protocol::Runtime, "packet", payload);
        told.into_iter().for_each(|client| self.reply(client, None, &signal));
    }

    fn record(&mut self, graph: &str, signal: &Signal) {
        if self.traces.is_running(graph) {
            self.traces.record(graph, signal, &jiff::Timestamp::now().to_string());
        }
    }

    /// Tells each client how much it was not shown.
    pub(super) fn tell_left_out(&mut self) {
        let left_out: Vec<_> = self
            .clients
            .iter_mut()
            .flat_map(|(id, client)| client.take_left_out().into_iter().map(|counts| (*id, counts)))
            .collect();
        for (client, (graph, count, all)) in left_out {
            let message = format!("{count} of {all} messages of `{graph}` were not shown");
            let payload = json!({"message": message, "type": "message"});
            self.reply(client, None, &Signal::new(Protocol::Network, "output", payload));
        }
    }

    /// Tells clients of nodes and edges whose state is another one than what they know.
    pub(super) async fn tell_observed(&mut self) -> Result<(), msgflo_coordinator::Error> {
        if !self.stale.observed || self.clients.is_empty() {
            return Ok(());
        }
        self.stale.observed = false;
        let mut status = self.coordinator.state().await?;
        status.set_rates(&self.rates);
        for signal in self.news_of_nodes(&status).into_iter().chain(self.news_of_edges(&status)) {
            self.tell_others(None, &signal);
        }
        Ok(())
    }

    fn news_of_nodes(&mut self, status: &Status) -> Vec<Signal> {
        let mut signals = Vec::new();
        let (places, graphs) = (&self.places, &self.graphs);
        self.told.nodes.retain(|(graph, node), _| {
            graphs.get(graph).is_ok_and(|opened| opened.graph.processes.contains_key(node.as_str()))
        });
        for node in &status.nodes {
            let Some((graph, name)) = places.nodes.get(&node.role) else { continue };
            let state = node_state(node);
            let key = (graph.clone(), name.clone());
            // Before a graph is started there is nothing to observe.
            if node.state == NodeState::Stopped && !self.told.nodes.contains_key(&key) {
                continue;
            }
            if self.told.nodes.get(&key) == Some(&state) {
                continue;
            }
            if signals.len() >= NEWS {
                self.stale.observed = true;
                break;
            }
            let Ok(opened) = graphs.get(graph) else { continue };
            let Some(process) = opened.graph.processes.get(name.as_str()) else { continue };
            let mut metadata = json!(process.metadata);
            metadata[STATE] = state.clone();
            signals.push(Signal::new(
                Protocol::Graph,
                "changenode",
                json!({"id": name, "metadata": metadata, "graph": graph}),
            ));
            if node.state == NodeState::Failed {
                let error = node.reason.as_deref().unwrap_or("it has ended");
                let payload = json!({"id": name, "error": error, "graph": graph});
                signals.push(Signal::new(Protocol::Network, "processerror", payload));
            }
            self.told.nodes.insert(key, state);
        }
        signals
    }

    fn news_of_edges(&mut self, status: &Status) -> Vec<Signal> {
        let mut worst: HashMap<&EdgePlace, (EdgeState, Option<&str>, Option<f64>)> = HashMap::new();
        for edge in &status.edges {
            let places = self.places.edges.get(&(edge.source.clone(), edge.target.clone()));
            for place in places.into_iter().flatten() {
                let now = (edge.state, edge.reason.as_deref(), edge.rate);
                let known = worst.entry(place).or_insert(now);
                if badness(now.0) > badness(known.0) {
                    *known = now;
                }
            }
        }
        self.told.edges.retain(|place, _| worst.contains_key(place));
        let mut signals = Vec::new();
        for (place, (state, reason, rate)) in worst {
            let (graph, src, tgt) = place;
            let Ok(opened) = self.graphs.get(graph) else { continue };
            if !opened.started {
                continue;
            }
            let mut shown = json!({"state": state});
            if let Some(reason) = reason {
                shown["reason"] = reason.into();
            }
            if let Some(rate) = rate {
                shown["rate"] = rate.into();
            }
            if self.told.edges.get(place) == Some(&shown) {
                continue;
            }
            if signals.len() >= NEWS {
                self.stale.observed = true;
                break;
            }
            let found = opened.graph.find_edge(&src.endpoint(), &tgt.endpoint());
            let Some(edge) = found.map(|index| &opened.graph.connections[index]) else { continue };
            let mut metadata = json!(edge.metadata());
            metadata[STATE] = shown.clone();
            let payload = json!({"src": Value::from(src), "tgt": Value::from(tgt), "metadata": metadata, "graph": graph});
            signals.push(Signal::new(Protocol::Graph, "changeedge", payload));
            self.told.edges.insert(place.clone(), shown);
        }
        signals
    }
}

impl Hub {
    /// A graph with what is observed of its nodes and edges.
    pub(super) fn with_observed(&self, id: &str, graph: &fbp::Graph) -> fbp::Graph {
        let mut graph = graph.clone();
        for ((of, node), state) in &self.told.nodes {
            if of == id
                && let Some(process) = graph.processes.get_mut(node.as_str())
            {
                process.metadata.insert(STATE.to_owned(), state.clone());
            }
        }
        for ((of, src, tgt), state) in &self.told.edges {
            if of == id {
                let state = fbp::Metadata::from_iter([(STATE.to_owned(), state.clone())]);
                // An edge that has gone meanwhile has no state.
                let _ = graph.change_edge(&src.endpoint(), &tgt.endpoint(), state);
            }
        }
        graph
    }
}

fn node_state(node: &NodeStatus) -> Value {
    let mut state = json!({"state": node.state});
    if let Some(reason) = &node.reason {
        state["reason"] = reason.as_str().into();
    }
    if let Some(process) = &node.process {
        state["running"] = process.running.into();
        state["wanted"] = process.wanted.into();
    }
    state
}

fn badness(state: EdgeState) -> u8 {
    match state {
        EdgeState::Bound => 0,
        EdgeState::Pending => 1,
        EdgeState::Failed => 2,
    }
}
