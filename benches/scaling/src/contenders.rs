//! Who is tried.

use anyhow::Result;
use guv_model::simulation::{RoleScaler, Scaler, Watch};
use guv_model::{Config, Environment};

use crate::cells::Cell;
use crate::peers::{BacklogPerInstance, Constant, Keda};
use crate::prototype::Prototype;

/// A policy with its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Contender {
    /// guv's deadline policy; the configured processing time is the true one times this.
    Deadline { wrong_by: f64 },
    /// The original guv.
    Proportional,
    /// The published prototype.
    Prototype,
    /// KEDA with so many messages a worker.
    Keda { per_worker: f64 },
    /// Backlog per instance.
    Backlog,
    /// So many workers all the time.
    Constant { workers: u32 },
}

impl Contender {
    pub(crate) const STANDARD: [Self; 10] = [
        Self::Deadline { wrong_by: 1.0 },
        Self::Deadline { wrong_by: 0.5 },
        Self::Deadline { wrong_by: 2.0 },
        Self::Prototype,
        Self::Proportional,
        Self::Keda { per_worker: 20.0 },
        Self::Keda { per_worker: 3.0 },
        Self::Keda { per_worker: 1.5 },
        Self::Keda { per_worker: 0.75 },
        Self::Backlog,
    ];

    pub(crate) fn name(self) -> String {
        match self {
            Self::Deadline { wrong_by: 1.0 } => "**guv, deadline**".to_owned(),
            Self::Deadline { wrong_by } => format!("guv, deadline, mean configured × {wrong_by}"),
            Self::Proportional => "guv, proportional".to_owned(),
            Self::Prototype => "prototype".to_owned(),
            Self::Keda { per_worker: 20.0 } => "KEDA + HPA, 20 a worker (its default)".to_owned(),
            Self::Keda { per_worker } => format!("KEDA + HPA, {per_worker} a worker"),
            Self::Backlog => "backlog per instance".to_owned(),
            Self::Constant { workers } => format!("constant {workers}, chosen afterwards"),
        }
    }

    /// How it looks at the queue, where it does so in its own way.
    pub(crate) fn watch(self, cell: &Cell) -> Watch {
        let interval = match self {
            Self::Keda { .. } => 15.0,
            Self::Backlog => 60.0,
            _ => cell.watch.interval,
        };
        Watch { interval, ..cell.watch }
    }

    pub(crate) fn scaler(self, cell: &Cell) -> Result<Box<dyn Scaler>> {
        let (service, deadline, minimum) = (cell.service, cell.deadline, cell.minimum);
        Ok(match self {
            Self::Deadline { wrong_by } => guv(cell, "deadline", wrong_by)?,
            Self::Proportional => guv(cell, "proportional", 1.0)?,
            Self::Prototype => Box::new(Prototype::new(deadline, service.mean, service.variation, minimum)),
            Self::Keda { per_worker } => Box::new(Keda::new(per_worker, minimum)),
            Self::Backlog => Box::new(BacklogPerInstance { acceptable: deadline / service.mean, minimum }),
            Self::Constant { .. } => Box::new(Constant),
        })
    }
}

/// A role as an operator would configure it. Where the platform stops the newest workers and lets them finish what they
/// have, busy ones may be stopped.
fn guv(cell: &Cell, policy: &str, wrong_by: f64) -> Result<Box<dyn Scaler>> {
    let mean = cell.service.mean * wrong_by;
    let text = format!(
        "role: {{policy: {policy}, processing: {mean}, stddev: {}, deadline: {}, minimum: {}, maximum: 1000, \
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
