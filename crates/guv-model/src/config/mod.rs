//! The configuration: YAML text in, checked values or located diagnostics out.
//!
//! Three steps, each pure: the text becomes a tree with places ([`tree`]), the tree becomes the settings as
//! they are written ([`settings`]), and the settings, with what is inherited from `*`, from the environment and
//! from the defaults, become a [`Config`] ([`resolve`]). No step stops at its first error.

mod diagnostic;
mod edit;
mod environment;
mod keys;
mod parts;
mod reference;
mod resolve;
mod settings;
mod structured;
mod tree;
mod value;

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    AppName, BrokerUrl, Budget, JobWorkerRatio, Parameters, Policy, QueueNames, Role, Schedule, Secret,
    Timestamp, WorkerName,
};

pub use diagnostic::{ConfigError, Diagnostic, Place, Severity};
pub use edit::{JobStats, update_job_stats};
pub use environment::Environment;
pub use keys::{KEYS, KeyInfo};
pub use parts::{ACTUATORS, OptionInfo, Part, PartInfo, SOURCES, Shape};
pub use reference::{json_schema, keys_table, parts_table};

use diagnostic::Diagnostics;

/// A checked configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Time between two cycles, positive.
    pub poll_interval: Duration,
    /// How far back the estimates lie that scaling down must respect.
    pub history: Duration,
    /// Caps over several roles together.
    pub budgets: Vec<Budget>,
    /// The roles, in the order of the file; at least one.
    pub roles: Vec<RoleConfig>,
}

/// The checked configuration of one role, with everything inherited.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleConfig {
    /// The role.
    pub role: Role,
    /// How the number of workers is found.
    pub policy: Policy,
    /// For [`Policy::Ratio`]: workers against waiting jobs.
    pub job_worker_ratio: JobWorkerRatio,
    /// For [`Policy::Ratio`]: how long nothing may wait or run before the workers go.
    pub down_delay: Duration,
    /// The queues that its jobs wait in.
    pub queues: QueueNames,
    /// The source that is to tell about them; `None` leaves it to the registry.
    pub source: Option<Part>,
    /// The actuator that is to run its workers; `None` leaves it to the registry.
    pub actuator: Option<Part>,
    /// Its workers' name on the platform.
    pub worker: WorkerName,
    /// The application that its workers belong to.
    pub app: Option<AppName>,
    /// The broker that holds the queue.
    pub broker: Option<BrokerUrl>,
    /// The platform's key.
    pub api_key: Option<Secret>,
    /// The statuspage.io page.
    pub status_page: Option<String>,
    /// The statuspage.io metric that gets the jobs in flight.
    pub metric: Option<String>,
    /// The size of a worker, for its cost.
    pub dyno_size: String,
    /// What a worker of that size costs per hour, where it is known.
    pub price: Option<f64>,
    /// Whether `processing` and `stddev` are only a beginning, to be replaced by what is learnt.
    pub learn_processing: bool,
    /// Mean processing time of a job, positive.
    pub processing: Duration,
    /// Standard deviation of the processing time.
    pub stddev: Duration,
    /// The time within which practically all jobs are done, from the moment that they are queued.
    pub deadline: Duration,
    /// The time from asking for a worker to its first job.
    pub boot: Duration,
    /// The share of jobs that should be done within the deadline.
    pub percentile: Percentile,
    /// The deadline less the tail of the processing time; always above `processing`.
    pub target: Duration,
    /// Whether the deadline can be met at all. If not, `target` is a little above `processing`, so that the
    /// role gets a worker for every job that one can hold.
    pub target_within_reach: bool,
    /// Jobs that one worker processes at once.
    pub concurrency: NonZeroU32,
    /// Fewest and most workers, where no schedule says otherwise.
    pub limits: WorkerLimits,
    /// Other limits at certain times.
    pub schedule: Option<Schedule>,
    /// Most workers added by one decision.
    pub max_step_up: Option<NonZeroU32>,
    /// Most workers taken away by one decision.
    pub max_step_down: Option<NonZeroU32>,
    /// After a change, how long no worker is taken away.
    pub cooldown: Duration,
    /// How long a worker that is told to stop may finish what it has.
    pub grace: Duration,
    /// Whether there may be fewer workers than are busy.
    pub stop_busy: bool,
    /// Whether the number of workers is left as it is.
    pub paused: bool,
}

/// Fewest and most workers. The maximum wins where the minimum lies above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerLimits {
    /// Fewest workers.
    pub minimum: u32,
    /// Most workers.
    pub maximum: u32,
}

/// A share of jobs in percent, above 0 and below 100.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Percentile(f64);

impl Percentile {
    /// `None` unless 0 < `percent` < 100.
    pub fn new(percent: f64) -> Option<Self> {
        (percent > 0.0 && percent < 100.0).then_some(Self(percent))
    }

    /// The share in percent.
    pub fn percent(self) -> f64 {
        self.0
    }

    /// The share as a number between 0 and 1.
    pub fn fraction(self) -> f64 {
        self.0 / 100.0
    }
}

impl WorkerLimits {
    /// The number nearest to `workers` that is allowed.
    pub fn bound(self, workers: u32) -> u32 {
        // Not `clamp`, which wants the minimum not to be above the maximum.
        workers.max(self.minimum).min(self.maximum)
    }
}

impl RoleConfig {
    /// The time in which the jobs at hand have to be begun.
    pub fn available(&self) -> Duration {
        self.processing.max(self.target.saturating_sub(self.processing))
    }

    /// The limits in force at a time.
    pub fn limits_at(&self, now: Timestamp) -> WorkerLimits {
        self.schedule.as_ref().map_or(self.limits, |schedule| schedule.limits(self.limits, now))
    }

    /// The same role with another processing time, and all that follows from it.
    pub fn with_processing(&self, processing: Duration, stddev: Duration) -> Self {
        let target = resolve::target_of(self.deadline, self.percentile, stddev);
        let reachable = target.filter(|target| *target > processing);
        Self {
            processing,
            stddev,
            target: reachable.unwrap_or(processing + resolve::LEAST_MARGIN),
            target_within_reach: reachable.is_some(),
            ..self.clone()
        }
    }

    /// The numbers that take part in a decision at a time.
    pub fn parameters(&self, now: Timestamp) -> Parameters {
        Parameters {
            deadline: self.deadline,
            boot: self.boot,
            processing: self.processing,
            target: self.target,
            available: self.available(),
            concurrency: self.concurrency,
            limits: self.limits_at(now),
        }
    }
}

/// The outcome of reading a configuration: what could be made of it, and what is to be said about it.
#[derive(Clone, Debug)]
pub struct Checked {
    config: Option<Config>,
    diagnostics: Vec<Diagnostic>,
}

impl Config {
    /// Reads a configuration (YAML, and so JSON too).
    ///
    /// `environment` gives what the file does not; `allowed` are keys that are let pass though they are unknown.
    /// Every problem is found in one go, and has its place.
    pub fn parse(text: &str, environment: &Environment, allowed: &[String]) -> Checked {
        let mut diagnostics = Diagnostics::new(text);
        let config = match tree::parse(text) {
            Ok(document) => settings::read(&document, allowed, &mut diagnostics)
                .and_then(|settings| resolve::resolve(&settings, environment, &mut diagnostics)),
            Err(syntax) => {
                diagnostics.syntax(syntax);
                None
            }
        };
        let diagnostics = diagnostics.finish();
        let fatal = diagnostics.iter().any(|d| d.severity == Severity::Error);
        Checked { config: config.filter(|_| !fatal), diagnostics }
    }

    /// How many estimates fit into the history: ⌊history ÷ poll interval⌋.
    pub fn window(&self) -> usize {
        let estimates = self.history.as_nanos() / self.poll_interval.as_nanos().max(1);
        usize::try_from(estimates).unwrap_or(usize::MAX)
    }

    /// The configuration of a role.
    pub fn role(&self, role: &Role) -> Option<&RoleConfig> {
        self.roles.iter().find(|r| r.role == *role)
    }
}

/// Where a role is written, if the text can be read.
pub fn place_of(text: &str, role: &Role) -> Option<Place> {
    let tree::Value::Mapping(blocks) = tree::parse(text).ok()?.value else { return None };
    blocks.into_iter().find(|(key, _)| key.text == role.as_str()).map(|(key, _)| key.place)
}

/// Where the value of a key is written that a role has, its own or that of `*`, if the text can be read.
pub fn place_of_key(text: &str, role: &Role, key: &str) -> Option<Place> {
    let tree::Value::Mapping(blocks) = tree::parse(text).ok()?.value else { return None };
    let of_block = |name: &str| {
        let (_, block) = blocks.iter().find(|(block, _)| block.text == name)?;
        let tree::Value::Mapping(keys) = &block.value else { return None };
        keys.iter().find(|(own, _)| own.text == key).map(|(_, value)| value.place)
    };
    of_block(role.as_str()).or_else(|| of_block("*"))
}

impl Checked {
    /// Everything found, in the order of the file.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The configuration, if there is no error of any kind: what a validation wants.
    ///
    /// # Errors
    /// All diagnostics, when one of them is an error or says that a deadline is out of reach.
    pub fn strict(self) -> Result<Config, ConfigError> {
        let clean = self.diagnostics.iter().all(|d| d.severity == Severity::Warning);
        match self.config {
            Some(config) if clean => Ok(config),
            _ => Err(ConfigError { diagnostics: self.diagnostics }),
        }
    }

    /// The configuration if it can be run, with what is to be said about it: what a governor wants.
    ///
    /// A deadline out of reach does not stop a run: such a role is given as many workers as its jobs can use,
    /// and says so in each decision.
    ///
    /// # Errors
    /// All diagnostics, when there is no configuration that could be run.
    pub fn runnable(self) -> Result<(Config, Vec<Diagnostic>), ConfigError> {
        match self.config {
            Some(config) => Ok((config, self.diagnostics)),
            None => Err(ConfigError { diagnostics: self.diagnostics }),
        }
    }
}
