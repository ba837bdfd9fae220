//! The decisions of guv, pure: configuration, policies, statistics.
//!
//! Everything here is a deterministic function of its arguments. There is no clock (`now` is a
//! [`Timestamp`] that the caller passes), no environment (defaults come in as an [`Environment`]), no
//! file and no socket. The governor of the `guv` crate runs this code against real queues; a simulator
//! runs the very same code against a trace.
//!
//! ```
//! use guv_model::{Config, Environment, Observation, QueueSample, RoleState, Timestamp, WorkerCount};
//!
//! let text = "resize: {queue: resize.IN, deadline: 60, processing: 10, maximum: 40}";
//! let config = Config::parse(text, &Environment::default(), &[]).strict().expect("it is valid");
//! let role = &config.roles[0];
//!
//! let mut state = RoleState::new(config.window());
//! let observation = Observation {
//!     queue: QueueSample { ready: Some(80), unacknowledged: Some(20), ..QueueSample::default() },
//!     workers: Some(WorkerCount::running(3)),
//!     ..Observation::default()
//! };
//! let decision = state.step(role, &observation, Timestamp::from_unix_seconds(1_700_000_000));
//! assert!(decision.target.is_some_and(|workers| workers > 20), "a hundred jobs of 10 s within a minute");
//! assert!(decision.to_string().contains("up at once"));
//! ```
//!
//! Invariants, each held by a test:
//! - a decision lies within the role's limits, or is no change at all;
//! - more jobs never give fewer workers;
//! - what is not known is never taken for zero: without data nothing is changed.
//!
//! It does not talk to anything, keep anything beyond [`RoleState`], or know what a broker is.

mod activity;
mod bound;
mod budget;
mod config;
mod decision;
mod guard;
mod in_flight;
mod learn;
mod names;
mod normal;
mod observation;
mod policy;
mod ratio;
mod schedule;
mod seconds;
pub mod simulation;
mod state;
mod timestamp;

pub use activity::Activity;
pub use bound::Clairvoyant;
pub use budget::Budget;
pub use config::{
    ACTUATORS, Checked, Config, ConfigError, Diagnostic, Environment, JobStats, KEYS, KeyInfo, OptionInfo,
    Part, PartInfo, Percentile, Place, RoleConfig, SOURCES, Severity, Shape, WorkerLimits, json_schema,
    keys_table, parts_table, place_of, place_of_key, update_job_stats,
};
pub use decision::{Action, Decision, Estimate, Inputs, Limit, Parameters, Reason};
pub use in_flight::InFlight;
pub use names::{AppName, BrokerUrl, QueueName, QueueNames, Role, Secret, WorkerName};
pub use normal::inverse_normal_cdf;
pub use observation::{JobReports, JobTimes, JobWaits, Manual, Observation, QueueSample, WorkerCount};
pub use policy::{Demand, Due, EstimateWindow, Forecast, Memory, Need, Policy, Prospect};
pub use ratio::{JobWorkerRatio, Step};
pub use schedule::{BadTime, Rule, Schedule, When};
pub use state::{Occasion, RoleState};
pub use timestamp::Timestamp;
