//! A client, as the hub sees it.

use std::collections::HashMap;
use std::time::Instant;

use axum::extract::ws::Utf8Bytes;

use crate::access::Grant;
use crate::budget::Budget;
use crate::outbox::Outbox;
use crate::protocol::End;

/// How many messages a client is shown of what flows: at once, and a second.
const SHOWN: (u32, u32) = (200, 100);
/// The same for packets of exported outports.
const PACKETS: (u32, u32) = (5000, 1000);

/// Identifies a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ClientId(pub(crate) u64);

pub(super) struct Client {
    /// Where messages to it go. It is dropped, and the client with it, when it is full.
    outbox: Outbox,
    pub(super) grant: Grant,
    /// Whether it is shown what a message says beside its payload, too.
    pub(super) wants_details: bool,
    /// The edges that it wants to see, by graph. A graph that is not mentioned is shown whole.
    pub(super) watched: HashMap<String, Vec<(End, End)>>,
    shown: Budget,
    packets: Budget,
    /// How many messages of each graph it was not shown since it was last told, of how many.
    left_out: HashMap<String, (u64, u64)>,
}

impl Client {
    pub(super) fn new(outbox: Outbox, grant: Grant, wants_details: bool, now: Instant) -> Self {
        Self {
            outbox,
            grant,
            wants_details,
            watched: HashMap::new(),
            shown: Budget::new(SHOWN.0, SHOWN.1, now),
            packets: Budget::new(PACKETS.0, PACKETS.1, now),
            left_out: HashMap::new(),
        }
    }

    /// Sends a text. Whether the client kept up.
    pub(super) fn send(&self, text: Utf8Bytes) -> bool {
        self.outbox.send(text)
    }

    pub(super) fn watches(&self, graph: &str, src: &End, tgt: &End) -> bool {
        let is_same =
            |a: &End, b: &End| a.node == b.node && a.index == b.index && a.port.eq_ignore_ascii_case(&b.port);
        self.watched
            .get(graph)
            .is_none_or(|edges| edges.iter().any(|(from, to)| is_same(from, src) && is_same(to, tgt)))
    }

    /// Whether one more message of a graph is shown; what is not is counted.
    pub(super) fn samples(&mut self, graph: &str, now: Instant) -> bool {
        let is_shown = self.shown.take(now);
        self.count(graph, is_shown);
        is_shown
    }

    /// The same for packets of exported outports.
    pub(super) fn takes_packet(&mut self, graph: &str, now: Instant) -> bool {
        let is_shown = self.packets.take(now);
        self.count(graph, is_shown);
        is_shown
    }

    /// That so many messages did not even come to us.
    pub(super) fn missed(&mut self, graph: &str, count: u64) {
        let (left_out, all) = self.left_out.entry(graph.to_owned()).or_default();
        *left_out += count;
        *all += count;
    }

    fn count(&mut self, graph: &str, is_shown: bool) {
        if !self.left_out.contains_key(graph) {
            self.left_out.insert(graph.to_owned(), (0, 0));
        }
        if let Some((left_out, all)) = self.left_out.get_mut(graph) {
            *all += 1;
            *left_out += u64::from(!is_shown);
        }
    }

    /// For each graph of which it was not shown all: how many messages it was not shown, of how many.
    pub(super) fn take_left_out(&mut self) -> Vec<(String, u64, u64)> {
        let counts = std::mem::take(&mut self.left_out).into_iter();
        counts
            .filter(|(_, (left_out, _))| *left_out > 0)
            .map(|(graph, (left_out, all))| (graph, left_out, all))
            .collect()
    }
}
