//! The state of the network, to show.

use std::time::Instant;

use msgflo_core::Role;

use super::Network;
use crate::desired::UnitName;
use crate::status::{NodeState, NodeStatus, ProcessStatus, Status};

impl Network {
    /// The processes that serve `role`. `None`: it is not ours to start.
    pub fn processes(&self, role: &Role) -> Option<ProcessStatus> {
        self.desired.unit_of(role).map(|unit| self.process_status(unit))
    }

    /// The state of everything, to show.
    pub fn status(&self, now: Instant) -> Status {
        Status {
            settled: self.has_settled(),
            nodes: self.desired.nodes.keys().map(|role| self.node_status(role, now)).collect(),
            edges: self
                .resolved
                .iter()
                .map(|(connection, resolution)| self.bindings.status(connection, resolution))
                .collect(),
        }
    }

    fn node_status(&self, role: &Role, now: Instant) -> NodeStatus {
        let node = &self.desired.nodes[role];
        let heard = self.heard.get(role);
        let described = self.described.get(role);
        let process = node.unit.as_ref().map(|unit| self.process_status(unit));
        let state = match &process {
            _ if !node.started => NodeState::Stopped,
            None if heard.is_some() => NodeState::Up,
            None => NodeState::Missing,
            Some(process) if process.failing > 0 && process.running == 0 => NodeState::Failed,
            Some(process) if process.wanted == 0 && process.running == 0 => NodeState::Idle,
            Some(process) if process.running > 0 && heard.is_some() => NodeState::Up,
            Some(_) => NodeState::Starting,
        };
        let reason = match state {
            NodeState::Missing => {
                node.problem.as_ref().map(|problem| format!("{problem} ({})", problem.help()))
            }
            // Also when one that is to take another's place does not come up.
            NodeState::Failed | NodeState::Up
                if process.as_ref().is_some_and(|process| process.failing > 0) =>
            {
                process.as_ref().and_then(|process| process.last_exit.as_ref()).map(ToString::to_string)
            }
            _ => None,
        };
        let last = heard.and_then(|participants| participants.values().max());
        NodeStatus {
            role: role.clone(),
            component: node.component.clone(),
            state,
            reason,
            process,
            heard_seconds_ago: last.map(|last| now.saturating_duration_since(*last).as_secs()),
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
            since: slots.map(|slots| slots.since().collect()).unwrap_or_default(),
            last_exit: slots.and_then(|slots| slots.last_exit.clone()),
        }
    }
}
