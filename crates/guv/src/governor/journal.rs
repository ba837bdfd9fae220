//! Telling what happened: the log, the subscribers, the snapshot.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use guv_model::{Role, Timestamp};
use tokio::sync::{broadcast, watch};

use super::Snapshot;
use crate::{Outcome, Record};

/// How an error begins that is only a pause, with a time that becomes less.
const LEFT_ALONE: &str = "the platform wants to be left alone";

/// The error of a role whose platform wants to be left alone for so long.
pub(super) fn left_alone(left: Duration) -> String {
    format!("{LEFT_ALONE} for {} s more", left.as_millis().div_ceil(1000))
}

/// The trouble of a role that has been logged.
#[derive(Default)]
struct Logged {
    error: String,
    /// Since then its platform wants to be left alone.
    left_alone: bool,
}

impl Logged {
    /// Remembers an error; `true` when it is new.
    fn is_news(&mut self, error: &str) -> bool {
        if error.starts_with(LEFT_ALONE) {
            return !std::mem::replace(&mut self.left_alone, true);
        }
        if self.error == error {
            return false;
        }
        *self = Self { error: error.to_owned(), left_alone: false };
        true
    }
}

pub(super) struct Journal {
    records: broadcast::Sender<Arc<Record>>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    /// What has been logged of each role, so that what lasts is logged once.
    logged: HashMap<Role, Logged>,
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
                if self.logged.entry(record.role.clone()).or_default().is_news(error) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_said_once_though_its_end_comes_nearer() {
        let mut logged = Logged::default();
        let pause = |seconds| left_alone(Duration::from_secs(seconds));
        let errors =
            ["429".to_owned(), pause(60), pause(59), "429".to_owned(), pause(60), "503".to_owned(), pause(3)];
        let news = errors.map(|error| logged.is_news(&error));
        assert_eq!(news, [true, true, false, false, false, true, true]);
    }
}
