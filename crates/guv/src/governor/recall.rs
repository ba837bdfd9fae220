//! What was known of the roles before guv began: learnt again from what is kept of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use guv_model::{Config, Role, RoleState, Timestamp};

use crate::record::{Outcome, Recorder};

/// So far back it is looked: bursts that come every night take three nights to be known.
const PAST: Duration = Duration::from_secs(4 * 86_400);
/// No more records are read: a start is not to take longer than some seconds.
const MOST: usize = 100_000;

/// The states of the roles, as they were when the last record was kept. What cannot be read is logged.
pub(super) async fn recall(
    config: Arc<Config>,
    recorders: Vec<Arc<dyn Recorder>>,
    now: Timestamp,
) -> HashMap<Role, RoleState> {
    let read = tokio::task::spawn_blocking(move || {
        let mut states = HashMap::new();
        for recorder in recorders {
            let from = Timestamp::since_epoch(now.as_duration().saturating_sub(PAST));
            let read = recorder.recall(from, now, MOST, &mut |record| {
                let Some(role) = config.role(&record.role) else { return };
                let state =
                    states.entry(role.role.clone()).or_insert_with(|| RoleState::new(config.window()));
                state.step(role, &record.decision.inputs.observation, record.at);
                if let Outcome::Applied { workers } = record.outcome {
                    state.accepted(workers, record.at);
                }
            });
            if let Err(error) = read {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "what was learnt before is not known"
                );
            }
        }
        states.values_mut().for_each(RoleState::handed_over);
        states
    });
    read.await.unwrap_or_default()
}
