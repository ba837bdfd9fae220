//! One task that owns the graphs and knows the clients.
//!
//! Every request is answered here, in the order in which it came: an edit changes the graph, is acknowledged, and told to the
//! other clients; only then the coordinator is asked to bring the network after it. What the coordinator observes goes the
//! other way, as metadata of nodes and edges under the key [`STATE`], which are never saved.
//!
//! No client can hold up the others: each has a queue, and one whose queue is full is dropped.

mod client;
mod library;
mod observed;
mod rates;
mod requests;
mod unsaved;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use axum::extract::ws::Utf8Bytes;
use msgflo_coordinator::{Choice, Desired, Event, Fingerprint, Handle, Library, PortRef};
use tokio::sync::{broadcast, mpsc};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::access::Grant;
use crate::editor::Editor;
use crate::graphs::{EdgePlace, Graphs, Places, Route};
use crate::outbox::Outbox;
use crate::protocol::{Capability, Fault, Request, Signal};
use crate::trace::Traces;
use client::Client;
use unsaved::Unsaved;

pub(crate) use client::ClientId;

/// The key of metadata under which the observed state of a node or an edge is shown.
pub(crate) const STATE: &str = "msgflo";
/// How many requests wait for the hub. A client that sends more waits.
pub(crate) const INBOX: usize = 256;
/// How many requests are answered before the coordinator hears of what they change.
const BATCH: usize = 64;
/// How often clients are told of what was observed, at most.
const OBSERVE: Duration = Duration::from_millis(100);
/// How often clients are told of what they were not shown, and the library is looked at.
const SECOND: Duration = Duration::from_secs(1);
/// The most outports that are looked at.
const MAX_WATCHED: usize = 1000;

/// What connections tell the hub.
pub(crate) enum Incoming {
    /// There is a new client; texts for it go to the outbox.
    Joined { id: ClientId, outbox: Outbox, grant: Grant, wants_details: bool },
    /// A client has sent something.
    Said(ClientId, Box<Result<Request, Fault>>),
    /// A client has gone.
    Left(ClientId),
}

pub(crate) struct Hub {
    network: String,
    coordinator: Handle,
    editor: Editor,
    graphs: Graphs,
    clients: BTreeMap<ClientId, Client>,
    /// Clients that did not keep up.
    lost: Vec<ClientId>,
    places: Places,
    /// Where the messages of each outport are seen.
    routes: HashMap<PortRef, Vec<Route>>,
    /// The outports that the coordinator looks at for us.
    watched: BTreeSet<PortRef>,
    traces: Traces,
    /// What clients were told of nodes and edges.
    told: Told,
    /// Messages a second, as they were last told.
    rates: rates::Rates,
    stale: Stale,
    unsaved: Unsaved,
    /// What the library's files were when they were last read.
    fingerprint: Fingerprint,
}

/// What clients were told of nodes and edges.
#[derive(Debug, Default)]
struct Told {
    nodes: HashMap<(String, String), serde_json::Value>,
    edges: HashMap<EdgePlace, serde_json::Value>,
}

/// What has to be brought up to date.
#[derive(Debug, Default)]
struct Stale {
    /// The coordinator does not know the graphs as they are.
    desired: bool,
    /// Places, routes and what is watched are not those of the graphs as they are.
    places: bool,
    /// Clients do not know what has been observed.
    observed: bool,
}

impl Hub {
    pub(crate) fn new(network: String, coordinator: Handle, mut editor: Editor) -> Self {
        let graphs = editor.graph.take().map(|(id, graph)| Graphs::with_main(id, graph)).unwrap_or_default();
        Self {
            network,
            coordinator,
            editor,
            graphs,
            clients: BTreeMap::new(),
            lost: Vec::new(),
            places: Places::default(),
            routes: HashMap::new(),
            watched: BTreeSet::new(),
            traces: Traces::default(),
            told: Told::default(),
            rates: rates::Rates::new(),
            stale: Stale { places: true, ..Stale::default() },
            unsaved: Unsaved::default(),
            fingerprint: Fingerprint::default(),
        }
    }

    /// Runs until `token` is cancelled or the coordinator has ended.
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Incoming>, token: CancellationToken) {
        let mut events = self.coordinator.events();
        let (interest, mut rates) = rates::watch(self.coordinator.clone(), &token);
        let mut observe = tokio::time::interval(OBSERVE);
        let mut second = tokio::time::interval(SECOND);
        for interval in [&mut observe, &mut second] {
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        self.fingerprint = self.library_fingerprint().await;
        loop {
            let went_on = tokio::select! {
                () = token.cancelled() => break,
                incoming = inbox.recv() => match incoming {
                    None => break,
                    Some(incoming) => {
                        let mut next = Some(incoming);
                        for _ in 0..BATCH {
                            let Some(incoming) = next else { break };
                            self.take(incoming).await;
                            next = inbox.try_recv().ok();
                        }
                        if let Some(incoming) = next {
                            self.take(incoming).await;
                        }
                        Ok(())
                    }
                },
                event = events.recv() => match event {
                    Ok(event) => {
                        self.happened(event);
                        Ok(())
                    }
                    Err(broadcast::error::RecvError::Lagged(missed)) => {
                        self.stale.observed = true;
                        let main = self.graphs.main().unwrap_or_default().to_owned();
                        self.clients.values_mut().for_each(|client| client.missed(&main, missed));
                        Ok(())
                    }
                    Err(broadcast::error::RecvError::Closed) => break,
                },
                Ok(()) = rates.changed() => {
                    self.rates = rates.borrow_and_update().clone();
                    self.stale.observed = true;
                    Ok(())
                }
                _ = observe.tick() => {
                    if self.unsaved.is_due(Instant::now()) {
                        self.auto_save().await;
                    }
                    self.tell_observed().await
                }
                _ = second.tick() => {
                    self.tell_left_out();
                    self.reload_when_changed().await;
                    Ok(())
                }
            };
            self.drop_lost();
            interest.send_if_modified(|is_interested| {
                std::mem::replace(is_interested, !self.clients.is_empty()) == self.clients.is_empty()
            });
            if went_on.is_err() || self.flush().await.is_err() {
                break;
            }
        }
        if self.unsaved.is_any() {
            self.auto_save().await;
        }
    }

    async fn take(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Joined { id, outbox, grant, wants_details } => {
                self.clients.insert(id, Client::new(outbox, grant, wants_details, Instant::now()));
                self.stale.places = true;
            }
            Incoming::Left(id) => {
                self.clients.remove(&id);
                self.stale.places = true;
            }
            Incoming::Said(id, said) => self.answer(id, *said).await,
        }
    }

    /// Brings the coordinator up to date.
    async fn flush(&mut self) -> Result<(), msgflo_coordinator::Error> {
        if std::mem::take(&mut self.stale.places) {
            self.places = self.graphs.places();
            self.routes.clear();
            for (port, route) in self.graphs.routes() {
                self.routes.entry(port).or_default().push(route);
            }
            let watched = self.to_be_watched();
            if watched != self.watched {
                self.watched = watched.clone();
                self.coordinator.watch(watched).await?;
            }
            self.stale.observed = true;
        }
        if std::mem::take(&mut self.stale.desired) {
            let desired = Desired::of(&self.graphs.parts(), self.library(), self.choice());
            self.coordinator.desire(desired).await?;
        }
        Ok(())
    }

    /// The outports whose messages somebody wants to see.
    fn to_be_watched(&self) -> BTreeSet<PortRef> {
        let is_wanted = |route: &Route| match route {
            Route::Edge { graph, src, tgt } => {
                self.traces.is_running(graph)
                    || self.clients.values().any(|client| {
                        client.grant.capabilities().allow(&[Capability::NetworkData])
                            && client.watches(graph, src, tgt)
                    })
            }
            Route::Export { .. } => {
                self.clients.values().any(|client| client.grant.capabilities().allow(&[Capability::Runtime]))
            }
        };
        let wanted = self.routes.iter().filter(|(_, routes)| routes.iter().any(is_wanted));
        let mut ports: BTreeSet<PortRef> = wanted.map(|(port, _)| port.clone()).collect();
        if ports.len() > MAX_WATCHED {
            tracing::warn!(wanted = ports.len(), limit = MAX_WATCHED, "too many outports are to be watched");
            ports = ports.into_iter().take(MAX_WATCHED).collect();
        }
        ports
    }

    fn library(&self) -> &Library {
        &self.editor.library
    }

    fn choice(&self) -> &Choice {
        &self.editor.choice
    }

    /// Answers one client.
    fn reply(&mut self, to: ClientId, response_to: Option<&serde_json::Value>, signal: &Signal) {
        if let Some(client) = self.clients.get(&to)
            && !client.send(signal.encode(response_to).into())
        {
            self.lost.push(to);
        }
    }

    /// Tells every client that may know, but one.
    fn tell_others(&mut self, but: Option<ClientId>, signal: &Signal) {
        let mut text = None;
        for (id, client) in &self.clients {
            if Some(*id) != but && client.grant.shows(signal) {
                let text: &Utf8Bytes = text.get_or_insert_with(|| signal.encode(None).into());
                if !client.send(text.clone()) {
                    self.lost.push(*id);
                }
            }
        }
    }

    fn drop_lost(&mut self) {
        for id in std::mem::take(&mut self.lost) {
            // Its outbox goes with it, which ends its connection.
            if self.clients.remove(&id).is_some() {
                self.stale.places = true;
                tracing::warn!(client = id.0, "a client did not keep up and was dropped");
            }
        }
    }

    /// That the graph has changed.
    fn graph_changed(&mut self, id: &str) {
        self.stale.places = true;
        self.stale.desired = true;
        if self.editor.auto_save && self.graphs.main() == Some(id) {
            self.unsaved.changed(Instant::now());
        }
    }

    fn happened(&mut self, event: Event) {
        match event {
            Event::Changed => self.stale.observed = true,
            Event::Sent(packet) => self.packet_sent(&packet),
            Event::Returned(packet, reason) => self.packet_returned(&packet, &reason),
            Event::Message(port, message) => self.message_seen(&port, &message),
        }
    }
}
