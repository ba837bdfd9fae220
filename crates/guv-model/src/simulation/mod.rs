//! A queue, its workers and their platform, simulated, with the policies that run in production.
//!
//! Discrete events, seeded: the same arguments give the same outcome. Jobs wait in one queue and are taken first in, first
//! out; workers take time to start and to stop, are paid from the request to the exit, and are watched from time to time, a
//! little late.
//!
//! It says what a policy would do to a workload; it does not say what the workload will be.

mod engine;
mod outcome;
mod setup;
mod workload;

use std::time::Duration;

use crate::{Observation, Occasion, RoleConfig, RoleState, Timestamp};

pub use outcome::{Outcome, Point, Score};
pub use setup::{Boot, Platform, Tells, Watch};
pub use workload::{Counts, Service, Workload};

/// Whoever decides how many workers there are.
pub trait Scaler {
    /// The number of workers to ask for; `None` leaves it as it is.
    fn decide(&mut self, observation: &Observation, now: Timestamp) -> Option<u32>;

    /// Something has happened between two polls. Whoever only polls does nothing.
    fn woken(&mut self, _observation: &Observation, _now: Timestamp) -> Woken {
        Woken::default()
    }

    /// The platform has accepted so many.
    fn accepted(&mut self, _workers: u32, _now: Timestamp) {}
}

/// What somebody does who is woken between two polls.
#[derive(Clone, Copy, Debug, Default)]
pub struct Woken {
    /// The number of workers to ask for; `None` leaves it as it is.
    pub target: Option<u32>,
    /// After how long to look again, though nothing happens.
    pub look_again: Option<Duration>,
}

/// A role, decided upon as in production.
#[derive(Clone, Debug)]
pub struct RoleScaler {
    role: RoleConfig,
    state: RoleState,
}

impl RoleScaler {
    /// A role of which nothing is remembered yet, with a window of so many estimates.
    pub fn new(role: RoleConfig, window: usize) -> Self {
        Self { role, state: RoleState::new(window) }
    }
}

impl Scaler for RoleScaler {
    fn decide(&mut self, observation: &Observation, now: Timestamp) -> Option<u32> {
        self.state.step(&self.role, observation, now).target
    }

    fn woken(&mut self, observation: &Observation, now: Timestamp) -> Woken {
        let decision = self.state.step_on(Occasion::Event, &self.role, observation, now);
        Woken { target: decision.target, look_again: decision.look_again }
    }

    fn accepted(&mut self, workers: u32, now: Timestamp) {
        self.state.accepted(workers, now);
    }
}

/// Runs `workload` on `platform`, watched as `watch` says, with `initial` workers up at the start.
pub fn simulate(
    workload: &Workload,
    platform: &Platform,
    watch: &Watch,
    scaler: &mut dyn Scaler,
    initial: u32,
    seed: u64,
) -> Outcome {
    engine::Engine::new(workload, platform, watch, seed).run(scaler, initial)
}
