//! The network: what is wanted against what is there. Pure.
//!
//! [`Network::handle`] takes what happened and the time, and returns what to do now. Inputs may come in any order and more
//! than once; what was asked for and is not there yet is asked for again, with pauses.

mod bindings;
mod input;
mod observed;
mod packets;
mod taps;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use msgflo_core::{Binding, Participant, ParticipantId, Role, discovery};

use crate::desired::{Connection, Desired, UnitName};
use crate::processes::{Processes, Step};
use bindings::{Bindings, Resolution};
use packets::Packets;
use taps::Taps;

pub use input::{Action, Input};
pub use packets::{Inlet, Origin, Packet};

/// The pause before something that the broker refused is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// How often what has been bound is bound again, since others can remove it.
const CHECK: Duration = Duration::from_secs(60);

/// The state of the network.
#[derive(Debug)]
pub struct Network {
    desired: Desired,
    /// What each of the desired connections is in terms of the broker.
    resolved: Vec<(Connection, Resolution)>,
    /// The places in `resolved` of the connections that each role has a part in.
    involving: HashMap<Role, Vec<usize>>,
    /// How many processes were asked for; one of each kind where nothing was said.
    scale: HashMap<Role, u32>,
    /// When each participant was last heard, by role.
    heard: BTreeMap<Role, HashMap<ParticipantId, Instant>>,
    /// Before this moment nobody's silence is too long.
    expiry: Option<Instant>,
    /// What each role's participants last said of themselves. Kept when they are gone: their queues outlive them.
    described: BTreeMap<Role, Participant>,
    bindings: Bindings,
    packets: Packets,
    taps: Taps,
    processes: Processes,
    stopping: bool,
    /// Whether something happened that may call for action.
    is_stale: bool,
    /// Grows with every change of what there is to show.
    revision: u64,
}

impl Network {
    /// A network that is to be as `desired` says, on a broker in which an earlier life has bound what is `remembered`.
    ///
    /// Both come first and together, since what is remembered is only kept or removed against what is wanted. The first
    /// actions come with the first input.
    pub fn new(desired: Desired, remembered: Vec<Binding>) -> Self {
        let mut network = Self {
            desired: Desired::default(),
            resolved: Vec::new(),
            involving: HashMap::new(),
            scale: HashMap::new(),
            heard: BTreeMap::new(),
            expiry: None,
            described: BTreeMap::new(),
            bindings: Bindings::remembering(remembered),
            packets: Packets::default(),
            taps: Taps::default(),
            processes: Processes::default(),
            stopping: false,
            is_stale: true,
            revision: 0,
        };
        network.set_desired(desired);
        network
    }

    /// Takes inputs at the time `now` and says what to do.
    pub fn handle(&mut self, inputs: impl IntoIterator<Item = Input>, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        for input in inputs {
            actions.extend(self.take(input, now));
        }
        self.expire(now);
        if self.is_stale || self.wake().is_some_and(|wake| wake <= now) {
            self.is_stale = false;
            self.plan(now, &mut actions);
        }
        actions
    }

    fn take(&mut self, input: Input, now: Instant) -> Option<Action> {
        let mut action = None;
        match input {
            Input::Heard(participant) => {
                self.hear(participant, now);
                return None;
            }
            Input::Bound(binding, Ok(())) => {
                self.revision += 1;
                // Only what waited for it has something to do now.
                self.is_stale |= self.bindings.bound(&binding, Ok(()), now) || !self.packets.is_empty();
                return None;
            }
            Input::Bound(binding, result) => {
                self.bindings.bound(&binding, result, now);
            }
            Input::Checked(binding, Ok(())) => {
                self.is_stale |= self.bindings.bound(&binding, Ok(()), now);
                return None;
            }
            Input::Checked(binding, result) => {
                self.bindings.bound(&binding, result, now);
            }
            Input::Unchecked(binding) => {
                self.is_stale |= self.bindings.unchecked(&binding, now);
                return None;
            }
            Input::Reconnected => self.bindings.renew_all(now),
            Input::Desire(desired) => self.desire(*desired, now),
            Input::Scale { role, instances } => {
                self.scale.insert(role, instances);
            }
            Input::Restart(roles) => {
                let units: BTreeSet<_> =
                    roles.iter().filter_map(|role| self.desired.unit_of(role)).cloned().collect();
                units.iter().for_each(|unit| self.processes.replace(unit));
            }
            Input::Watch(ports) => self.taps.want(ports),
            Input::Send(target, message) => action = self.packets.add_sent(target, message, now),
            Input::Unbound(binding, result) => self.bindings.unbound(&binding, result, now),
            Input::Tapped { port, queue, is_open } => self.taps.tapped(&port, &queue, is_open, now),
            Input::Started { instance, pid } => self.processes.started(&instance, pid, now),
            Input::LeaderEnded { instance } => {
                action = self.processes.leader_ended(&instance, now).then_some(Action::Terminate(instance));
            }
            Input::Exited { instance, exit } => {
                action = self.processes.exited(&instance, exit, now).map(Action::Tell);
                self.forget_the_gone(&instance.unit);
            }
            Input::Stop => self.stopping = true,
            Input::Tick => return None,
        }
        self.revision += 1;
        self.is_stale = true;
        action
    }

    /// When [`handle`](Self::handle) is to be called with [`Input::Tick`], if nothing happens before.
    pub fn wake(&self) -> Option<Instant> {
        let processes = self.processes.wake();
        if self.stopping {
            // Nothing else is looked after any more.
            return processes;
        }
        let own = [processes, self.bindings.wake(), self.taps.wake(), self.packets.wake(), self.expiry];
        own.into_iter().flatten().min()
    }

    /// Whether [`Input::Stop`] was given and no process is left.
    pub fn has_stopped(&self) -> bool {
        self.stopping && self.processes.are_gone()
    }

    /// What is wanted now.
    pub fn desired(&self) -> &Desired {
        &self.desired
    }

    /// A number that grows with every change of the [`status`](Self::status).
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// What participants have last said of themselves, by role.
    pub fn described(&self) -> impl Iterator<Item = &Participant> {
        self.described.values()
    }

    /// Whether everything that should happen soon has happened: no process is starting, no connection between participants
    /// that are here is still to be made, and no packet waits.
    pub fn has_settled(&self) -> bool {
        self.packets.is_empty() && self.connections_have_settled()
    }

    fn connections_have_settled(&self) -> bool {
        let is_awaited = |role: &Role| self.is_awaited(role);
        let edge_has_settled = |(connection, resolution): &(Connection, Resolution)| {
            !is_awaited(&connection.source.role)
                && !is_awaited(&connection.target.role)
                && self.bindings.has_settled(resolution)
        };
        self.taps.have_settled(is_awaited) && self.resolved.iter().all(edge_has_settled)
    }

    /// Whether a participant of `role` should appear soon, since we start its process.
    fn is_awaited(&self, role: &Role) -> bool {
        let ours = self.desired.unit_of(role).is_some_and(|unit| self.wanted(unit) > 0);
        ours && !self.heard.contains_key(role)
    }

    fn set_desired(&mut self, desired: Desired) {
        self.resolved = desired
            .connections
            .iter()
            .map(|connection| (connection.clone(), Resolution::of(connection, &self.described)))
            .collect();
        self.involving.clear();
        for (place, (connection, _)) in self.resolved.iter().enumerate() {
            for role in connection.roles() {
                self.involving.entry(role.clone()).or_default().push(place);
            }
        }
        self.desired = desired;
    }

    fn desire(&mut self, desired: Desired, now: Instant) {
        self.packets.keep_initials(&desired.initials);
        for initial in &desired.initials {
            // Others get theirs when they appear.
            if !self.desired.initials.contains(initial) && self.heard.contains_key(&initial.0.role) {
                self.packets.add_initial(&initial.0, &initial.1, now);
            }
        }
        for (name, unit) in &desired.units {
            if self.desired.units.get(name).is_some_and(|before| before.command != unit.command) {
                self.processes.replace(name);
            }
        }
        self.set_desired(desired);
    }

    fn hear(&mut self, participant: Participant, now: Instant) {
        let role = participant.role.clone();
        let known = self.heard.entry(role.clone()).or_default();
        let is_new = known.insert(participant.id.clone(), now).is_none();
        self.expiry.get_or_insert(now + discovery::EXPIRY);
        let is_changed = self.described.get(&role).is_none_or(|before| {
            before.inports != participant.inports || before.outports != participant.outports
        });
        let ports = participant.inports.iter().chain(&participant.outports);
        for queue in ports.filter_map(|port| port.queue.as_ref()) {
            if is_new {
                // It may have made its queues and exchanges anew: what we bound to them may be gone with the old ones.
                self.bindings.renew(queue);
            } else {
                // What was missing may be there now: a participant tells when it has made its ports again.
                self.is_stale |= self.bindings.retry(queue);
            }
        }
        if is_new {
            for (target, data) in self.desired.initials.iter().filter(|(target, _)| target.role == role) {
                self.packets.add_initial(target, data, now);
            }
            if let Some(unit) = self.desired.unit_of(&role) {
                self.processes.announced(unit);
            }
        }
        self.described.insert(role.clone(), participant);
        if is_changed {
            for place in self.involving.get(&role).into_iter().flatten() {
                let (connection, resolution) = &mut self.resolved[*place];
                *resolution = Resolution::of(connection, &self.described);
            }
        }
        if is_new || is_changed {
            self.is_stale = true;
            self.revision += 1;
        }
    }

    /// Forgets who has not been heard for too long.
    fn expire(&mut self, now: Instant) {
        if self.expiry.is_none_or(|expiry| now < expiry) {
            return;
        }
        let before = self.heard.values().map(HashMap::len).sum::<usize>();
        for participants in self.heard.values_mut() {
            participants.retain(|_, heard| now.saturating_duration_since(*heard) < discovery::EXPIRY);
        }
        self.heard.retain(|_, participants| !participants.is_empty());
        let all = || self.heard.values().flat_map(HashMap::values);
        self.expiry = all().min().map(|heard| *heard + discovery::EXPIRY);
        if all().count() < before {
            self.is_stale = true;
            self.revision += 1;
        }
    }

    /// When no process of `unit` is left, its participants are gone, whenever they were heard.
    fn forget_the_gone(&mut self, unit: &UnitName) {
        let is_left = self.processes.unit(unit).is_some_and(|slots| slots.running() + slots.stopping() > 0);
        if let Some(unit) = self.desired.units.get(unit).filter(|_| !is_left) {
            for role in &unit.roles {
                self.heard.remove(role);
            }
        }
    }

    fn plan(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let units: BTreeSet<UnitName> =
            self.desired.units.keys().chain(self.processes.units()).cloned().collect();
        for unit in units {
            let steps = self.processes.plan(&unit, self.wanted(&unit), now);
            actions.extend(steps.into_iter().filter_map(|step| self.action(step)));
        }
        if self.stopping {
            return;
        }
        actions.extend(self.bindings.plan(&self.resolved, now));
        actions.extend(self.taps.plan(&self.described, now));
        if !self.packets.is_empty() {
            let has_settled = self.connections_have_settled();
            let mut packets = std::mem::take(&mut self.packets);
            actions.extend(packets.plan(&self.described, |role| self.is_awaited(role), has_settled, now));
            self.packets = packets;
        }
    }

    fn action(&self, step: Step) -> Option<Action> {
        Some(match step {
            Step::Spawn(instance) => {
                let command = self.desired.units.get(&instance.unit)?.command.clone();
                Action::Spawn(instance, command)
            }
            Step::Terminate(instance) => Action::Terminate(instance),
            Step::Kill(instance) => Action::Kill(instance),
        })
    }

    /// How many processes of a kind there should be.
    fn wanted(&self, name: &UnitName) -> u32 {
        let Some(unit) = self.desired.units.get(name).filter(|_| !self.stopping) else { return 0 };
        let scaled = unit.roles.iter().filter_map(|role| self.scale.get(role)).max();
        // A role whose ports nobody knows needs one process, for as long as it takes to introduce itself: without its
        // queues nothing can be bound, and work for it would be lost.
        let unknown = unit.roles.iter().any(|role| !self.described.contains_key(role));
        scaled.copied().unwrap_or(1).max(u32::from(unknown))
    }
}
