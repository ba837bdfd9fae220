//! The decisions of a simulation, kept as those of a run are.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use guv::history::{History, Retention};
use guv::model::simulation::{Scaler, Woken};
use guv::model::{Decision, Observation, Occasion, RoleConfig, RoleState};
use guv::{Outcome, Record, Recorder, Timestamp};

use crate::outcome::Stop;

/// Records are handed over so many at a time, each time in one transaction.
const BATCH: usize = 5000;
/// Decisions that change nothing are kept no more often, where events bring them about.
const OFTEN: Duration = Duration::from_secs(1);

/// A role that is decided upon as in production, and remembers what it decided.
pub(crate) struct Recorded {
    role: RoleConfig,
    state: RoleState,
    /// When the simulation begins, if it is to end now.
    begin: Timestamp,
    /// The first look, in the time of the simulation.
    first: Option<Timestamp>,
    records: Vec<Record>,
}

impl Recorded {
    /// A role of which nothing is remembered yet, in a simulation of so many seconds that ends now.
    pub(crate) fn new(role: RoleConfig, window: usize, length: f64) -> Self {
        let now = crate::when::now().as_duration();
        let begin = Timestamp::since_epoch(now.saturating_sub(Duration::from_secs_f64(length)));
        Self { role, state: RoleState::new(window), begin, first: None, records: Vec::new() }
    }

    fn real(&mut self, simulated: Timestamp) -> Timestamp {
        let first = *self.first.get_or_insert(simulated);
        self.begin + simulated.saturating_since(first)
    }
}

impl Scaler for Recorded {
    fn decide(&mut self, observation: &Observation, now: Timestamp) -> Option<u32> {
        let at = self.real(now);
        let decision = self.state.step(&self.role, observation, at);
        let target = decision.target;
        self.keep(decision, at);
        target
    }

    fn woken(&mut self, observation: &Observation, now: Timestamp) -> Woken {
        let at = self.real(now);
        let decision = self.state.step_on(Occasion::Event, &self.role, observation, at);
        let woken = Woken { target: decision.target, look_again: decision.look_again };
        // As in a run: what changes nothing is kept once a second.
        let is_new = self.records.last().is_none_or(|last| at.saturating_since(last.at) >= OFTEN);
        if woken.target.is_some() || is_new {
            self.keep(decision, at);
        }
        woken
    }

    fn accepted(&mut self, workers: u32, now: Timestamp) {
        let at = self.real(now);
        self.state.accepted(workers, at);
        if let Some(record) = self.records.last_mut() {
            record.outcome = Outcome::Applied { workers };
        }
    }
}

impl Recorded {
    fn keep(&mut self, decision: Decision, at: Timestamp) {
        self.records.push(Record {
            cycle: self.records.len() as u64 + 1,
            at,
            role: self.role.role.clone(),
            app: self.role.app.clone(),
            decision,
            outcome: Outcome::Unchanged,
        });
    }
}

/// A history that simulations are kept in.
pub(crate) struct Kept(History);

impl Kept {
    pub(crate) fn open(path: &Path) -> Result<Self, Stop> {
        History::open(path, Retention::default()).map(Self).map_err(Stop::failed)
    }

    pub(crate) async fn keep(&self, recorded: Recorded) -> Result<(), Stop> {
        let records: Vec<_> = recorded.records.into_iter().map(Arc::new).collect();
        for batch in records.chunks(BATCH) {
            self.0.record(batch).await.map_err(Stop::failed)?;
        }
        Ok(())
    }
}
