//! The state of the network, to show.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use msgflo_core::{ComponentName, Depth, Port, PortName, QueueName, Role, Timestamp};
use serde::{Serialize, Serializer};

use crate::desired::PortRef;
use crate::processes::Exit;

/// The state of everything at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Whether everything that should happen soon has happened: see [`Network::has_settled`](crate::Network::has_settled).
    pub settled: bool,
    /// The participants that the graph wants, in its order.
    pub nodes: Vec<NodeStatus>,
    /// The connections that the graph wants, in its order.
    pub edges: Vec<EdgeStatus>,
}

impl Status {
    /// Tells how many messages a second each connection's outport sends, to two digits.
    pub fn set_rates(&mut self, rates: &BTreeMap<QueueName, f64>) {
        let queues: HashMap<(&Role, String), &QueueName> = self
            .nodes
            .iter()
            .flat_map(|node| node.outports.iter().map(move |port| (&node.role, port)))
            .filter_map(|(role, port)| Some(((role, port.id.as_str().to_lowercase()), port.queue.as_ref()?)))
            .collect();
        for edge in &mut self.edges {
            let queue = queues.get(&(&edge.source.role, edge.source.port.as_str().to_lowercase()));
            edge.rate = queue.and_then(|queue| rates.get(*queue)).map(|rate| rounded(*rate));
        }
    }
}

/// The rate to two digits: more would say that it changes where it does not.
fn rounded(rate: f64) -> f64 {
    if rate < 0.05 {
        return 0.0;
    }
    let unit = 10_f64.powf(rate.log10().floor() - 1.0);
    // Divided and not multiplied where the unit is below one: 1.5, and not 1.5000000000000002.
    if unit < 1.0 { (rate / unit).round() / (1.0 / unit).round() } else { (rate / unit).round() * unit }
}

/// What a node is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// A process of ours has been started and has not announced itself yet.
    Starting,
    /// It runs and is known.
    Up,
    /// It is known and scaled to zero: its messages wait.
    Idle,
    /// Somebody else should run it, and it has not been heard of.
    Missing,
    /// Its process keeps ending.
    Failed,
    /// Its graph has not been started, or has been stopped.
    Stopped,
}

/// The state of a node.
#[derive(Clone, Debug, Serialize)]
pub struct NodeStatus {
    /// The node.
    pub role: Role,
    /// What it runs.
    pub component: ComponentName,
    /// What it is doing.
    pub state: NodeState,
    /// Why it is missing or has failed, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The processes that serve it, if they are ours.
    pub process: Option<ProcessStatus>,
    /// Seconds since a participant of this role was last heard.
    pub heard_seconds_ago: Option<u64>,
    /// Its inports, as it announced them.
    pub inports: Vec<Port>,
    /// Its outports, as it announced them.
    pub outports: Vec<Port>,
    /// What waits at its inports, as the broker says.
    pub queues: Vec<QueueStatus>,
}

/// The processes of one kind.
#[derive(Clone, Debug, Serialize)]
pub struct ProcessStatus {
    /// The first role that they serve.
    pub name: String,
    /// What is run.
    pub command: String,
    /// How many there should be.
    pub wanted: u32,
    /// How many run.
    pub running: u32,
    /// How many were told to stop and finish what they have in hand.
    pub stopping: u32,
    /// How many wait to be started again after they failed.
    pub failing: u32,
    /// How often one was started again.
    pub restarts: u64,
    /// The process ids of those that run.
    pub pids: Vec<u32>,
    /// Since when they run.
    #[serde(skip)]
    pub since: Vec<Instant>,
    /// The last exit that nobody asked for.
    pub last_exit: Option<Exit>,
}

/// What waits at an inport.
#[derive(Clone, Debug, Serialize)]
pub struct QueueStatus {
    /// The inport.
    pub port: PortName,
    /// Its queue.
    pub queue: QueueName,
    /// What is in it. `None`: the broker does not say.
    #[serde(flatten)]
    pub depth: Option<Depth>,
    /// How long ago the message that is next was sent, in seconds, where the broker and the sender say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_seconds: Option<u64>,
}

impl QueueStatus {
    /// `sent` is when the broker says that the next message was sent. It says so some seconds late, so that nothing may wait by
    /// now.
    pub(crate) fn new(
        port: PortName,
        queue: QueueName,
        depth: Option<Depth>,
        sent: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let waits = depth.as_ref().is_some_and(|depth| depth.ready > 0);
        let oldest_seconds = sent.filter(|_| waits).map(|sent| sent.elapsed_at(now).as_secs());
        Self { port, queue, depth, oldest_seconds }
    }
}

/// Whether a connection is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EdgeState {
    /// Not yet, and nothing is wrong.
    Pending,
    /// It is.
    Bound,
    /// It cannot be, for the reason given.
    Failed,
}

/// The state of a connection.
#[derive(Clone, Debug, Serialize)]
pub struct EdgeStatus {
    /// The outport, as `role.port`.
    #[serde(serialize_with = "as_text")]
    pub source: PortRef,
    /// The inport, as `role.port`.
    #[serde(serialize_with = "as_text")]
    pub target: PortRef,
    /// The exchange or topic that the outport sends to. `None`: nobody has announced it yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_queue: Option<QueueName>,
    /// The queue or topic that the inport reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_queue: Option<QueueName>,
    /// Whether it goes by way of `msgflo/RoundRobin`.
    pub round_robin: bool,
    /// Messages a second that the outport sends at present. `None`: the broker does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// The inport where what the target refuses goes, as `role.port`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_optional_text")]
    pub deadletter: Option<PortRef>,
    /// Whether it is there.
    pub state: EdgeState,
    /// Why it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

fn as_text<S: Serializer>(port: &PortRef, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(port)
}

fn as_optional_text<S: Serializer>(port: &Option<PortRef>, serializer: S) -> Result<S::Ok, S::Error> {
    match port {
        Some(port) => serializer.collect_str(port),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_longer_waits_has_no_age() {
        let age = |ready: Option<u64>| {
            let depth = ready.map(|ready| Depth { ready, unacknowledged: None, consumers: 0 });
            let (sent, now) = (Some(Timestamp(1000)), Timestamp(6500));
            QueueStatus::new("IN".into(), "a.IN".into(), depth, sent, now).oldest_seconds
        };
        assert_eq!([age(Some(2)), age(Some(0)), age(None)], [Some(5), None, None]);
    }

    #[test]
    fn rates_have_two_digits() {
        for (rate, told) in [
            (0.0, 0.0),
            (0.01, 0.0),
            (0.0666, 0.067),
            (1.46, 1.5),
            (9.99, 10.0),
            (99.4, 99.0),
            (1234.5, 1200.0),
        ] {
            assert_eq!(rounded(rate), told, "{rate}");
        }
    }
}
