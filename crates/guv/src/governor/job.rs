//! What is done for a partition: look, apply, record. The futures own what they need, so that a slow platform or a
//! silent source of one partition delays no other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use guv_model::{AppName, Occasion, QueueSample, Role, RoleConfig, WorkerCount};
use tokio::time::timeout;

use crate::record::with_causes;
use crate::{Actuator, ActuatorError, Answers, Change, Quota, Record, Recorder, Source, SourceError};

/// One round for a partition, or for some of its members.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) partition: usize,
    /// Indices of members.
    pub(super) members: Vec<usize>,
    pub(super) occasion: Occasion,
    /// The cycle that waits for it; `None` between polls.
    pub(super) cycle: Option<u64>,
}

/// The end of one step of a job.
pub(super) enum Step {
    Looked {
        job: Job,
        seen: Seen,
    },
    Applied {
        job: Job,
        records: Vec<Record>,
        wanted: Vec<Wanted>,
        answers: Answers<(), ActuatorError>,
        attempt: usize,
    },
    Recorded {
        job: Job,
        records: Vec<Arc<Record>>,
    },
}

/// What was seen, by role.
pub(super) struct Seen {
    pub(super) samples: Answers<QueueSample, SourceError>,
    pub(super) counts: Counts,
}

/// What came of counting workers.
pub(super) enum Counts {
    /// There is no actuator.
    Nobody,
    /// What is known has to do.
    Spared,
    /// The platform wants to be left alone for so long.
    Paused(Duration),
    Made {
        answers: Answers<Option<WorkerCount>, ActuatorError>,
        /// What is wrong with workers that can be counted.
        failing: HashMap<Role, String>,
        /// What is left of the requests.
        quota: Option<Quota>,
    },
}

/// A change that is wanted for the member with this index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) index: usize,
    pub(super) current: Option<u32>,
    pub(super) target: u32,
}

/// Whether, and whom, to ask for the workers.
pub(super) enum Count {
    Nobody,
    Spared,
    Paused(Duration),
    Ask(Arc<dyn Actuator>, Option<AppName>),
}

/// Asks source and actuator, side by side.
pub(super) fn look(
    job: Job,
    roles: Vec<Arc<RoleConfig>>,
    source: Arc<dyn Source>,
    count: Count,
    patience: Duration,
) -> BoxFuture<'static, Step> {
    Box::pin(async move {
        let asked: Vec<&RoleConfig> = roles.iter().map(|role| &**role).collect();
        let late = |role: &Role| {
            let what = format!("the source did not answer within {} s", patience.as_secs_f64());
            (role.clone(), Err(SourceError::Unreachable { what, source: None }))
        };
        let sample = async {
            let answers = timeout(patience, source.sample(&asked)).await;
            answers.unwrap_or_else(|_| roles.iter().map(|role| late(&role.role)).collect())
        };
        let counted = async {
            match count {
                Count::Nobody => Counts::Nobody,
                Count::Spared => Counts::Spared,
                Count::Paused(left) => Counts::Paused(left),
                Count::Ask(actuator, app) => {
                    let count = async {
                        let answers = actuator.count(app.as_ref(), &asked).await;
                        (answers, actuator.failing(app.as_ref(), &asked).await)
                    };
                    let (answers, failing) = timeout(patience, count).await.unwrap_or_else(|_| {
                        let late = |role: &Arc<RoleConfig>| (role.role.clone(), Err(no_answer(patience)));
                        (roles.iter().map(late).collect(), HashMap::new())
                    });
                    Counts::Made { answers, failing, quota: actuator.quota(app.as_ref()) }
                }
            }
        };
        let (samples, counts) = tokio::join!(sample, counted);
        Step::Looked { job, seen: Seen { samples, counts } }
    })
}

/// Sends the wanted changes in one batch.
pub(super) fn apply(
    job: Job,
    records: Vec<Record>,
    wanted: Vec<(Wanted, Arc<RoleConfig>)>,
    actuator: Arc<dyn Actuator>,
    app: Option<AppName>,
    patience: Duration,
    attempt: usize,
) -> BoxFuture<'static, Step> {
    Box::pin(async move {
        let changes: Vec<_> = wanted
            .iter()
            .map(|(wanted, role)| Change { role, current: wanted.current, target: wanted.target })
            .collect();
        let answers = timeout(patience, actuator.apply(app.as_ref(), &changes)).await;
        let answers = answers.unwrap_or_else(|_| {
            wanted.iter().map(|(_, role)| (role.role.clone(), Err(no_answer(patience)))).collect()
        });
        let wanted = wanted.iter().map(|(wanted, _)| *wanted).collect();
        Step::Applied { job, records, wanted, answers, attempt }
    })
}

/// Has those records kept that are to be.
pub(super) fn record(
    job: Job,
    records: Vec<Arc<Record>>,
    kept: Vec<Arc<Record>>,
    recorders: Vec<Arc<dyn Recorder>>,
    patience: Duration,
) -> BoxFuture<'static, Step> {
    Box::pin(async move {
        for recorder in recorders {
            match timeout(patience, recorder.record(&kept)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::error!(error = with_causes(&error), "decisions could not be recorded")
                }
                Err(_) => tracing::error!("decisions could not be recorded in time"),
            }
        }
        Step::Recorded { job, records }
    })
}

fn no_answer(patience: Duration) -> ActuatorError {
    ActuatorError::retry(format!("no answer within {} s", patience.as_secs_f64()))
}

/// Work that waits until a partition is free again.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) members: HashMap<usize, Occasion>,
    pub(super) cycles: Vec<u64>,
}
