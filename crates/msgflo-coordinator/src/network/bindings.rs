//! The connections of the graph as bindings in the broker.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Instant;

use msgflo_core::{Binding, Participant, Port, QueueName, Role};

use super::{Action, CHECK, RETRY};
use crate::desired::{Connection, PortRef, Routing};
use crate::status::{EdgeState, EdgeStatus};

/// What a connection is in terms of the broker, as far as the participants have said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// A participant that has not announced itself.
    Unknown(Role),
    /// It can never be, and why.
    Impossible(String),
    /// Both ends are the same queue or topic: messages flow without a binding.
    Direct(QueueName),
    /// A binding.
    Binding(Binding),
}

impl Resolution {
    pub(crate) fn of(connection: &Connection, described: &BTreeMap<Role, Participant>) -> Self {
        match Self::binding(connection, described) {
            Ok(binding) if binding.source() == binding.target() => Self::Direct(binding.source().clone()),
            Ok(binding) => Self::Binding(binding),
            Err(unresolved) => unresolved,
        }
    }

    /// What it comes from and goes to in the broker, once that is known.
    fn ends(&self) -> Option<(&QueueName, &QueueName)> {
        match self {
            Self::Unknown(_) | Self::Impossible(_) => None,
            Self::Direct(both) => Some((both, both)),
            Self::Binding(binding) => Some((binding.source(), binding.target())),
        }
    }

    fn binding(connection: &Connection, described: &BTreeMap<Role, Participant>) -> Result<Binding, Self> {
        let find = |end: &PortRef| described.get(&end.role).ok_or_else(|| Self::Unknown(end.role.clone()));
        let source = queue(find(&connection.source)?, &connection.source, Direction::Out)?.1;
        let (port, target) = queue(find(&connection.target)?, &connection.target, Direction::In)?;
        Ok(match &connection.routing {
            Routing::PubSub if port.delivers_to_each() => Binding::Broadcast { source, target },
            Routing::PubSub => Binding::PubSub { source, target },
            Routing::Impossible(reason) => return Err(Self::Impossible(reason.clone())),
            Routing::RoundRobin { deadletter, retry } => {
                let deadletter = deadletter
                    .as_ref()
                    .map(|end| queue(find(end)?, end, Direction::In).map(|(_, queue)| queue))
                    .transpose()?;
                Binding::RoundRobin { source, target, deadletter, retry: *retry }
            }
        })
    }
}

#[derive(Clone, Copy)]
enum Direction {
    In,
    Out,
}

/// The queue of a participant's port, or why there is none.
fn queue<'p>(
    participant: &'p Participant,
    end: &PortRef,
    direction: Direction,
) -> Result<(&'p Port, QueueName), Resolution> {
    let (kind, ports) = match direction {
        Direction::In => ("inport", &participant.inports),
        Direction::Out => ("outport", &participant.outports),
    };
    let PortRef { role, port: name } = end;
    let Some(port) = ports.iter().find(|port| port.id.matches(name)) else {
        let known: Vec<_> = ports.iter().map(|port| port.id.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(Resolution::Impossible(format!("`{role}` has no {kind} `{name}`; it has: {known}")));
    };
    match &port.queue {
        Some(queue) => Ok((port, queue.clone())),
        None => Err(Resolution::Impossible(format!(
            "the {kind} `{name}` of `{role}` is not connected to the broker"
        ))),
    }
}

/// Where a binding is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// Will be made: it is new, or may have gone. Left at the next plan.
    Wanted,
    /// Asked for. Left when the broker answers.
    Binding,
    /// As [`Stage::Binding`], and to be asked for once more, because a participant came meanwhile.
    BindingAgain,
    /// There.
    Bound,
    /// There, as far as is known, and asked for again. Left when the broker answers.
    Checking,
    /// The broker said no. Asked for again at `retry`.
    Failed { reason: String, retry: Instant },
    /// Asked to be removed. Left when the broker answers.
    Unbinding,
}

#[derive(Debug)]
struct Entry {
    stage: Stage,
    /// The connection that it was made for. `None`: an earlier life made it, and no connection has claimed it yet.
    claim: Option<Connection>,
    /// Whether its connection was gone when it was last looked at.
    is_orphan: bool,
}

/// The bindings that are ours, or will be.
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    entries: BTreeMap<Binding, Entry>,
    /// The same by the queues and exchanges that they are made of, so that a participant which appears costs what its own
    /// bindings cost.
    by_queue: HashMap<QueueName, BTreeSet<Binding>>,
    /// When all that are there are asked for again.
    check: Option<Instant>,
}

impl Bindings {
    /// Takes over what an earlier life has bound.
    pub(crate) fn remembering(bindings: Vec<Binding>) -> Self {
        let mut remembering = Self::default();
        for binding in bindings {
            remembering.insert(binding, Entry { stage: Stage::Bound, claim: None, is_orphan: false });
        }
        remembering
    }

    fn insert(&mut self, binding: Binding, entry: Entry) {
        for queue in binding.queues() {
            self.by_queue.entry(queue.clone()).or_default().insert(binding.clone());
        }
        self.entries.insert(binding, entry);
    }

    fn remove(&mut self, binding: &Binding) {
        self.entries.remove(binding);
        for queue in binding.queues() {
            if let Some(bindings) = self.by_queue.get_mut(queue) {
                bindings.remove(binding);
                if bindings.is_empty() {
                    self.by_queue.remove(queue);
                }
            }
        }
    }

    /// The broker has made a binding, or said why not. Whether it must be asked once more.
    pub(crate) fn bound(&mut self, binding: &Binding, result: Result<(), String>, now: Instant) -> bool {
        let Some(entry) = self.entries.get_mut(binding) else { return false };
        entry.stage = match (&entry.stage, result) {
            (Stage::BindingAgain, _) => Stage::Wanted,
            (_, Ok(())) => Stage::Bound,
            (_, Err(reason)) => Stage::Failed { reason, retry: now + RETRY },
        };
        // One whose connection has gone meanwhile is to be removed, and so is another one that it has taken the place of.
        let again = entry.stage == Stage::Wanted || entry.is_orphan;
        again || self.has_replaced(binding)
    }

    /// Whether a binding between the same ends waits for this one, to be removed.
    fn has_replaced(&self, binding: &Binding) -> bool {
        let others = self.by_queue.get(binding.target()).into_iter().flatten();
        others.filter(|other| *other != binding && other.source() == binding.source()).any(|other| {
            self.entries.get(other).is_some_and(|entry| entry.is_orphan && entry.stage == Stage::Bound)
        })
    }

    /// Whether nothing is under way for a connection.
    pub(crate) fn has_settled(&self, resolution: &Resolution) -> bool {
        let Resolution::Binding(binding) = resolution else { return true };
        self.entries
            .get(binding)
            .is_some_and(|entry| matches!(entry.stage, Stage::Bound | Stage::Checking | Stage::Failed { .. }))
    }

    pub(crate) fn unbound(&mut self, binding: &Binding, result: Result<(), String>, now: Instant) {
        match result {
            Ok(()) => self.remove(binding),
            Err(reason) => {
                if let Some(entry) = self.entries.get_mut(binding) {
                    entry.stage = Stage::Failed { reason, retry: now + RETRY };
                }
            }
        }
    }

    /// What `queue` is part of may have gone with it, and is made again.
    pub(crate) fn renew(&mut self, queue: &QueueName) {
        for binding in self.by_queue.get(queue).into_iter().flatten() {
            let Some(entry) = self.entries.get_mut(binding) else { continue };
            entry.stage = match &entry.stage {
                Stage::Binding | Stage::BindingAgain | Stage::Checking => Stage::BindingAgain,
                Stage::Unbinding => Stage::Unbinding,
                Stage::Wanted | Stage::Bound | Stage::Failed { .. } => Stage::Wanted,
            };
        }
    }

    /// Brings the bindings closer to the connections that are wanted.
    pub(crate) fn plan(&mut self, wanted: &[(Connection, Resolution)], now: Instant) -> Vec<Action> {
        for (connection, resolution) in wanted {
            let Resolution::Binding(binding) = resolution else { continue };
            if !self.entries.contains_key(binding) {
                let new = Entry { stage: Stage::Wanted, claim: None, is_orphan: false };
                self.insert(binding.clone(), new);
            }
            let Some(entry) = self.entries.get_mut(binding) else { continue };
            if entry.claim.as_ref() != Some(connection) {
                // Whoever claims a binding of an earlier life makes sure that it is there.
                if entry.stage == Stage::Bound && entry.claim.is_none() {
                    entry.stage = Stage::Wanted;
                }
                entry.claim = Some(connection.clone());
            }
        }
        let by_connection: HashMap<&Connection, &Resolution> =
            wanted.iter().map(|(connection, resolution)| (connection, resolution)).collect();
        // What takes the place of another is made before that is removed.
        let is_coming = |stage: &Stage| matches!(stage, Stage::Wanted | Stage::Binding | Stage::BindingAgain);
        let some_unknown = wanted.iter().any(|(_, resolution)| matches!(resolution, Resolution::Unknown(_)));
        for (binding, entry) in &mut self.entries {
            entry.is_orphan = match &entry.claim {
                Some(claim) => !keep(binding, by_connection.get(claim).copied()),
                // Of an earlier life: it stays until every participant is known and none of them needs it.
                None => !some_unknown,
            };
        }
        let ends = |binding: &Binding| (binding.source().clone(), binding.target().clone());
        let coming: HashSet<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| !entry.is_orphan && is_coming(&entry.stage))
            .map(|(binding, _)| ends(binding))
            .collect();
        let is_check_due = *self.check.get_or_insert(now + CHECK) <= now;
        if is_check_due {
            self.check = Some(now + CHECK);
        }
        let mut actions = Vec::new();
        for (binding, entry) in &mut self.entries {
            let due = match &entry.stage {
                Stage::Wanted | Stage::Bound => true,
                Stage::Failed { retry, .. } => *retry <= now,
                Stage::Binding | Stage::BindingAgain | Stage::Checking | Stage::Unbinding => false,
            };
            if due && !entry.is_orphan && entry.stage != Stage::Bound {
                entry.stage = Stage::Binding;
                actions.push(Action::Bind(binding.clone()));
            } else if is_check_due && entry.stage == Stage::Bound && entry.claim.is_some() && !entry.is_orphan
            {
                entry.stage = Stage::Checking;
                actions.push(Action::Check(binding.clone()));
            } else if due && entry.is_orphan && (coming.is_empty() || !coming.contains(&ends(binding))) {
                entry.stage = Stage::Unbinding;
                actions.push(Action::Unbind(binding.clone()));
            }
        }
        actions
    }

    pub(crate) fn wake(&self) -> Option<Instant> {
        let retries = self.entries.values().filter_map(|entry| match &entry.stage {
            Stage::Failed { retry, .. } => Some(*retry),
            _ => None,
        });
        retries.chain(self.check.filter(|_| !self.entries.is_empty())).min()
    }

    pub(crate) fn status(&self, connection: &Connection, resolution: &Resolution) -> EdgeStatus {
        let (state, reason) = match resolution {
            Resolution::Unknown(role) => {
                (EdgeState::Pending, Some(format!("`{role}` has not announced itself yet")))
            }
            Resolution::Impossible(reason) => (EdgeState::Failed, Some(reason.clone())),
            Resolution::Direct(_) => (EdgeState::Bound, None),
            Resolution::Binding(binding) => match self.entries.get(binding).map(|entry| &entry.stage) {
                Some(Stage::Bound | Stage::Checking) => (EdgeState::Bound, None),
                Some(Stage::Failed { reason, .. }) => (EdgeState::Failed, Some(reason.clone())),
                _ => (EdgeState::Pending, Some("the broker is being asked".to_owned())),
            },
        };
        let (source_queue, target_queue) =
            resolution.ends().map(|(source, target)| (source.clone(), target.clone())).unzip();
        EdgeStatus {
            source: connection.source.clone(),
            target: connection.target.clone(),
            source_queue,
            target_queue,
            round_robin: matches!(connection.routing, Routing::RoundRobin { .. }),
            rate: None,
            deadletter: match &connection.routing {
                Routing::RoundRobin { deadletter, .. } => deadletter.clone(),
                Routing::PubSub | Routing::Impossible(_) => None,
            },
            state,
            reason,
        }
    }
}

/// Whether a binding of ours is to stay, by what its connection is now.
fn keep(binding: &Binding, resolution: Option<&Resolution>) -> bool {
    match resolution {
        // Its connection is no longer wanted.
        None => false,
        Some(Resolution::Binding(now)) => now == binding,
        Some(Resolution::Unknown(_)) => true,
        Some(Resolution::Direct(_) | Resolution::Impossible(_)) => false,
    }
}
