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
    /// Roles whose queue has never been there, said once.
    awaited: HashSet<Role>,
}

impl Journal {
    pub(super) fn new(
        records: broadcast::Sender<Arc<Record>>,
        snapshots: watch::Sender<Arc<Snapshot>>,
    ) -> Self {
        Self { records, snapshots, logged: HashMap::new(), awaited: HashSet::new() }
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

    /// Tells the subscribers, and puts the records into the snapshot in the order of `roles`.
    pub(super) fn publish<'r>(
        &mut self,
        records: &[Arc<Record>],
        roles: impl Iterator<Item = &'r Role>,
        completed: Option<u64>,
        now: Timestamp,
    ) {
        for record in records {
            // Nobody may be listening.
            let _ = self.records.send(record.clone());
        }
        let mut fresh: HashMap<&Role, &Arc<Record>> = records.iter().map(|r| (&r.role, r)).collect();
        self.snapshots.send_modify(|snapshot| {
            let mut known: HashMap<Role, Arc<Record>> =
                snapshot.roles.iter().map(|record| (record.role.clone(), record.clone())).collect();
            let latest =
                roles.filter_map(|role| fresh.remove(role).cloned().or_else(|| known.remove(role))).collect();
            *snapshot = Arc::new(Snapshot {
                cycle: completed.map_or(snapshot.cycle, |cycle| snapshot.cycle.max(cycle)),
                at: Some(now),
                dry_run: snapshot.dry_run,
                ended: false,
                roles: latest,
            });
        });
    }

    /// Tells that the governor has ended as it should.
    pub(super) fn end(&mut self) {
        self.snapshots.send_modify(|snapshot| Arc::make_mut(snapshot).ended = true);
    }
}
