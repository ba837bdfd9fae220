//! What a configuration would have done with what was recorded: a [`Replay`] in figures and as a chart.

use std::collections::BTreeMap;

use guv_model::{Config, Role, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::replay::{Replay, Use};
use crate::history::{Error, Query, Reader};
use crate::{Outcome, Record};

/// The newest so many decisions are replayed.
const MOST_DECISIONS: usize = 200_000;

/// A role, as it was and as it would have been.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct RolePreview {
    /// The role.
    pub role: String,
    /// Decisions replayed.
    pub observations: u64,
    /// Those in which both asked for the same number.
    pub same: u64,
    /// As it was.
    pub recorded: Use,
    /// As it would have been.
    pub replayed: Use,
    /// What a worker costs per hour, as the configuration that is previewed has it.
    pub price: Option<f64>,
    /// When each point begins, Unix seconds.
    pub at: Vec<f64>,
    /// The most messages that waited.
    pub ready: Vec<Option<f64>>,
    /// The most workers that there were.
    pub was: Vec<Option<f64>>,
    /// The most workers that there would have been.
    pub would_be: Vec<Option<f64>>,
}

/// Previews a configuration on what is recorded between two times, in so many points at most. Roles that were not
/// recorded, or are not in the configuration, are left out. The first of the results is when it begins.
///
/// # Errors
/// [`Error::Access`] when the history cannot be read.
pub fn preview(
    reader: &Reader,
    config: &Config,
    from: Timestamp,
    to: Timestamp,
    points: u32,
) -> Result<(Timestamp, Vec<RolePreview>), Error> {
    let step = (to.saturating_since(from).as_secs_f64() / f64::from(points.max(1))).max(1.0);
    let query = Query { role: None, from, to, changes: false, limit: MOST_DECISIONS };
    let mut replay = Replay::new(config);
    let mut series: BTreeMap<Role, BTreeMap<u64, Point>> = BTreeMap::new();
    let mut first = None;
    reader.for_each(&query, |record| {
        first.get_or_insert(record.at);
        if let Some(decision) = replay.step(&record) {
            let place = (record.at.as_duration().as_secs_f64() / step) as u64;
            let point = series.entry(record.role.clone()).or_default().entry(place).or_default();
            point.take(&record, decision.target.or(decision.current()));
        }
        Ok::<_, Error>(())
    })?;
    let roles = replay.outcomes().into_iter().map(|(role, outcome)| {
        let points = series.remove(&role).unwrap_or_default();
        let column = |value: fn(&Point) -> Option<f64>| points.values().map(value).collect();
        RolePreview {
            price: config.role(&role).and_then(|role| role.price),
            role: role.to_string(),
            observations: outcome.observations,
            same: outcome.same,
            recorded: outcome.recorded,
            replayed: outcome.replayed,
            at: points.keys().map(|place| *place as f64 * step).collect(),
            ready: column(|point| point.ready),
            was: column(|point| point.was),
            would_be: column(|point| point.would_be),
        }
    });
    Ok((first.unwrap_or(from).max(from), roles.collect()))
}

/// The most of each in some time.
#[derive(Default)]
struct Point {
    ready: Option<f64>,
    was: Option<f64>,
    would_be: Option<f64>,
}

impl Point {
    fn take(&mut self, record: &Record, would_be: Option<u32>) {
        let observation = &record.decision.inputs.observation;
        let was = match record.outcome {
            Outcome::Applied { workers } => Some(workers),
            _ => observation.workers.map(|workers| workers.current),
        };
        let most = |known: &mut Option<f64>, seen: Option<f64>| {
            *known = match (*known, seen) {
                (Some(known), Some(seen)) => Some(known.max(seen)),
                (known, seen) => known.or(seen),
            };
        };
        most(&mut self.ready, observation.queue.ready.map(|ready| ready as f64));
        most(&mut self.was, was.map(f64::from));
        most(&mut self.would_be, would_be.map(f64::from));
    }
}
