//! What the answers of a platform mean: accepted, to be sent again within a limit just learnt, or failed.

use guv_model::Timestamp;

use super::fleet::{Fleet, Group};
use super::job::Wanted;
use crate::record::with_causes;
use crate::{ActuatorError, Outcome};

/// How often one batch is sent in a round: once as decided, once within the limit that this has taught, and once
/// more for a second limit.
pub(super) const ATTEMPTS: usize = 3;

/// What one answer comes to.
pub(super) enum Settled {
    Done(Outcome),
    /// To be sent again; the outcome is for when that is no longer possible.
    Again {
        wanted: Wanted,
        error: Outcome,
    },
}

/// Remembers what an answer teaches.
pub(super) fn settle(
    fleet: &mut Fleet,
    group: &Group,
    wanted: Wanted,
    answer: Result<(), ActuatorError>,
    now: Timestamp,
) -> Settled {
    let member = &mut fleet.members[wanted.index];
    let error = match answer {
        Ok(()) => {
            member.accepted(wanted.target, now);
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
