//! What is remembered of a role from cycle to cycle.

use std::time::Duration;

use crate::guard::{self, Accepted};
use crate::learn::Learner;
use crate::policy::{EstimateWindow, Memory};
use crate::{Action, Decision, Observation, Policy, RoleConfig, Timestamp, WorkerLimits};

/// The state machine of one role: an observation goes in, a decision comes out.
///
/// A cycle without data yields a decision to hold and leaves the state as it was.
#[derive(Clone, Debug)]
pub struct RoleState {
    memory: Memory,
    learner: Learner,
    accepted: Option<Accepted>,
    /// When it was last looked at, and how long after the look before.
    looked: Option<(Timestamp, Duration)>,
}

/// After a pause of so long, where it is looked more often, nobody has watched: whoever works may not have been seen.
const UNWATCHED: Duration = Duration::from_secs(600);

/// A look after an event may see a job that whoever watches the queue never does: it is done before the next glance. Then no
/// event tells of its end, and only a second look does.
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// Why the role is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// It is time.
    Poll,
    /// Something has happened between two polls.
    Event,
}

impl RoleState {
    /// A role of which nothing is remembered, with a window of so many estimates.
    pub fn new(window: usize) -> Self {
        Self { memory: Memory::new(window), learner: Learner::default(), accepted: None, looked: None }
    }

    /// Decides at a poll, and remembers what the cycles to come have to know.
    pub fn step(&mut self, role: &RoleConfig, observation: &Observation, now: Timestamp) -> Decision {
        self.step_on(Occasion::Poll, role, observation, now)
    }

    /// Decides, and remembers what the cycles to come have to know.
    pub fn step_on(
        &mut self,
        occasion: Occasion,
        role: &RoleConfig,
        observation: &Observation,
        now: Timestamp,
    ) -> Decision {
        if self.is_back(now) {
            self.memory.begin_to_watch();
        }
        let looks_ahead = role.policy == Policy::Deadline;
        let learnt = (role.learn_processing || looks_ahead).then(|| {
            self.learner.observe(role, observation, now);
            self.learner.applied_to(role)
        });
        let role = learnt.as_ref().unwrap_or(role);
        if looks_ahead {
            self.memory.deadline.observe(role, observation, now);
        }
        let mut decision = role.policy.decide(role, &self.memory, observation, now);
        match occasion {
            Occasion::Poll => self.memory.polled(&decision),
            Occasion::Event => self.memory.woken(&decision),
        }
        guard::guard(&mut decision, role, self.accepted, self.memory.window.is_full(), now);
        if occasion == Occasion::Event && decision.action == Action::Up {
            decision.look_again.get_or_insert(SECOND_LOOK);
        }
        decision
    }

    /// Whether it is looked again after a pause.
    fn is_back(&mut self, now: Timestamp) -> bool {
        let before = self.looked;
        let gap = before.map_or(Duration::ZERO, |(at, _)| now.saturating_since(at));
        self.looked = Some((now, gap));
        before.is_some_and(|(_, usual)| gap > UNWATCHED.max(usual.saturating_mul(4)))
    }

    /// The platform has accepted so many workers.
    pub fn accepted(&mut self, workers: u32, now: Timestamp) {
        self.accepted = Some(Accepted { workers, at: now });
        self.memory.deadline.accepted(workers, now);
    }

    /// Somebody else goes on with what is known: what was asked for last may not have come, and may be asked for again.
    pub fn handed_over(&mut self) {
        self.accepted = None;
    }

    /// Takes over a changed configuration: the newest estimates are kept, within the new limits.
    pub fn reconfigure(&mut self, window: usize, limits: WorkerLimits) {
        self.memory.window.resize(window);
        self.memory.window.bound(limits);
    }

    /// The estimates that are remembered.
    pub fn window(&self) -> &EstimateWindow {
        &self.memory.window
    }
}
