//! One task for each source that can tell of changes as they happen.

use std::sync::Arc;
use std::time::Duration;

use guv_model::RoleConfig;
use tokio::task::JoinSet;

use super::fleet::Fleet;
use crate::record::with_causes;
use crate::{Registry, Source, Wake};

/// The pause after a watch has ended with an error; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Starts watching with every source that serves a role. Dropping the set ends it.
pub(super) fn watch(fleet: &Fleet, registry: &Registry, wake: &Wake) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let mut sources: Vec<usize> = fleet.partitions.iter().map(|partition| partition.source).collect();
    sources.sort_unstable();
    sources.dedup();
    for source in sources {
        let partitions = fleet.partitions.iter().filter(|partition| partition.source == source);
        let indices = partitions.flat_map(|partition| &partition.members);
        let roles = indices.map(|index| RoleConfig::clone(&fleet.members[*index].config)).collect();
        tasks.spawn(keep_watching(registry.source(source).clone(), roles, wake.clone()));
    }
    tasks
}

async fn keep_watching(source: Arc<dyn Source>, roles: Vec<RoleConfig>, wake: Wake) {
    let mut pause = FIRST_PAUSE;
    loop {
        let started = tokio::time::Instant::now();
        let Err(error) = source.watch(&roles, &wake).await else { return };
        if started.elapsed() > LONGEST_PAUSE {
            pause = FIRST_PAUSE;
        }
        tracing::info!(error = with_causes(&error), "queues are only polled until they can be watched again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
