//! The governor: queue sources, actuators, and the loop between them.
//!
//! Every poll interval the [`governor`] asks the [`Source`]s what waits in the queues and the [`Actuator`]s how
//! many workers there are, lets the policy of `guv-model` decide for each role, has the changes of each
//! application applied in one batch, and records every decision with all that it was made from.
//!
//! Roles are isolated from each other: a missing queue, an unknown worker type or a refused call is that role's
//! trouble alone. Without data nothing is changed.
//!
//! A source and an actuator of one's own are a trait each:
//!
//! ```
//! use std::collections::HashMap;
//! use std::sync::{Arc, Mutex};
//!
//! use guv::governor::{Governor, Options};
//! use guv::{Actuator, ActuatorError, Answers, Change, Registry, RoleConfig, Sample, Source, SourceError, WorkerCount};
//! use guv::{AppName, Environment};
//! use tokio_util::sync::CancellationToken;
//!
//! /// Every queue holds 100 messages, and nobody works on any.
//! struct Busy;
//!
//! #[guv::async_trait]
//! impl Source for Busy {
//!     async fn sample(&self, roles: &[&RoleConfig]) -> Answers<Sample, SourceError> {
//!         let sample = || Sample { ready: Some(100), unacknowledged: Some(0), ..Sample::default() };
//!         roles.iter().map(|role| (role.role.clone(), Ok(sample()))).collect()
//!     }
//! }
//!
//! /// Workers that are numbers in a map.
//! #[derive(Default)]
//! struct Numbers(Mutex<HashMap<String, u32>>);
//!
//! #[guv::async_trait]
//! impl Actuator for Numbers {
//!     async fn count(&self, _: Option<&AppName>, roles: &[&RoleConfig]) -> Answers<Option<WorkerCount>, ActuatorError> {
//!         let numbers = self.0.lock().expect("no holder panics");
//!         let count = |role: &RoleConfig| WorkerCount::running(numbers.get(role.worker.as_str()).copied().unwrap_or(0));
//!         roles.iter().map(|role| (role.role.clone(), Ok(Some(count(role))))).collect()
//!     }
//!
//!     async fn apply(&self, _: Option<&AppName>, changes: &[Change<'_>]) -> Answers<(), ActuatorError> {
//!         let mut numbers = self.0.lock().expect("no holder panics");
//!         for change in changes {
//!             numbers.insert(change.role.worker.as_str().to_owned(), change.target);
//!         }
//!         changes.iter().map(|change| (change.role.role.clone(), Ok(()))).collect()
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let loaded = guv::config::load("autoscale.guv.yaml", "resize: {max: 25}", &Environment::default(), &[])?;
//! let numbers = Arc::new(Numbers::default());
//! let registry = Registry::new().with_source("busy", Arc::new(Busy)).with_actuator("numbers", numbers.clone());
//!
//! let options = Options { oneshot: true, ..Options::default() };
//! let handle = Governor::start(loaded.config, registry, options, CancellationToken::new())?;
//! handle.finished().await?;
//!
//! assert_eq!(numbers.0.lock().expect("no holder panics")["resize"], 25);
//! let snapshot = handle.snapshot();
//! println!("{}", snapshot.roles[0].decision);
//! # Ok(())
//! # }
//! ```

pub mod actuators;
pub mod config;
pub mod explain;
pub mod governor;
pub mod history;
pub mod reporters;
pub mod service;
pub mod sources;
pub mod tools;

mod actuator;
mod gauges;
mod record;
mod redirect;
mod registry;
mod shell;
mod source;

pub use actuator::{Actuator, ActuatorError, Change, Quota};
pub use async_trait::async_trait;
pub use guv_model as model;
pub use guv_model::{
    Action, AppName, BrokerUrl, Config, Decision, Environment, JobReports, JobTimes, JobWaits, Part,
    QueueName, QueueSample as Sample, Role, RoleConfig, Timestamp, WorkerCount, WorkerName,
};
pub use record::{Outcome, Record, RecordError, Recorder};
pub use registry::{Registry, Unserved};
pub use source::{Source, SourceError, Wake};

use std::collections::HashMap;

/// An answer for each role that was asked about. A role that is left out counts as failed.
pub type Answers<T, E> = HashMap<Role, Result<T, E>>;

/// Any error, as the cause of one of ours.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
