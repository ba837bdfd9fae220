//! From the settings as written to the configuration in force: inheritance, environment, defaults, and what
//! must hold between several values.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use super::diagnostic::Diagnostics;
use super::settings::{FileSettings, Given, Settings};
use super::tree::Key;
use super::{Config, Environment, Percentile, RoleConfig, Severity, WorkerLimits};
use crate::{AppName, Policy, QueueName, Role, Secret, WorkerName, inverse_normal_cdf};

const PROCESSING: Duration = Duration::from_secs(10);
const DEADLINE: Duration = Duration::from_secs(60);
const BOOT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_secs(30);
const HISTORY: Duration = Duration::from_secs(120);
const MINIMUM: u32 = 1;
const MAXIMUM: u32 = 5;
const PERCENTILE: f64 = 99.0;
const DYNO_SIZE: &str = "standard-1x";

/// How far above the processing time the target is put when the deadline leaves it below.
const LEAST_MARGIN: Duration = Duration::from_millis(10);

/// The configuration of every role. It is only of use when no error was found.
pub(super) fn resolve(
    file: &FileSettings,
    environment: &Environment,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Config> {
    let roles: Vec<_> =
        file.roles.iter().map(|(key, own)| role(key, own, &file.shared, environment, diagnostics)).collect();
    warn_of_shared_workers(file, &roles, diagnostics);
    Some(Config {
        poll_interval: value(&file.shared.poll_interval).unwrap_or(POLL_INTERVAL),
        history: value(&file.shared.history).unwrap_or(HISTORY),
        roles,
    })
}

/// Two roles that set the number of the same workers would undo each other's changes.
fn warn_of_shared_workers(file: &FileSettings, roles: &[RoleConfig], diagnostics: &mut Diagnostics<'_>) {
    let mut seen: HashMap<_, &Role> = HashMap::new();
    for ((key, _), role) in file.roles.iter().zip(roles) {
        if let Some(first) = seen.insert((&role.app, &role.worker), &role.role) {
            diagnostics.push(
                Severity::Warning,
                key.place,
                format!(
                    "roles `{first}` and `{}` both set the number of `{}` workers",
                    role.role, role.worker
                ),
                "sets the number of the same workers",
                "give each a `worker:` of its own; else each undoes what the other does",
            );
        }
    }
}

fn value<T: Clone>(given: &Option<Given<T>>) -> Option<T> {
    given.as_ref().map(|given| given.value.clone())
}

fn role(
    key: &Key,
    own: &Settings,
    shared: &Settings,
    environment: &Environment,
    diagnostics: &mut Diagnostics<'_>,
) -> RoleConfig {
    // The role's own value, else the shared one.
    macro_rules! given {
        ($field:ident) => {
            own.$field.as_ref().or(shared.$field.as_ref())
        };
    }
    macro_rules! inherited {
        ($field:ident) => {
            given!($field).map(|given| given.value.clone())
        };
    }

    let processing = inherited!(processing).unwrap_or(PROCESSING);
    let stddev = inherited!(stddev).filter(|stddev| !stddev.is_zero()).unwrap_or(processing / 2);
    let deadline = inherited!(deadline).unwrap_or(DEADLINE);
    let percentile = inherited!(percentile)
        .or_else(|| Percentile::new(PERCENTILE))
        .expect("the default percentile lies between 0 and 100");
    let limits = WorkerLimits {
        minimum: inherited!(minimum).unwrap_or(MINIMUM),
        maximum: inherited!(maximum).unwrap_or(MAXIMUM),
    };
    if let (Some(minimum), true) = (given!(minimum), limits.minimum > limits.maximum) {
        diagnostics.push(
            Severity::Warning,
            minimum.place,
            format!("role `{}`: minimum {} is above maximum {}", key.text, limits.minimum, limits.maximum),
            "has no effect",
            "the maximum wins; raise it or lower the minimum",
        );
    }

    let computed = target_of(deadline, percentile, stddev);
    let target = match given!(target) {
        Some(given) => Some(given.value),
        None => computed,
    };
    let reachable = target.filter(|target| *target > processing);
    if reachable.is_none() {
        let place = (given!(target).or(given!(deadline)).or(given!(processing)))
            .map_or(key.place, |given| given.place);
        let shown = match (given!(target), target) {
            (Some(given), _) => format!("target {} s", seconds(given.value)),
            (None, Some(target)) => {
                format!("target {} s (deadline {} s less the tail)", seconds(target), seconds(deadline))
            }
            (None, None) => format!("target (deadline {} s less a longer tail)", seconds(deadline)),
        };
        let tail = tail_of(percentile, stddev).max(0.0);
        let least = ((processing.as_secs_f64() + tail) * 100.0).ceil() / 100.0;
        let remedy = match given!(target) {
            Some(_) => {
                format!("raise the target above that, or leave it out and give a deadline above {least} s")
            }
            None => format!("a deadline above {least} s can be met"),
        };
        diagnostics.push(
            Severity::OutOfReach,
            place,
            format!("role `{}`: the {shown} is not above processing {} s", key.text, seconds(processing)),
            "cannot be met, however many workers there are",
            format!(
                "{remedy} for {} % of the jobs (processing {} s, stddev {} s)",
                percentile.percent(),
                seconds(processing),
                seconds(stddev)
            ),
        );
    }

    RoleConfig {
        role: Role::new(&key.text),
        policy: Policy::default(),
        queue: QueueName::new(inherited!(queue).unwrap_or_else(|| key.text.clone())),
        worker: WorkerName::new(inherited!(worker).unwrap_or_else(|| key.text.clone())),
        app: inherited!(app).map(AppName::new).or_else(|| environment.app.clone()),
        broker: inherited!(broker).or_else(|| environment.broker.clone()),
        api_key: inherited!(api_key).map(Secret::new).or_else(|| environment.api_key.clone()),
        status_page: inherited!(status_page).or_else(|| environment.status_page.clone()),
        metric: inherited!(metric),
        dyno_size: inherited!(dyno_size).unwrap_or_else(|| DYNO_SIZE.to_owned()),
        processing,
        stddev,
        deadline,
        boot: inherited!(boot).unwrap_or(BOOT),
        percentile,
        target: reachable.unwrap_or(processing + LEAST_MARGIN),
        target_within_reach: reachable.is_some(),
        concurrency: inherited!(concurrency).unwrap_or(NonZeroU32::MIN),
        limits,
    }
}

/// z·stddev in seconds: how much longer than the mean the last of the wanted share of jobs takes.
fn tail_of(percentile: Percentile, stddev: Duration) -> f64 {
    inverse_normal_cdf(percentile.fraction()) * stddev.as_secs_f64()
}

/// deadline − z·stddev; `None` when that is not even positive.
fn target_of(deadline: Duration, percentile: Percentile, stddev: Duration) -> Option<Duration> {
    Duration::try_from_secs_f64(deadline.as_secs_f64() - tail_of(percentile, stddev)).ok()
}

fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100.0).round() / 100.0
}
