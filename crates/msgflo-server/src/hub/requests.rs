//! The answers to requests.

use std::time::Instant;

use msgflo_core::ComponentName;
use serde_json::{Value, json};

use super::Hub;
use super::client::ClientId;
use crate::graphs::Error;
use crate::payload;
use crate::protocol::{Capabilities, Capability, Command, Fault, Protocol, Request, Signal, VERSION};
use crate::trace::Trace;

impl Hub {
    pub(super) async fn answer(&mut self, from: ClientId, said: Result<Request, Fault>) {
        let Some(client) = self.clients.get_mut(&from) else { return };
        let admitted = said.and_then(|request| {
            let (protocol, id) = (request.protocol, request.id.clone());
            let before = client.grant.capabilities().clone();
            let command = client.grant.admit(request);
            self.stale.places |= before != *client.grant.capabilities();
            command.map(|command| (protocol, id, command))
        });
        let (protocol, id, command) = match admitted {
            Ok(admitted) => admitted,
            Err(Fault { signal, id }) => return self.reply(from, id.as_ref(), &signal),
        };
        if let Err(message) = self.execute(from, id.as_ref(), command).await {
            self.reply(from, id.as_ref(), &Signal::error(protocol, message));
        }
    }

    async fn execute(&mut self, from: ClientId, id: Option<&Value>, command: Command) -> Result<(), String> {
        let told = |error: Error| error.to_string();
        match command {
            Command::GetRuntime => self.describe_runtime(from, id),
            Command::Packet { graph, packet } => {
                let opened = self.graphs.get(&graph).map_err(told)?;
                if !opened.started {
                    return Err(format!("the network of `{graph}` has not been started"));
                }
                let inport = self.graphs.inport(&graph, &packet.port).map_err(told)?;
                let inport = inport.ok_or_else(|| format!("`{graph}` shows no inport `{}`", packet.port))?;
                // Brackets mean nothing between processes.
                if packet.event == "data" {
                    let message = payload::message(&packet.payload)?;
                    self.flush().await.map_err(|error| error.to_string())?;
                    self.coordinator.send(inport, message).await.map_err(|error| error.to_string())?;
                }
                let sent = json!({"port": packet.port, "event": packet.event, "graph": graph});
                self.reply(from, id, &Signal::new(Protocol::Runtime, "packetsent", sent));
            }
            Command::ListComponents => {
                let participants =
                    self.coordinator.participants().await.map_err(|error| error.to_string())?;
                let listed = crate::components::list(self.library(), &participants);
                listed.iter().for_each(|signal| self.reply(from, id, signal));
                let ready = Signal::new(Protocol::Component, "componentsready", listed.len().into());
                self.reply(from, id, &ready);
            }
            Command::GetSource { name } => self.get_source(from, id, &name).await?,
            Command::SetSource(source) => self.set_source(from, id, &source).await?,
            Command::Clear(cleared) => {
                let signals = self.graphs.clear(&cleared).map_err(told)?;
                self.told.nodes.retain(|(graph, _), _| *graph != cleared.id);
                self.told.edges.retain(|(graph, ..), _| *graph != cleared.id);
                self.edited(from, id, &cleared.id, &signals);
            }
            Command::Edit { graph, edit } => {
                let signals = self.graphs.edit(&graph, &edit).map_err(told)?;
                self.edited(from, id, &graph, &signals);
                if edit.concerns_ports() {
                    let ports = self.graphs.ports(&graph).map_err(told)?;
                    self.tell_others(None, &ports);
                }
            }
            Command::Start { graph } => {
                let now = jiff::Timestamp::now();
                let opened = self.graphs.get_mut(&graph).map_err(told)?;
                if !opened.started {
                    (opened.started, opened.since) = (true, now.as_second());
                    self.graph_started_or_stopped();
                }
                let payload =
                    json!({"graph": graph, "time": now.to_string(), "started": true, "running": true});
                self.reply_and_tell(from, id, &Signal::new(Protocol::Network, "started", payload));
            }
            Command::Stop { graph } => {
                let now = jiff::Timestamp::now();
                let opened = self.graphs.get_mut(&graph).map_err(told)?;
                let uptime = if opened.started { now.as_second() - opened.since } else { 0 };
                if std::mem::take(&mut opened.started) {
                    self.graph_started_or_stopped();
                }
                let payload = json!({"graph": graph, "time": now.to_string(), "uptime": uptime,
                    "started": false, "running": false});
                self.reply_and_tell(from, id, &Signal::new(Protocol::Network, "stopped", payload));
            }
            Command::GetStatus { graph } => {
                let started = self.graphs.get(&graph).map_err(told)?.started;
                self.flush().await.map_err(|error| error.to_string())?;
                let state = self.coordinator.state().await.map_err(|error| error.to_string())?;
                let payload =
                    json!({"graph": graph, "running": started && !state.settled, "started": started});
                self.reply(from, id, &Signal::new(Protocol::Network, "status", payload));
            }
            Command::Persist => {
                let lost = self.save().await?;
                self.reply(from, id, &Signal::new(Protocol::Network, "persist", json!({})));
                self.tell_lost(&lost);
            }
            Command::Debug { graph, enable } => {
                self.graphs.get(&graph).map_err(told)?;
                let payload = json!({"graph": graph, "enable": enable});
                self.reply(from, id, &Signal::new(Protocol::Network, "debug", payload));
            }
            Command::Edges { graph, edges } => {
                self.graphs.get(&graph).map_err(told)?;
                let shown: Vec<Value> = edges
                    .iter()
                    .map(|edge| json!({"src": Value::from(&edge.src), "tgt": Value::from(&edge.tgt)}))
                    .collect();
                if let Some(client) = self.clients.get_mut(&from) {
                    let edges = edges.into_iter().map(|edge| (edge.src, edge.tgt)).collect();
                    client.watched.insert(graph.clone(), edges);
                }
                self.stale.places = true;
                let payload = json!({"graph": graph, "edges": shown});
                self.reply(from, id, &Signal::new(Protocol::Network, "edges", payload));
            }
            Command::TraceStart { graph, buffer_size } => {
                self.graphs.get(&graph).map_err(told)?;
                let now = jiff::Timestamp::now().to_string();
                self.traces.start(&graph, Trace::new(buffer_size, now));
                self.stale.places = true;
                let mut payload = json!({"graph": graph});
                if let Some(size) = buffer_size {
                    payload["buffersize"] = size.into();
                }
                self.reply(from, id, &Signal::new(Protocol::Trace, "start", payload));
            }
            Command::TraceStop { graph } => {
                self.trace(&graph)?.stop();
                self.stale.places = true;
                self.reply(from, id, &Signal::new(Protocol::Trace, "stop", json!({"graph": graph})));
            }
            Command::TraceClear { graph } => {
                self.trace(&graph)?.clear();
                self.reply(from, id, &Signal::new(Protocol::Trace, "clear", json!({"graph": graph})));
            }
            Command::TraceDump { graph } => {
                let now = jiff::Timestamp::now().to_string();
                let opened = self.graphs.get(&graph).map_err(told)?;
                let trace = self.traces.get(&graph).ok_or_else(|| no_trace(&graph))?;
                let text = trace.dump(&graph, &opened.graph, &self.network, &now);
                let payload = json!({"graph": graph, "type": "flowtrace.json", "flowtrace": text});
                self.reply(from, id, &Signal::new(Protocol::Trace, "dump", payload));
            }
        }
        Ok(())
    }

    fn trace(&mut self, graph: &str) -> Result<&mut Trace, String> {
        self.graphs.get(graph).map_err(|error| error.to_string())?;
        self.traces.get_mut(graph).ok_or_else(|| no_trace(graph))
    }

    fn describe_runtime(&mut self, from: ClientId, id: Option<&Value>) {
        let Some(client) = self.clients.get(&from) else { return };
        let capabilities = client.grant.capabilities();
        let sees_ports = capabilities.allow(&[Capability::Runtime]);
        let mut payload = json!({
            "type": "msgflo",
            "version": VERSION,
            "label": self.network,
            "capabilities": capabilities.names(),
            "allCapabilities": Capabilities::all().names(),
        });
        let library = self.library();
        for (key, text) in [
            ("id", self.editor.runtime_id.as_deref()),
            ("graph", self.graphs.main()),
            ("namespace", library.namespace()),
            ("repository", library.repository()),
        ] {
            if let Some(text) = text {
                payload[key] = text.into();
            }
        }
        self.reply(from, id, &Signal::new(Protocol::Runtime, "runtime", payload));
        if sees_ports {
            let graphs: Vec<String> = self.graphs.iter().map(|(graph, _)| graph.clone()).collect();
            for graph in graphs {
                if let Ok(ports) = self.graphs.ports(&graph) {
                    self.reply(from, id, &ports);
                }
            }
        }
    }

    /// Acknowledges an edit: the last of the signals answers it.
    fn edited(&mut self, from: ClientId, id: Option<&Value>, graph: &str, signals: &[Signal]) {
        for (index, signal) in signals.iter().enumerate() {
            let is_answer = index + 1 == signals.len();
            self.reply(from, id.filter(|_| is_answer), signal);
            self.tell_others(Some(from), signal);
        }
        self.graph_changed(graph);
    }

    fn reply_and_tell(&mut self, from: ClientId, id: Option<&Value>, signal: &Signal) {
        self.reply(from, id, signal);
        self.tell_others(Some(from), signal);
    }

    fn graph_started_or_stopped(&mut self) {
        self.stale.desired = true;
        self.stale.observed = true;
    }

    async fn get_source(&mut self, from: ClientId, id: Option<&Value>, name: &str) -> Result<(), String> {
        if self.graphs.get(name).is_ok() {
            let observed = async {
                self.flush().await?;
                self.tell_observed().await
            };
            observed.await.map_err(|error| error.to_string())?;
        }
        let found = if let Ok(opened) = self.graphs.get(name) {
            Some(("json", fbp::to_json(&self.with_observed(name, &opened.graph))))
        } else {
            let component = ComponentName::from(name);
            match self.library().source(&component) {
                Some(read) => {
                    Some(read.map_err(|error| format!("the source of `{name}` cannot be read: {error}"))?)
                }
                None => {
                    let participants =
                        self.coordinator.participants().await.map_err(|error| error.to_string())?;
                    crate::components::pseudo_source(&component, self.library(), &participants)
                }
            }
        };
        let (language, code) = found.ok_or_else(|| format!("Component {name} not found"))?;
        let mut payload = json!({"name": name, "language": language, "code": code});
        if let Some((library, short)) = name.rsplit_once('/') {
            payload["name"] = short.into();
            payload["library"] = library.into();
        }
        self.reply(from, id, &Signal::new(Protocol::Component, "source", payload));
        Ok(())
    }

    /// Saves the main graph. What could not be kept.
    pub(super) async fn save(&mut self) -> Result<Vec<String>, String> {
        let store = self.editor.store.clone().ok_or("there is no file to save to")?;
        let main = self.graphs.main().ok_or("there is no main graph to save")?;
        let graph = self.graphs.get(main).map_err(|error| error.to_string())?.graph.clone();
        let saved = tokio::task::spawn_blocking(move || store.save(&graph)).await;
        let saved = saved.map_err(|error| error.to_string()).flatten();
        self.unsaved.tried(&saved);
        saved
    }

    pub(super) async fn auto_save(&mut self) {
        match self.save().await {
            Ok(lost) => self.tell_lost(&lost),
            Err(message) => {
                // Said once, however often it is tried.
                if self.unsaved.postpone(&message, Instant::now()) {
                    tracing::error!(message, "the graph could not be saved");
                    let told = format!("the graph could not be saved: {message}");
                    self.tell_others(None, &Signal::error(Protocol::Network, told));
                }
            }
        }
    }

    fn tell_lost(&mut self, lost: &[String]) {
        if !lost.is_empty() {
            let message = format!("what the file cannot hold is not in it: {}", lost.join("; "));
            tracing::warn!(message);
            let payload = json!({"message": message, "type": "message"});
            self.tell_others(None, &Signal::new(Protocol::Network, "output", payload));
        }
    }
}

fn no_trace(graph: &str) -> String {
    format!("`{graph}` is not being traced")
}
