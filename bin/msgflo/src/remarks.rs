//! What a person should know of a network that runs, said once: connections that are not made, and roles that nobody plays.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use msgflo_coordinator::{EdgeState, EdgeStatus, Event, Handle, NodeState, NodeStatus, Status};
use msgflo_core::Role;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Between two looks: what comes and goes meanwhile is no matter.
const PAUSE: Duration = Duration::from_secs(1);
/// How long what looks wrong for good must last.
const MOMENT: Duration = Duration::from_secs(1);
/// How long the target of a connection may take to come.
const ARRIVAL: Duration = Duration::from_secs(10);
/// How long a process that runs may take to announce itself.
const BOOT: Duration = Duration::from_secs(20);

/// Says what there is to say, until the coordinator has ended.
pub(crate) async fn log(coordinator: Handle) {
    let (mut remarks, mut events) = (Remarks::default(), coordinator.events());
    loop {
        events = events.resubscribe();
        let Ok(status) = coordinator.state().await else { return };
        for remark in remarks.look(&status, Instant::now()) {
            remark.log();
        }
        let due = remarks.due();
        let due = async {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = change(&mut events) => tokio::time::sleep(PAUSE).await,
            () = due => {}
        }
    }
}

/// Resolves when the status may be another one.
async fn change(events: &mut Receiver<Event>) {
    while !matches!(events.recv().await, Ok(Event::Changed) | Err(RecvError::Lagged(_) | RecvError::Closed)) {
    }
}

/// Something to say, of a node or a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Remark {
    /// What it is about: a role, or a connection.
    subject: String,
    cause: Cause,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Cause {
    /// The connection cannot be, for this reason.
    Failed(String),
    /// The connection is not there yet, and its source is.
    Dropped(String),
    /// A process runs, and nobody plays the role.
    Silent,
    /// Nobody plays the role, since we cannot start it, for this reason.
    Missing(String),
}

impl Cause {
    /// How long it must last before it is said.
    fn patience(&self) -> Duration {
        match self {
            Self::Failed(_) | Self::Missing(_) => MOMENT,
            Self::Dropped(_) => ARRIVAL,
            Self::Silent => BOOT,
        }
    }
}

impl Remark {
    fn of_node(node: &NodeStatus) -> Option<Self> {
        let cause = match node.state {
            NodeState::Missing => Cause::Missing(node.reason.clone()?),
            NodeState::Starting if node.process.as_ref().is_some_and(|process| process.running > 0) => {
                Cause::Silent
            }
            _ => return None,
        };
        Some(Self { subject: node.role.to_string(), cause })
    }

    fn of_edge(edge: &EdgeStatus, is_up: impl Fn(&Role) -> bool) -> Option<Self> {
        let reason = || edge.reason.clone().unwrap_or_default();
        let cause = match edge.state {
            EdgeState::Failed => Cause::Failed(reason()),
            EdgeState::Pending if is_up(&edge.source.role) => Cause::Dropped(reason()),
            EdgeState::Pending | EdgeState::Bound => return None,
        };
        Some(Self { subject: name(edge), cause })
    }

    fn log(&self) {
        let Self { subject, cause } = self;
        match cause {
            Cause::Failed(reason) => tracing::warn!(edge = subject, reason, "an edge cannot be made"),
            Cause::Dropped(reason) => {
                tracing::warn!(
                    edge = subject,
                    reason,
                    "an edge is not there yet: what its source sends is dropped"
                );
            }
            Cause::Silent => {
                let help = "is it a participant, of this role, and on this broker? `msgflo test participant COMMAND` tells";
                tracing::warn!(role = subject, help, "a process runs and has not announced itself");
            }
            Cause::Missing(reason) => tracing::warn!(role = subject, reason, "nobody plays a role"),
        }
    }
}

fn name(edge: &EdgeStatus) -> String {
    format!("{} -> {}", edge.source, edge.target)
}

/// What there was to say at the last look.
#[derive(Default)]
struct Remarks {
    /// Since when, and whether it was said.
    seen: BTreeMap<Remark, (Instant, bool)>,
}

impl Remarks {
    /// What is to be said now. It is said once for as long as what it is about is in the graph.
    fn look(&mut self, status: &Status, now: Instant) -> Vec<Remark> {
        let states: HashMap<_, _> = status.nodes.iter().map(|node| (&node.role, node.state)).collect();
        let is_up = |role: &Role| states.get(role) == Some(&NodeState::Up);
        let nodes = status.nodes.iter().filter_map(Remark::of_node);
        let edges = status.edges.iter().filter_map(|edge| Remark::of_edge(edge, is_up));
        let present: HashSet<Remark> = nodes.chain(edges).collect();
        let subjects: HashSet<String> = status
            .nodes
            .iter()
            .map(|node| node.role.to_string())
            .chain(status.edges.iter().map(name))
            .collect();
        self.seen.retain(|remark, (_, said)| {
            present.contains(remark) || *said && subjects.contains(&remark.subject)
        });
        for remark in present {
            self.seen.entry(remark).or_insert((now, false));
        }
        let due = self
            .seen
            .iter_mut()
            .filter(|(remark, (since, said))| !said && *since + remark.cause.patience() <= now);
        due.map(|(remark, (_, said))| {
            *said = true;
            remark.clone()
        })
        .collect()
    }

    /// When there will be something to say, if nothing changes before.
    fn due(&self) -> Option<Instant> {
        let waiting = self.seen.iter().filter(|(_, (_, said))| !said);
        waiting.map(|(remark, (since, _))| *since + remark.cause.patience()).min()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use msgflo_coordinator::{Choice, Desired, Input, Instance, Library, Network, UnitName};
    use msgflo_core::{Participant, Port};

    use super::*;

    struct Bench {
        network: Network,
        remarks: Remarks,
        now: Instant,
    }

    impl Bench {
        fn new(graph: &str) -> Self {
            let library =
                Library::parse(r#"{"components": {"my/Double": "double #ROLE"}}"#, Path::new(".")).unwrap();
            let choice = Choice { ignore: ["source", "sink"].map(Into::into).into(), ..Choice::default() };
            let (desired, _) = Desired::checked(&fbp::parse(graph).unwrap(), &library, &choice);
            let mut bench = Self {
                network: Network::new(desired, vec![]),
                remarks: Remarks::default(),
                now: Instant::now(),
            };
            bench.tell(Input::Tick);
            bench
        }

        fn tell(&mut self, input: Input) {
            self.network.handle([input], self.now);
        }

        fn heard(&mut self, role: &str, inports: &[&str], outports: &[&str]) {
            let port = |name: &&str| Port::new(*name, Some(format!("{role}.{name}").into()));
            let mut participant = Participant::new(role, role, "my/Any");
            participant.inports = inports.iter().map(port).collect();
            participant.outports = outports.iter().map(port).collect();
            self.tell(Input::Heard(participant));
        }

        /// What is said now, and then until nothing is left to say.
        fn said(&mut self) -> Vec<(String, Cause)> {
            let mut said = Vec::new();
            loop {
                said.extend(self.remarks.look(&self.network.status(self.now), self.now));
                let Some(due) = self.remarks.due() else { break };
                self.now = due;
            }
            said.into_iter().map(|remark| (remark.subject, remark.cause)).collect()
        }
    }

    #[test]
    fn an_edge_of_a_port_that_is_not_there_is_said_once() {
        let mut bench = Bench::new("source(my/Source) OUTT -> IN sink(my/Sink)");
        assert_eq!(bench.said(), [], "nobody is there yet");
        bench.heard("source", &[], &["OUT"]);
        let reason = "`source` has no outport `outt`; it has: OUT; did you mean `OUT`?".to_owned();
        assert_eq!(bench.said(), [("source.outt -> sink.in".to_owned(), Cause::Failed(reason))]);
        bench.heard("source", &[], &["OUT"]);
        assert_eq!(bench.said(), []);
    }

    #[test]
    fn what_is_sent_to_nobody_is_said() {
        let mut bench = Bench::new("source(my/Source) OUT -> IN sink(my/Sink)");
        bench.heard("source", &[], &["OUT"]);
        let (began, reason) = (bench.now, "`sink` has not announced itself yet".to_owned());
        assert_eq!(bench.said(), [("source.out -> sink.in".to_owned(), Cause::Dropped(reason))]);
        assert_eq!(bench.now, began + ARRIVAL);
    }

    #[test]
    fn a_process_that_says_nothing_and_a_component_that_is_not_there_are_said() {
        let mut bench = Bench::new("double(my/Double) OUT -> IN other(my/Duoble)");
        let instance = Instance { unit: UnitName("double".into()), number: 1 };
        bench.tell(Input::Started { instance, pid: 7 });
        let said = bench.said();
        assert_eq!(said.iter().map(|(subject, _)| subject.as_str()).collect::<Vec<_>>(), ["other", "double"]);
        assert!(matches!(&said[0].1, Cause::Missing(reason) if reason.contains("my/Double")), "{said:?}");
        assert_eq!(said[1].1, Cause::Silent);
    }
}
