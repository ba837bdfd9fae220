//! Having changes applied, and dealing with what the platform makes of them.

use std::time::Duration;

use guv_model::Timestamp;
use tokio::time::timeout;

use super::fleet::{Fleet, Group};
use crate::record::with_causes;
use crate::{Actuator, ActuatorError, Change, Outcome};

/// How often one batch is sent in a cycle: once as decided, once within the limit that this has taught, and once
/// more for a second limit.
const ATTEMPTS: usize = 3;

/// A change that is wanted for the member with this index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) index: usize,
    pub(super) current: Option<u32>,
    pub(super) target: u32,
}

/// Has the changes of one application applied. Gives an outcome for each member that was to be changed.
pub(super) async fn apply(
    fleet: &mut Fleet,
    group: &Group,
    actuator: &dyn Actuator,
    mut wanted: Vec<Wanted>,
    patience: Duration,
    now: Timestamp,
) -> Vec<(usize, Outcome)> {
    let mut outcomes = Vec::new();
    for attempt in 1..=ATTEMPTS {
        let changes: Vec<_> = wanted
            .iter()
            .map(|w| Change { role: &fleet.members[w.index].config, current: w.current, target: w.target })
            .collect();
        let answers = timeout(patience, actuator.apply(group.app.as_ref(), &changes)).await;
        let mut answers = answers.unwrap_or_else(|_| {
            let late = || ActuatorError::retry(format!("no answer within {} s", patience.as_secs_f64()));
            wanted.iter().map(|w| (fleet.members[w.index].config.role.clone(), Err(late()))).collect()
        });

        let mut again = Vec::new();
        for w in wanted {
            let role = &fleet.members[w.index].config.role;
            let answer = answers.remove(role).unwrap_or(Err(ActuatorError::NoAnswer));
            match settle(fleet, group, w, answer, now) {
                Settled::Done(outcome) => outcomes.push((w.index, outcome)),
                Settled::Again { error, .. } if attempt == ATTEMPTS => outcomes.push((w.index, error)),
                Settled::Again { wanted, .. } => again.push(wanted),
            }
        }
        wanted = again;
        if wanted.is_empty() {
            break;
        }
    }
    outcomes
}

/// What one answer comes to.
enum Settled {
    Done(Outcome),
    /// To be sent again; the outcome is for when that is no longer possible.
    Again {
        wanted: Wanted,
        error: Outcome,
    },
}

fn settle(
    fleet: &mut Fleet,
    group: &Group,
    wanted: Wanted,
    answer: Result<(), ActuatorError>,
    now: Timestamp,
) -> Settled {
    let member = &mut fleet.members[wanted.index];
    let error = match answer {
        Ok(()) => {
            member.accepted(wanted.target);
            return Settled::Done(Outcome::Applied { workers: wanted.target });
        }
        Err(error) => error,
    };
    let failed = Outcome::Failed { error: with_causes(&error) };
    match error {
        ActuatorError::Limit { limit, .. } if limit < wanted.target => {
            member.learn_limit(limit, now);
            // No more than there are already is not worth asking for.
            match wanted.current {
                Some(current) if limit <= current => Settled::Done(failed),
                _ => Settled::Again { wanted: Wanted { target: limit, ..wanted }, error: failed },
            }
        }
        ActuatorError::Limit { .. } => {
            // Refused though it is within the limit: that is one for all roles together, and it is used up.
            if let Some(current) = wanted.current {
                member.learn_limit(current, now);
            }
            Settled::Done(failed)
        }
        ActuatorError::Bystander => Settled::Again { wanted, error: failed },
        ActuatorError::Retry { after, .. } => {
            if let Some(after) = after {
                fleet.pause(group, now + after);
            }
            Settled::Done(failed)
        }
        ActuatorError::Fatal { .. } | ActuatorError::NoAnswer => Settled::Done(failed),
    }
}
