//! Packets that do not come from an outport: initial packets of the graph, and those that a person or an editor sends.
//!
//! A packet that is sent while the connections behind its receiver are still being made would be worked on and its result
//! lost. So packets wait until the network has settled, but not for ever.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use msgflo_core::{Message, Participant, QueueName, Role};
use serde_json::Value;

use super::Action;
use crate::desired::PortRef;

/// How long an initial packet waits for the network to settle, after its receiver has appeared.
const INITIAL_PATIENCE: Duration = Duration::from_secs(10);
/// How long a packet that somebody sends waits for its receiver and for the network.
const SENT_PATIENCE: Duration = Duration::from_secs(30);
/// The most packets that wait.
const LIMIT: usize = 10_000;

/// A packet on its way to an inport.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    /// Where it goes.
    pub target: PortRef,
    /// What is sent.
    pub message: Message,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a packet comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The graph.
    Initial,
    /// Somebody who sent it by hand.
    Sent,
}

/// Where an inport takes messages that are not sent by an outport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inlet {
    /// A queue that its instances share.
    Queue(QueueName),
    /// An exchange behind which every instance has its own queue.
    Exchange(QueueName),
}

impl Inlet {
    /// Where packets for a port of `participant` go.
    fn of(participant: &Participant, target: &PortRef) -> Option<Self> {
        let port = participant.inport(&target.port)?;
        let queue = port.queue.clone()?;
        Some(if port.delivers_to_each() { Self::Exchange(queue) } else { Self::Queue(queue) })
    }
}

/// Why no packet can be sent to `target`.
fn no_inlet(participant: &Participant, target: &PortRef) -> String {
    let ports = participant.inports.iter().filter(|port| port.queue.is_some());
    let known: Vec<_> = ports.map(|port| port.id.as_str()).collect();
    let has = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let meant = fbp::did_you_mean(target.port.as_str(), known);
    let meant = meant.map(|port| format!("; did you mean `{port}`?")).unwrap_or_default();
    format!("`{target}` is not an inport with a queue; there are: {has}{meant}")
}

/// The packets that wait.
#[derive(Debug, Default)]
pub(crate) struct Packets {
    waiting: Vec<(Packet, Instant)>,
}

impl Packets {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes an initial packet whose receiver is there. The same one waits once.
    pub(crate) fn add_initial(&mut self, target: &PortRef, data: &Value, now: Instant) {
        let Ok(message) = Message::json(data) else { return };
        let packet = Packet { target: target.clone(), message, origin: Origin::Initial };
        if self.waiting.iter().all(|(waiting, _)| *waiting != packet) {
            self.waiting.push((packet, now + INITIAL_PATIENCE));
        }
    }

    /// Takes a packet that somebody sends. It is refused when too many wait.
    pub(crate) fn add_sent(&mut self, target: PortRef, message: Message, now: Instant) -> Option<Action> {
        let packet = Packet { target, message, origin: Origin::Sent };
        if self.waiting.len() >= LIMIT {
            return Some(Action::Return(packet, format!("{LIMIT} packets wait already")));
        }
        self.waiting.push((packet, now + SENT_PATIENCE));
        None
    }

    /// Drops the initial packets that the graph no longer has.
    pub(crate) fn keep_initials(&mut self, initials: &[(PortRef, Value)]) {
        self.waiting.retain(|(packet, _)| {
            let stays = |(target, data): &(PortRef, Value)| {
                *target == packet.target
                    && serde_json::from_slice::<Value>(&packet.message.payload).ok().as_ref() == Some(data)
            };
            packet.origin == Origin::Sent || initials.iter().any(stays)
        });
    }

    /// What can be sent now, in order, and what comes back to its sender. `is_awaited` tells of a receiver that is about to
    /// appear.
    pub(crate) fn plan(
        &mut self,
        described: &BTreeMap<Role, Participant>,
        is_awaited: impl Fn(&Role) -> bool,
        has_settled: bool,
        now: Instant,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        self.waiting.retain(|(packet, deadline)| {
            let late = *deadline <= now;
            let receiver =
                described.get(&packet.target.role).filter(|_| late || !is_awaited(&packet.target.role));
            let action = match receiver {
                Some(participant) if has_settled || late => match Inlet::of(participant, &packet.target) {
                    Some(inlet) => Action::Send(inlet, packet.clone()),
                    None => Action::Return(packet.clone(), no_inlet(participant, &packet.target)),
                },
                None if late => {
                    Action::Return(packet.clone(), format!("`{}` did not appear", packet.target.role))
                }
                _ => return true,
            };
            actions.push(action);
            false
        });
        actions
    }

    pub(crate) fn wake(&self) -> Option<Instant> {
        self.waiting.iter().map(|(_, deadline)| *deadline).min()
    }
}
