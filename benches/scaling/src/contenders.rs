//! Who is tried.

use anyhow::Result;
use guv_model::simulation::{RoleScaler, Scaler, Tells, Watch};
use guv_model::{Config, Environment};

use crate::cells::Cell;
use crate::peers::{BacklogPerInstance, Constant, Judoscale, Keda, Metric, WorkerPods};
use crate::prototype::Prototype;

/// A policy with its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Contender {
    /// guv's deadline policy; the configured processing time is the true one times this.
    Deadline { wrong_by: f64 },
    /// The original guv.
    Proportional,
    /// A table of waiting jobs, a worker for each so many (DynoScaler).
    Ratio { per_worker: u32 },
    /// The published prototype.
    Prototype,
    /// KEDA by a metric, so much of it a worker.
    Keda { metric: Metric, per_worker: f64 },
    /// Judoscale with its thresholds, seconds.
    Judoscale { upper: f64, lower: f64 },
    /// Backlog per instance.
    Backlog,
    /// worker-pod-autoscaler with so many messages a worker.
    WorkerPods { target: f64 },
    /// So many workers all the time.
    Constant { workers: u32 },
}

/// What is run as it comes.
pub(crate) const STANDARD: [Contender; 7] = [
    Contender::Deadline { wrong_by: 1.0 },
    Contender::Deadline { wrong_by: 0.5 },
    Contender::Deadline { wrong_by: 2.0 },
    Contender::Prototype,
    Contender::Proportional,
    Contender::Keda { metric: Metric::Length, per_worker: 20.0 },
    Contender::Backlog,
];

/// Those with a setting, and the settings that are tried on other days: the one that keeps the promise for the least money
/// is run.
pub(crate) fn tunable() -> Vec<Vec<Contender>> {
    let keda = |metric| move |per_worker| Contender::Keda { metric, per_worker };
    let judoscale = [(2.0, 0.5), (5.0, 1.0), (10.0, 2.0), (20.0, 5.0), (30.0, 10.0), (60.0, 20.0)];
    let constants = (1..=40).chain((45..=120).step_by(5)).map(|workers| Contender::Constant { workers });
    vec![
        [0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0].map(keda(Metric::Length)).to_vec(),
        [0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0].map(keda(Metric::ConsumptionTime)).to_vec(),
        [0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0].map(|target| Contender::WorkerPods { target }).to_vec(),
        judoscale.map(|(upper, lower)| Contender::Judoscale { upper, lower }).to_vec(),
        [1, 2, 3, 5, 8].map(|per_worker| Contender::Ratio { per_worker }).to_vec(),
        constants.collect(),
    ]
}

impl Contender {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Deadline { wrong_by: 1.0 } => "**guv, deadline**".to_owned(),
            Self::Deadline { wrong_by } => format!("guv, deadline, mean configured × {wrong_by}"),
            Self::Proportional => "guv, proportional".to_owned(),
            Self::Ratio { per_worker } => format!("table, {per_worker} jobs a worker"),
            Self::Prototype => "prototype".to_owned(),
            Self::Keda { metric: Metric::Length, per_worker: 20.0 } => {
                "KEDA, 20 messages a worker (its default)".to_owned()
            }
            Self::Keda { metric: Metric::Length, per_worker } => {
                format!("KEDA, {per_worker} messages a worker")
            }
            Self::Keda { metric: Metric::ConsumptionTime, per_worker } => {
                format!("KEDA, {per_worker} s of consumption a worker")
            }
            Self::Judoscale { upper, lower } => format!("Judoscale, {lower} to {upper} s"),
            Self::Backlog => "backlog per instance".to_owned(),
            Self::WorkerPods { target } => format!("worker-pod-autoscaler, {target} messages"),
            Self::Constant { workers } => format!("constant {workers}"),
        }
    }

    /// Whether it can decide anything by what is told. Who cannot is not tried, for nobody would use it there.
    pub(crate) fn can_do_with(&self, tells: Tells) -> bool {
        match self {
            Self::Deadline { .. } | Self::Proportional | Self::Ratio { .. } | Self::Constant { .. } => true,
            Self::Backlog => true,
            Self::Judoscale { .. } | Self::Keda { metric: Metric::Length, .. } => tells != Tells::Ready,
            Self::Prototype | Self::WorkerPods { .. } => tells == Tells::All,
            Self::Keda { metric: Metric::ConsumptionTime, .. } => tells == Tells::All,
        }
    }

    /// How it looks at the queue: in its own way, if it has one.
    pub(crate) fn watch(self, watch: Watch) -> Watch {
        let interval = match self {
            Self::Keda { .. } => 15.0,
            Self::Judoscale { .. } => 10.0,
            Self::Backlog => 60.0,
            // It does nothing then.
            Self::Constant { .. } => 600.0,
            _ => watch.interval,
        };
        Watch { interval, ..watch }
    }

    pub(crate) fn scaler(self, cell: &Cell) -> Result<Box<dyn Scaler>> {
        let (service, deadline, minimum) = (cell.service, cell.deadline, cell.minimum);
        Ok(match self {
            Self::Deadline { wrong_by } => guv(cell, "policy: deadline", wrong_by)?,
            Self::Proportional => guv(cell, "policy: proportional", 1.0)?,
            Self::Ratio { per_worker } => {
                let rows: Vec<_> = (1..=200).map(|n| format!("{n}: {}", (n - 1) * per_worker + 1)).collect();
                let keys = format!("policy: ratio, job_worker_ratio: {{{}}}", rows.join(", "));
                guv(cell, &keys, 1.0)?
            }
            Self::Prototype => Box::new(Prototype::new(deadline, service.mean, service.variation, minimum)),
            Self::Keda { metric, per_worker } => Box::new(Keda::new(metric, per_worker, minimum)),
            Self::Judoscale { upper, lower } => Box::new(Judoscale::new(upper, lower, minimum.max(1))),
            Self::Backlog => Box::new(BacklogPerInstance { acceptable: deadline / service.mean, minimum }),
            Self::WorkerPods { target } => {
                Box::new(WorkerPods { target, seconds_per_job: service.mean, minimum })
            }
            Self::Constant { .. } => Box::new(Constant),
        })
    }

    /// The workers at the start.
    pub(crate) fn initial(self, cell: &Cell) -> u32 {
        let workers = if let Self::Constant { workers } = self { workers } else { cell.initial };
        workers.min(cell.platform.limit)
    }
}

/// A role as an operator would configure it. Where the platform stops the newest workers and lets them finish what they
/// have, busy ones may be stopped.
fn guv(cell: &Cell, policy: &str, wrong_by: f64) -> Result<Box<dyn Scaler>> {
    let mean = cell.service.mean * wrong_by;
    let text = format!(
        "role: {{{policy}, processing: {mean}, stddev: {}, deadline: {}, minimum: {}, maximum: 1000, \
         boot: 55, stop_busy: {}}}",
        mean * cell.service.variation,
        cell.deadline,
        cell.minimum,
        !cell.platform.idle_first,
    );
    let (config, _) = Config::parse(&text, &Environment::default(), &[]).runnable()?;
    let window = config.window();
    let role = config.roles.into_iter().next().expect("one role is written above");
    Ok(Box::new(RoleScaler::new(role, window)))
}
