//! Telling what happened: the log, the subscribers, the snapshot.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use guv_model::{Role, Timestamp};
use tokio::sync::{broadcast, watch};

use super::Snapshot;
use crate::{Outcome, Record};

pub(super) struct Journal {
    records: broadcast::Sender<Arc<Record>>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    /// The error of each role that has been logged, so that one that lasts is logged once.
    logged: HashMap<Role, String>,
    /// The index in the configuration of each record of the snapshot, in order.
    present: Vec<usize>,
    /// Roles whose queue has never been there, said once.
    awaited: HashSet<Role>,
}

impl Journal {
    pub(super) fn new(
        records: broadcast::Sender<Arc<Record>>,
        snapshots: watch::Sender<Arc<Snapshot>>,
    ) -> Self {
        Self { records, snapshots, present: Vec::new(), logged: HashMap::new(), awaited: HashSet::new() }
    }

    /// Writes a record to the log. `absent`: its queue is not there, and never was.
    pub(super) fn log(&mut self, record: &Record, absent: bool) {
        let role = record.role.as_str();
        match record.outcome.error() {
            Some(error) if absent => {
                if self.awaited.insert(record.role.clone()) {
                    tracing::info!(role, reason = error, "waiting for the queue to appear");
                }
            }
            Some(error) => {
                let before = self.logged.insert(record.role.clone(), error.to_owned());
                if before.as_deref() != Some(error) {
                    tracing::warn!(role, error, "the number of workers is left as it is");
                }
            }
            None => {
                if self.logged.remove(&record.role).is_some() | self.awaited.remove(&record.role) {
                    tracing::info!(role, "the role is governed");
                }
            }
        }
        if let Outcome::Applied { workers } = record.outcome {
            tracing::info!(role, workers, why = %record.decision, "the number of workers is changed");
        }
    }

    /// Tells the subscribers, and puts the records into the snapshot, each with its index in the configuration.
    pub(super) fn publish(
        &mut self,
        records: &[(usize, Arc<Record>)],
        completed: Option<u64>,
        now: Timestamp,
    ) {
        for (_, record) in records {
            // Nobody may be listening.
            let _ = self.records.send(record.clone());
        }
        let present = &mut self.present;
        self.snapshots.send_modify(|snapshot| {
            // Copies only while a reader holds the one before: a round costs no more than its own records.
            let snapshot = Arc::make_mut(snapshot);
            for (index, record) in records {
                match present.binary_search(index) {
                    Ok(at) => snapshot.roles[at] = record.clone(),
                    Err(at) => {
                        present.insert(at, *index);
                        snapshot.roles.insert(at, record.clone());
                    }
                }
            }
            snapshot.cycle = completed.map_or(snapshot.cycle, |cycle| snapshot.cycle.max(cycle));
            snapshot.at = Some(now);
        });
    }

    /// Puts the snapshot in the order of another configuration, and drops the roles that it does not have.
    pub(super) fn reorder(&mut self, index: impl Fn(&Role) -> Option<usize>) {
        let present = &mut self.present;
        self.snapshots.send_modify(|snapshot| {
            let snapshot = Arc::make_mut(snapshot);
            let mut known: Vec<_> =
                snapshot.roles.drain(..).filter_map(|record| Some((index(&record.role)?, record))).collect();
            known.sort_by_key(|(index, _)| *index);
            (*present, snapshot.roles) = known.into_iter().unzip();
        });
    }

    /// Tells that the governor has ended as it should.
    pub(super) fn end(&mut self) {
        self.snapshots.send_modify(|snapshot| Arc::make_mut(snapshot).ended = true);
    }
}
