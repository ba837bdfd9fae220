//! The network: what is wanted against what is there. Pure.
//!
//! [`Network::handle`] takes one input and the time, and returns what to do now. Inputs may come in any order and more than
//! once; what was asked for and is not there yet is asked for again, with pauses.

mod bindings;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use msgflo_core::{Binding, Participant, ParticipantId, QueueName, Role, discovery};
use serde_json::Value;

use crate::desired::{Desired, PortRef, UnitName};
use crate::library::CommandLine;
use crate::processes::{Exit, Instance, Processes, Step};
use crate::status::{NodeState, NodeStatus, ProcessStatus, Status};
use bindings::{Bindings, Resolution};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// The network is to be another one.
    Desire(Box<Desired>),
    /// That many processes are to serve the role.
    Scale {
        /// The role.
        role: Role,
        /// How many processes.
        instances: u32,
    },
    /// These bindings of ours were in the ledger at the start.
    Remembered(Vec<Binding>),
    /// A participant announced itself.
    Heard(Participant),
    /// The broker made a binding, or said why not.
    Bound(Binding, Result<(), String>),
    /// The broker removed a binding, or said why not.
    Unbound(Binding, Result<(), String>),
    /// A process was started.
    Started {
        /// Which.
        instance: Instance,
        /// Its process id, which is also its process group.
        pid: u32,
    },
    /// A process ended, or could not be started.
    Exited {
        /// Which.
        instance: Instance,
        /// How.
        exit: Exit,
    },
    /// Every process is to end. The bindings stay.
    Stop,
    /// Time has passed.
    Tick,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Start a process.
    Spawn(Instance, CommandLine),
    /// Ask a process to end.
    Terminate(Instance),
    /// End a process.
    Kill(Instance),
    /// Make a binding.
    Bind(Binding),
    /// Remove a binding.
    Unbind(Binding),
    /// Send an initial packet.
    Send(Inlet, Value),
}

/// Where an inport takes messages that are not sent by an outport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inlet {
    /// A queue that its instances share.
    Queue(QueueName),
    /// An exchange behind which every instance has its own queue.
    Exchange(QueueName),
}

/// The state of the network.
#[derive(Debug, Default)]
pub struct Network {
    desired: Desired,
    /// How many processes were asked for; one of each kind where nothing was said.
    scale: HashMap<Role, u32>,
    /// When each participant was last heard.
    heard: BTreeMap<ParticipantId, (Role, Instant)>,
    /// What each role's participants last said of themselves. Kept when they are gone: their queues outlive them.
    described: BTreeMap<Role, Participant>,
    bindings: Bindings,
    processes: Processes,
    stopping: bool,
}

impl Network {
    /// Takes an input at the time `now` and says what to do.
    pub fn handle(&mut self, input: Input, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        match input {
            Input::Desire(desired) => self.desired = *desired,
            Input::Scale { role, instances } => {
                self.scale.insert(role, instances);
            }
            Input::Remembered(bindings) => self.bindings.remember(bindings),
            Input::Heard(participant) => actions.extend(self.heard(participant, now)),
            Input::Bound(binding, result) => self.bindings.bound(&binding, result, now),
            Input::Unbound(binding, result) => self.bindings.unbound(&binding, result, now),
            Input::Started { instance, pid } => self.processes.started(&instance, pid, now),
            Input::Exited { instance, exit } => self.processes.exited(&instance, exit, now),
            Input::Stop => self.stopping = true,
            Input::Tick => {}
        }
        self.heard.retain(|_, (_, heard)| now.saturating_duration_since(*heard) < discovery::EXPIRY);
        actions.extend(self.plan(now));
        actions
    }

    /// When [`handle`](Self::handle) is to be called with [`Input::Tick`], if nothing happens before.
    pub fn wake(&self) -> Option<Instant> {
        let expiry = self.heard.values().map(|(_, heard)| *heard + discovery::EXPIRY).min();
        [self.processes.wake(), self.bindings.wake(), expiry].into_iter().flatten().min()
    }

    /// Whether [`Input::Stop`] was given and no process is left.
    pub fn has_stopped(&self) -> bool {
        self.stopping && self.processes.are_gone()
    }

    /// What is wanted now.
    pub fn desired(&self) -> &Desired {
        &self.desired
    }

    /// The processes that serve `role`. `None`: it is not ours to start.
    pub fn processes(&self, role: &Role) -> Option<ProcessStatus> {
        self.desired.unit_of(role).map(|unit| self.process_status(unit))
    }

    fn heard(&mut self, participant: Participant, now: Instant) -> Vec<Action> {
        let role = participant.role.clone();
        let is_new = self.heard.insert(participant.id.clone(), (role.clone(), now)).is_none();
        let mut actions = Vec::new();
        if is_new {
            // It may have made its queues and exchanges anew: what we bound to them may be gone with the old ones.
            let ports = participant.inports.iter().chain(&participant.outports);
            for queue in ports.filter_map(|port| port.queue.as_ref()) {
                self.bindings.renew(queue);
            }
            let initials = self.desired.initials.iter().filter(|(target, _)| target.role == role);
            actions.extend(
                initials.filter_map(|(target, data)| {
                    Some(Action::Send(inlet(&participant, target)?, data.clone()))
                }),
            );
        }
        self.described.insert(role, participant);
        actions
    }

    fn plan(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        let units: BTreeSet<UnitName> =
            self.desired.units.keys().chain(self.processes.units()).cloned().collect();
        for unit in units {
            let steps = self.processes.plan(&unit, self.wanted(&unit), now);
            actions.extend(steps.into_iter().filter_map(|step| self.action(step)));
        }
        if !self.stopping {
            let (desired, described) = (&self.desired, &self.described);
            let resolutions = desired
                .connections
                .iter()
                .map(|connection| (connection.clone(), Resolution::of(connection, described)));
            actions.extend(self.bindings.plan(&resolutions.collect::<Vec<_>>(), now));
        }
        actions
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

    /// The state of everything, to show.
    pub fn status(&self, now: Instant) -> Status {
        Status {
            nodes: self.desired.nodes.keys().map(|role| self.node_status(role, now)).collect(),
            edges: self
                .desired
                .connections
                .iter()
                .map(|connection| {
                    self.bindings.status(connection, &Resolution::of(connection, &self.described))
                })
                .collect(),
        }
    }

    fn node_status(&self, role: &Role, now: Instant) -> NodeStatus {
        let node = &self.desired.nodes[role];
        let heard: Vec<_> = self.heard.iter().filter(|(_, (heard, _))| heard == role).collect();
        let described = self.described.get(role);
        let process = node.unit.as_ref().map(|unit| self.process_status(unit));
        let state = match &process {
            None if !heard.is_empty() => NodeState::Up,
            None => NodeState::Missing,
            Some(process) if process.failing > 0 && process.running == 0 => NodeState::Failed,
            Some(process) if process.wanted == 0 && process.running == 0 => NodeState::Idle,
            Some(process) if process.running > 0 && described.is_some() => NodeState::Up,
            Some(_) => NodeState::Starting,
        };
        let last = heard.iter().map(|(_, (_, heard))| *heard).max();
        NodeStatus {
            role: role.clone(),
            component: node.component.clone(),
            state,
            process,
            heard_seconds_ago: last.map(|last| now.saturating_duration_since(last).as_secs()),
            inports: described.map(|participant| participant.inports.clone()).unwrap_or_default(),
            outports: described.map(|participant| participant.outports.clone()).unwrap_or_default(),
            queues: Vec::new(),
        }
    }

    fn process_status(&self, unit: &UnitName) -> ProcessStatus {
        let wanted = self.wanted(unit);
        let slots = self.processes.unit(unit);
        ProcessStatus {
            name: unit.to_string(),
            command: self.desired.units.get(unit).map(|unit| unit.command.to_string()).unwrap_or_default(),
            wanted,
            running: slots.map_or(0, |slots| slots.running()),
            stopping: slots.map_or(0, |slots| slots.stopping()),
            failing: slots.map_or(0, |slots| slots.failing()),
            restarts: slots.map_or(0, |slots| slots.restarts),
            pids: slots.map(|slots| slots.pids().collect()).unwrap_or_default(),
            last_exit: slots.and_then(|slots| slots.last_exit.clone()),
        }
    }
}

/// Where initial packets for a port of `participant` go.
fn inlet(participant: &Participant, target: &PortRef) -> Option<Inlet> {
    let port = participant.inport(&target.port)?;
    let queue = port.queue.clone()?;
    Some(if port.delivers_to_each() { Inlet::Exchange(queue) } else { Inlet::Queue(queue) })
}

/// The pause before something that the broker refused is tried again.
const RETRY: Duration = Duration::from_secs(2);
