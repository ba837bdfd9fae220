//! Looks at what outports send: taps that are wanted, and those that there are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use msgflo_core::{Participant, QueueName, Role};

use super::{Action, RETRY};
use crate::desired::PortRef;

#[derive(Debug)]
enum Stage {
    /// Asked for. Left when the broker answers.
    Opening,
    /// There.
    Open,
    /// The broker said no, or it has ended. Asked for again at `retry`.
    Failed { retry: Instant },
}

#[derive(Debug)]
struct Tap {
    queue: QueueName,
    stage: Stage,
}

/// The taps.
#[derive(Debug, Default)]
pub(crate) struct Taps {
    wanted: BTreeSet<PortRef>,
    entries: BTreeMap<PortRef, Tap>,
}

impl Taps {
    pub(crate) fn want(&mut self, wanted: BTreeSet<PortRef>) {
        self.wanted = wanted;
    }

    /// The broker has opened a tap, or it failed or ended.
    pub(crate) fn tapped(&mut self, port: &PortRef, queue: &QueueName, is_open: bool, now: Instant) {
        if let Some(tap) = self.entries.get_mut(port).filter(|tap| tap.queue == *queue) {
            tap.stage = if is_open { Stage::Open } else { Stage::Failed { retry: now + RETRY } };
        }
    }

    pub(crate) fn plan(&mut self, described: &BTreeMap<Role, Participant>, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        let resolved: BTreeMap<&PortRef, &QueueName> = self
            .wanted
            .iter()
            .filter_map(|port| Some((port, described.get(&port.role)?.outport(&port.port)?.queue.as_ref()?)))
            .collect();
        self.entries.retain(|port, tap| {
            let stays = resolved.get(port).is_some_and(|queue| **queue == tap.queue);
            if !stays {
                actions.push(Action::Untap(port.clone()));
            }
            stays
        });
        for (port, queue) in resolved {
            let is_due = match self.entries.get(port).map(|tap| &tap.stage) {
                None => true,
                Some(Stage::Failed { retry }) => *retry <= now,
                Some(Stage::Opening | Stage::Open) => false,
            };
            if is_due {
                self.entries.insert(port.clone(), Tap { queue: queue.clone(), stage: Stage::Opening });
                actions.push(Action::Tap(port.clone(), queue.clone()));
            }
        }
        actions
    }

    /// Whether none is being opened, nor will be when one of the awaited participants has appeared.
    pub(crate) fn have_settled(&self, is_awaited: impl Fn(&Role) -> bool) -> bool {
        self.entries.values().all(|tap| !matches!(tap.stage, Stage::Opening))
            && !self.wanted.iter().any(|port| is_awaited(&port.role))
    }

    pub(crate) fn wake(&self) -> Option<Instant> {
        let retries = self.entries.values().filter_map(|tap| match tap.stage {
            Stage::Failed { retry } => Some(retry),
            Stage::Opening | Stage::Open => None,
        });
        retries.min()
    }
}
