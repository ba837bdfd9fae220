//! From the settings as written to the configuration in force: inheritance, environment, defaults, and what
//! must hold between several values.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::diagnostic::Diagnostics;
use super::keys::nearest;
use super::settings::{FileSettings, Given, Processing, Settings};
use super::tree::Key;
use super::{Config, Environment, Percentile, Place, RoleConfig, Severity, WorkerLimits};
use crate::budget::Budget;
use crate::schedule::{Rule, Schedule};
use crate::{AppName, Policy, QueueName, QueueNames, Role, Secret, WorkerName, inverse_normal_cdf};

const PROCESSING: Duration = Duration::from_secs(10);
const DEADLINE: Duration = Duration::from_secs(60);
const BOOT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_secs(30);
const HISTORY: Duration = Duration::from_secs(120);
const MINIMUM: u32 = 1;
const MAXIMUM: u32 = 5;
const PERCENTILE: f64 = 99.0;
const DYNO_SIZE: &str = "standard-1x";
const DOWN_DELAY: Duration = Duration::from_secs(5);
const GRACE: Duration = Duration::from_secs(30);

/// US dollars per hour, of Heroku's price list.
const PRICES: [(&str, f64); 4] =
    [("standard-1x", 0.035), ("standard-2x", 0.07), ("performance-m", 0.35), ("performance-l", 0.70)];

/// How far above the processing time the target is put when the deadline leaves it below.
pub(super) const LEAST_MARGIN: Duration = Duration::from_millis(10);

/// The configuration of every role. It is only of use when no error was found.
pub(super) fn resolve(
    file: &FileSettings,
    environment: &Environment,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Config> {
    let roles: Vec<RoleConfig> =
        file.roles.iter().map(|(key, own)| role(key, own, &file.shared, environment, diagnostics)).collect();
    warn_of_shared_workers(file, &roles, diagnostics);
    if let (Some(table), true) =
        (&file.shared.job_worker_ratio, roles.iter().all(|role| role.policy != Policy::Ratio))
    {
        warn_of_unused_table("the `'*'` block".to_owned(), Policy::default(), table.place, diagnostics);
    }
    Some(Config {
        poll_interval: value(&file.shared.poll_interval).unwrap_or(POLL_INTERVAL),
        history: value(&file.shared.history).unwrap_or(HISTORY),
        budgets: budgets(file, &roles, diagnostics),
        roles,
    })
}

/// The budgets, with the roles that they are over.
fn budgets(file: &FileSettings, roles: &[RoleConfig], diagnostics: &mut Diagnostics<'_>) -> Vec<Budget> {
    let Some(given) = &file.shared.budgets else { return Vec::new() };
    let mut budgets = Vec::new();
    for settings in &given.value {
        let members: Vec<&RoleConfig> = match &settings.roles {
            None => roles.iter().collect(),
            Some(names) => names
                .iter()
                .filter_map(|name| {
                    let found = roles.iter().find(|role| role.role.as_str() == name.value);
                    if found.is_none() {
                        let help = match nearest(&name.value, roles.iter().map(|role| role.role.as_str())) {
                            Some(near) => format!("did you mean `{near}`?"),
                            None => "name a role of this file".to_owned(),
                        };
                        let message = format!("a budget names the role `{}`, which is not there", name.value);
                        diagnostics.error(name.place, message, "no such role", help);
                    }
                    found
                })
                .collect(),
        };
        if settings.cost.is_some() {
            for role in members.iter().filter(|role| role.price.is_none()) {
                diagnostics.error(
                    given.place,
                    format!(
                        "role `{}` is under a budget of money, but `{}` has no price",
                        role.role, role.dyno_size
                    ),
                    "its cost is not known",
                    format!("add it to the `'*'` block: `prices: {{{}: 0.1}}`", role.dyno_size),
                );
            }
        }
        let fewest: u64 = members.iter().map(|role| u64::from(role.limits.bound(0))).sum();
        if let Some(cap) = settings.workers.filter(|cap| fewest > u64::from(*cap)) {
            diagnostics.push(
                Severity::Warning,
                given.place,
                format!(
                    "the minimums of the roles under this budget add up to {fewest}, above its {cap} workers"
                ),
                "the budget wins",
                "raise it or lower the minimums",
            );
        }
        budgets.push(Budget {
            workers: settings.workers,
            cost_per_hour: settings.cost,
            roles: members.iter().map(|role| role.role.clone()).collect(),
        });
    }
    budgets
}

/// The price of a worker of this size per hour.
fn price(shared: &Settings, size: &str) -> Option<f64> {
    let given = shared.prices.iter().flat_map(|given| &given.value).find(|(name, _)| name == size);
    given.map(|(_, price)| *price).or_else(|| {
        let known = PRICES.iter().find(|(name, _)| name.eq_ignore_ascii_case(size));
        known.map(|(_, price)| *price)
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

/// A minimum that has no effect while a rule of the schedule holds.
fn warn_of_rules(
    role: &Key,
    rules: &[Given<Rule>],
    otherwise: WorkerLimits,
    diagnostics: &mut Diagnostics<'_>,
) {
    for rule in rules {
        let minimum = rule.value.minimum.unwrap_or(otherwise.minimum);
        let maximum = rule.value.maximum.unwrap_or(otherwise.maximum);
        let own = rule.value.minimum.is_some() || rule.value.maximum.is_some();
        if own && minimum > maximum {
            diagnostics.push(
                Severity::Warning,
                rule.place,
                format!(
                    "role `{}`: while this holds, minimum {minimum} is above maximum {maximum}",
                    role.text
                ),
                "the minimum has no effect",
                "the maximum wins; raise it in the same entry, or lower the minimum",
            );
        }
    }
}

fn warn_of_unused_table(whose: String, policy: Policy, place: Place, diagnostics: &mut Diagnostics<'_>) {
    diagnostics.push(
        Severity::Warning,
        place,
        format!("{whose}: `job_worker_ratio` has no effect with `policy: {}`", policy.name()),
        "not looked at",
        "say `policy: ratio`, or leave the table out",
    );
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

    let (processing, learn_processing) = match inherited!(processing) {
        Some(Processing::Mean(mean)) => (mean, false),
        Some(Processing::Auto) => (PROCESSING, true),
        None => (PROCESSING, false),
    };
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
        let places = [given!(target).map(|given| given.place), given!(deadline).map(|given| given.place)];
        let place = places.into_iter().flatten().next();
        let place = place.or(given!(processing).map(|given| given.place)).unwrap_or(key.place);
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

    let boot = inherited!(boot).unwrap_or(BOOT);
    if limits.minimum == 0 && reachable.is_some() && boot + processing > deadline {
        diagnostics.push(
            Severity::Warning,
            given!(deadline).map_or(key.place, |given| given.place),
            format!(
                "role `{}`: a job that finds no worker takes {} s to boot one and {} s to do, longer than the deadline of {} s",
                key.text,
                seconds(boot),
                seconds(processing),
                seconds(deadline)
            ),
            "missed from zero",
            "keep a worker up with `minimum: 1`, or give a longer deadline",
        );
    }

    let named = |names: Vec<String>| QueueNames::new(names.into_iter().map(QueueName::new).collect());
    let queues = inherited!(queue).and_then(named).unwrap_or_else(|| QueueName::new(&key.text).into());
    let zone = inherited!(time_zone).unwrap_or(TimeZone::UTC);
    if let Some(rules) = given!(schedule) {
        warn_of_rules(key, &rules.value, limits, diagnostics);
    }
    let rules = inherited!(schedule).map(|rules| rules.into_iter().map(|rule| rule.value).collect());
    let schedule = rules.map(|rules| Schedule::new(zone, rules));
    let dyno_size = inherited!(dyno_size).unwrap_or_else(|| DYNO_SIZE.to_owned());
    let policy: Policy = inherited!(policy).unwrap_or_default();
    if let (Some(table), true) = (&own.job_worker_ratio, policy != Policy::Ratio) {
        warn_of_unused_table(format!("role `{}`", key.text), policy, table.place, diagnostics);
    }
    RoleConfig {
        role: Role::new(&key.text),
        policy,
        job_worker_ratio: inherited!(job_worker_ratio).unwrap_or_default(),
        down_delay: inherited!(down_delay).unwrap_or(DOWN_DELAY),
        queues,
        source: inherited!(source),
        actuator: inherited!(actuator),
        worker: WorkerName::new(inherited!(worker).unwrap_or_else(|| key.text.clone())),
        app: inherited!(app).map(AppName::new).or_else(|| environment.app.clone()),
        broker: inherited!(broker).or_else(|| environment.broker.clone()),
        api_key: inherited!(api_key).map(Secret::new).or_else(|| environment.api_key.clone()),
        status_page: inherited!(status_page).or_else(|| environment.status_page.clone()),
        metric: inherited!(metric),
        price: price(shared, &dyno_size),
        dyno_size,
        learn_processing,
        processing,
        stddev,
        deadline,
        boot,
        percentile,
        target: reachable.unwrap_or(processing + LEAST_MARGIN),
        target_within_reach: reachable.is_some(),
        concurrency: inherited!(concurrency).unwrap_or(NonZeroU32::MIN),
        limits,
        schedule,
        max_step_up: inherited!(max_step_up),
        max_step_down: inherited!(max_step_down),
        cooldown: inherited!(cooldown).unwrap_or_default(),
        grace: inherited!(grace).unwrap_or(GRACE),
        stop_busy: inherited!(stop_busy).unwrap_or_default(),
        paused: inherited!(paused).unwrap_or_default(),
    }
}

/// z·stddev in seconds: how much longer than the mean the last of the wanted share of jobs takes.
fn tail_of(percentile: Percentile, stddev: Duration) -> f64 {
    inverse_normal_cdf(percentile.fraction()) * stddev.as_secs_f64()
}

/// deadline − z·stddev; `None` when that is not even positive.
pub(super) fn target_of(deadline: Duration, percentile: Percentile, stddev: Duration) -> Option<Duration> {
    Duration::try_from_secs_f64(deadline.as_secs_f64() - tail_of(percentile, stddev)).ok()
}

fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100.0).round() / 100.0
}
