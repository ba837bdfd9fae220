//! What is remembered of a role from cycle to cycle.

use crate::policy::EstimateWindow;
use crate::{Decision, Observation, RoleConfig, Timestamp, WorkerLimits};

/// The state machine of one role: an observation goes in, a decision comes out.
///
/// A cycle without data yields a decision to hold and leaves the state as it was.
#[derive(Clone, Debug)]
pub struct RoleState {
    window: EstimateWindow,
}

impl RoleState {
    /// A role of which nothing is remembered, with a window of so many estimates.
    pub fn new(window: usize) -> Self {
        Self { window: EstimateWindow::new(window) }
    }

    /// Decides, and remembers the estimate for the cycles to come.
    pub fn step(&mut self, role: &RoleConfig, observation: &Observation, now: Timestamp) -> Decision {
        let decision = role.policy.decide(role, &self.window, observation, now);
        if let Some(estimate) = &decision.estimate {
            self.window.push(estimate.workers);
        }
        decision
    }

    /// Takes over a changed configuration: the newest estimates are kept, within the new limits.
    pub fn reconfigure(&mut self, window: usize, limits: WorkerLimits) {
        self.window.resize(window);
        self.window.bound(limits);
    }

    /// The estimates that are remembered.
    pub fn window(&self) -> &EstimateWindow {
        &self.window
    }
}
