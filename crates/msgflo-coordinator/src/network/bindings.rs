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
    /// A participant that has not announced itself. The ends, if those are known and it is another one.
    Unknown(Role, Option<Ends>),
    /// It can never be, and why. The ends, if they are there.
    Impossible(String, Option<Ends>),
    /// Both ends are the same queue or topic: messages flow without a binding.
    Direct(QueueName),
    /// A binding.
    Binding(Binding),
}

/// What a connection comes from and goes to in the broker.
type Ends = (QueueName, QueueName);

impl Resolution {
    pub(crate) fn of(connection: &Connection, described: &BTreeMap<Role, Participant>) -> Self {
        match Self::binding(connection, described) {
            Ok(binding) if binding.source() == binding.target() => Self::Direct(binding.source().clone()),
            Ok(binding) => Self::Binding(binding),
            Err(unresolved) => unresolved,
        }
    }

    /// What it comes from and goes to in the broker, once that is known.
    fn ends(&self) -> Option<Ends> {
        match self {
            Self::Unknown(_, ends) | Self::Impossible(_, ends) => ends.clone(),
            Self::Direct(both) => Some((both.clone(), both.clone())),
            Self::Binding(binding) => Some(ends(binding)),
        }
    }

    fn binding(connection: &Connection, described: &BTreeMap<Role, Participant>) -> Result<Binding, Self> {
        let find =
            |end: &PortRef| described.get(&end.role).ok_or_else(|| Self::Unknown(end.role.clone(), None));
        let source = queue(find(&connection.source)?, &connection.source, Direction::Out)?.1;
        let (port, target) = queue(find(&connection.target)?, &connection.target, Direction::In)?;
        let with_ends = |unresolved: Self| {
            let ends = Some((source.clone(), target.clone()));
            match unresolved {
                Self::Unknown(role, _) => Self::Unknown(role, ends),
                Self::Impossible(reason, _) => Self::Impossible(reason, ends),
                resolved => resolved,
            }
        };
        Ok(match &connection.routing {
            Routing::PubSub if port.delivers_to_each() => Binding::Broadcast { source, target },
            Routing::PubSub => Binding::PubSub { source, target },
            Routing::Impossible(reason) => return Err(with_ends(Self::Impossible(reason.clone(), None))),
            Routing::RoundRobin { deadletter, retry } => {
                let deadletter = deadletter
                    .as_ref()
                    .map(|end| queue(find(end)?, end, Direction::In).map(|(_, queue)| queue))
                    .transpose()
                    .map_err(with_ends)?;
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
        let meant = fbp::did_you_mean(name.as_str(), known.iter().copied());
        let meant = meant.map(|port| format!("; did you mean `{port}`?")).unwrap_or_default();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let reason = format!("`{role}` has no {kind} `{name}`; it has: {known}{meant}");
        return Err(Resolution::Impossible(reason, None));
    };
    match &port.queue {
        Some(queue) => Ok((port, queue.clone())),
        None => {
            let reason = format!("the {kind} `{name}` of `{role}` is not connected to the broker");
            Err(Resolution::Impossible(reason, None))
        }
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

    /// What could not be made of `queue` is tried again now. Whether there is any.
    pub(crate) fn retry(&mut self, queue: &QueueName) -> bool {
        let mut is_any = false;
        for binding in self.by_queue.get(queue).into_iter().flatten() {
            let failed =
                self.entries.get_mut(binding).filter(|entry| matches!(entry.stage, Stage::Failed { .. }));
            if let Some(entry) = failed {
                entry.stage = Stage::Wanted;
                is_any = true;
            }
        }
        is_any
    }

    /// All may have gone, and is asked for again now.
    pub(crate) fn renew_all(&mut self, now: Instant) {
        self.check = Some(now);
        for entry in self.entries.values_mut() {
            match &mut entry.stage {
                // Perhaps answered by a broker that has forgotten it since.
                Stage::Binding | Stage::Checking => entry.stage = Stage::BindingAgain,
                Stage::Failed { retry, .. } => *retry = now,
                Stage::Wanted | Stage::BindingAgain | Stage::Bound | Stage::Unbinding => {}
            }
        }
    }

    /// Whether a binding is there could not be told, and is asked again soon. Whether something is to be done at once.
    pub(crate) fn unchecked(&mut self, binding: &Binding, now: Instant) -> bool {
        let soon = now + RETRY;
        self.check = Some(self.check.map_or(soon, |check| check.min(soon)));
        self.bound(binding, Ok(()), now)
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
        // A connection that is wanted otherwise than before is the same one still: as long as it is not known what it is to
        // be, it stays as it was.
        let is_waiting = |resolution: &Resolution| {
            matches!(resolution, Resolution::Unknown(..) | Resolution::Impossible(_, Some(_)))
        };
        let waiting: Vec<_> = wanted.iter().filter(|(_, resolution)| is_waiting(resolution)).collect();
        let waiting_ports: HashSet<_> =
            waiting.iter().map(|(connection, _)| (&connection.source, &connection.target)).collect();
        let waiting_ends: HashSet<_> =
            waiting.iter().filter_map(|(_, resolution)| resolution.ends()).collect();
        // What takes the place of another is made before that is removed.
        let is_coming = |stage: &Stage| matches!(stage, Stage::Wanted | Stage::Binding | Stage::BindingAgain);
        let some_unknown = wanted.iter().any(|(_, resolution)| matches!(resolution, Resolution::Unknown(..)));
        for (binding, entry) in &mut self.entries {
            entry.is_orphan = match &entry.claim {
                Some(claim) => match by_connection.get(claim) {
                    Some(resolution) => !keep(binding, resolution),
                    None => !waiting_ports.contains(&(&claim.source, &claim.target)),
                },
                // Of an earlier life: it stays until every participant is known and none of them needs it.
                None => !some_unknown && !waiting_ends.contains(&ends(binding)),
            };
        }
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
            } else if due && entry.is_orphan {
                if coming.is_empty() || !coming.contains(&ends(binding)) {
                    entry.stage = Stage::Unbinding;
                    actions.push(Action::Unbind(binding.clone()));
                } else if let Stage::Failed { retry, .. } = &mut entry.stage {
                    // What takes its place may take long; it is not looked at all the time until then.
                    *retry = now + RETRY;
                }
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

    /// Why a connection is not as it is wanted, and whether there is one as it was before.
    fn meanwhile(&self, ends: Option<&Ends>, reason: String) -> Option<String> {
        let stands = |(source, target): &Ends| {
            let bindings = self.by_queue.get(target).into_iter().flatten();
            bindings.filter(|binding| binding.source() == source && binding.target() == target).any(
                |binding| {
                    let stage = self.entries.get(binding).map(|entry| &entry.stage);
                    matches!(stage, Some(Stage::Bound | Stage::Checking))
                },
            )
        };
        Some(if ends.is_some_and(stands) {
            format!("{reason}; until then it is as it was before")
        } else {
            reason
        })
    }

    pub(crate) fn status(&self, connection: &Connection, resolution: &Resolution) -> EdgeStatus {
        let (state, reason) = match resolution {
            Resolution::Unknown(role, ends) => {
                let reason = format!("`{role}` has not announced itself yet");
                (EdgeState::Pending, self.meanwhile(ends.as_ref(), reason))
            }
            Resolution::Impossible(reason, ends) => {
                (EdgeState::Failed, self.meanwhile(ends.as_ref(), reason.clone()))
            }
            Resolution::Direct(_) => (EdgeState::Bound, None),
            Resolution::Binding(binding) => match self.entries.get(binding).map(|entry| &entry.stage) {
                Some(Stage::Bound | Stage::Checking) => (EdgeState::Bound, None),
                Some(Stage::Failed { reason, .. }) => (EdgeState::Failed, Some(reason.clone())),
                _ => (EdgeState::Pending, Some("the broker is being asked".to_owned())),
            },
        };
        let (source_queue, target_queue) = resolution.ends().unzip();
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

fn ends(binding: &Binding) -> Ends {
    (binding.source().clone(), binding.target().clone())
}

/// Whether a binding of ours is to stay, by what its connection is now.
fn keep(binding: &Binding, resolution: &Resolution) -> bool {
    match resolution {
        Resolution::Binding(now) => now == binding,
        Resolution::Unknown(..) | Resolution::Impossible(_, Some(_)) => true,
        Resolution::Direct(_) | Resolution::Impossible(_, None) => false,
    }
}
