//! What is remembered of a role for its policy, from cycle to cycle.

use crate::{Decision, InFlight, Timestamp};

use super::EstimateWindow;
use super::deadline::History;

/// What is remembered of a role for its policy.
#[derive(Clone, Debug)]
pub struct Memory {
    /// The estimates of the recent past.
    pub window: EstimateWindow,
    /// Since when nothing has waited and nothing was known to run.
    pub idle_since: Option<Timestamp>,
    /// For [`Policy::Deadline`](crate::Policy::Deadline).
    pub(crate) deadline: History,
}

impl Memory {
    /// Nothing yet, with a window of so many estimates.
    pub fn new(window: usize) -> Self {
        Self::of(EstimateWindow::new(window))
    }

    /// These estimates, and nothing else yet.
    pub fn of(window: EstimateWindow) -> Self {
        Self { window, idle_since: None, deadline: History::default() }
    }

    /// Nobody has watched for a while. What was learnt stays.
    pub(crate) fn begin_to_watch(&mut self) {
        self.window.clear();
        self.idle_since = None;
        self.deadline.begin_to_watch();
    }

    /// Takes in a decision of a poll; one without data leaves everything as it was.
    pub(crate) fn polled(&mut self, decision: &Decision) {
        if let Some(estimate) = &decision.estimate {
            self.window.push(estimate.workers);
        }
        self.note(decision);
    }

    /// Takes in a decision between two polls: the window counts polls, so that it covers the same time however
    /// much happens; a higher estimate raises the last one.
    pub(crate) fn woken(&mut self, decision: &Decision) {
        if let Some(estimate) = &decision.estimate {
            self.window.raise(estimate.workers);
        }
        self.note(decision);
    }

    fn note(&mut self, decision: &Decision) {
        self.deadline.decided(decision);
        let Some(ready) = decision.inputs.observation.queue.ready else { return };
        let running = match decision.inputs.in_flight {
            InFlight::Counted(jobs) | InFlight::Reported(jobs) => jobs > 0,
            InFlight::AtMost(_) | InFlight::Unknown => false,
        };
        if ready > 0 || running {
            self.idle_since = None;
        } else {
            self.idle_since.get_or_insert(decision.at);
        }
    }
}
