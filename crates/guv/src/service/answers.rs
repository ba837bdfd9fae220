//! What is asked and answered, as types: the document and the page's types are made from these.

use guv_model::{Diagnostic, Limit, RoleConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::May;
use crate::explain::{Expectation, Line, explain};
use crate::history::{Chart, Operation};
use crate::reporters::{Alert, alerts};
use crate::tools::preview::RolePreview;
use crate::{Outcome, Record};

/// Who asks, and what they may do.
#[derive(Serialize, JsonSchema)]
pub(super) struct Me {
    /// The name of the token.
    pub(super) name: String,
    /// The one application that it opens; `null` opens all.
    pub(super) app: Option<String>,
    pub(super) may: May,
    /// Whether applications and tokens may be added and removed.
    pub(super) administers: bool,
    /// Whether this guv keeps applications (`guv serve`), or has one configuration.
    pub(super) keeps_apps: bool,
    /// Whether the configuration can be read and changed here.
    pub(super) configures: bool,
    /// Of guv.
    pub(super) version: &'static str,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct AppList {
    pub(super) apps: Vec<AppInfo>,
}

/// An application.
#[derive(Serialize, JsonSchema)]
pub(super) struct AppInfo {
    pub(super) id: String,
    /// Its name on the platform.
    pub(super) platform_app: Option<String>,
    /// Whether the platform's token is kept. It is never shown.
    pub(super) has_platform_token: bool,
    /// Whether a governor runs: there is a configuration that can be used.
    pub(super) is_governed: bool,
    pub(super) roles: usize,
    /// Rounds since the start.
    pub(super) cycle: u64,
    /// Roles that need somebody's attention.
    pub(super) troubled: usize,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewApp {
    pub(super) id: String,
    /// Its name on the platform; the id if it is left out.
    pub(super) platform_app: Option<String>,
    /// The platform's key.
    pub(super) platform_token: Option<String>,
    pub(super) config: Option<String>,
}

/// An application that was added.
#[derive(Serialize, JsonSchema)]
pub(super) struct AddedApp {
    pub(super) id: String,
    /// A token that opens it, shown this once.
    pub(super) token: String,
    /// The version of its configuration, if it has one.
    pub(super) version: Option<i64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Platform {
    /// The name on the platform; as it was if it is left out.
    pub(super) platform_app: Option<String>,
    /// The platform's key; as it was if it is left out.
    pub(super) platform_token: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Removed {
    pub(super) removed: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct TokenList {
    pub(super) tokens: Vec<TokenInfo>,
}

/// A token, as far as it is kept.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct TokenInfo {
    /// The first digits of its hash.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) may: May,
    /// When it was made, Unix seconds; 0 is not known.
    pub(super) at: i64,
    /// Whether this request came with it.
    pub(super) is_yours: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    pub(super) name: String,
    /// `write` if it is left out.
    pub(super) may: Option<May>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct AddedToken {
    pub(super) name: String,
    /// Shown this once.
    pub(super) token: String,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct NewConfig {
    pub(super) config: String,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigText {
    pub(super) config_yaml: String,
    /// 0 where no version is kept yet.
    pub(super) version: i64,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Versions {
    pub(super) versions: Vec<super::store::Version>,
}

/// What is to be said about a configuration.
#[derive(Serialize, JsonSchema)]
pub(super) struct Verdict {
    /// Whether it could be taken into force.
    pub(super) is_usable: bool,
    pub(super) diagnostics: Vec<Said>,
}

/// One thing to say about a configuration, and where.
#[derive(Serialize, JsonSchema)]
pub(super) struct Said {
    pub(super) severity: Gravity,
    pub(super) message: String,
    /// A few words for the marked place.
    pub(super) label: String,
    /// What to do next.
    pub(super) help: String,
    /// From 1.
    pub(super) line: u32,
    /// In characters, from 1.
    pub(super) column: u32,
    /// First byte.
    pub(super) start: usize,
    /// The byte after the last.
    pub(super) end: usize,
}

/// How bad it is.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Gravity {
    Error,
    OutOfReach,
    Warning,
}

impl From<&Diagnostic> for Said {
    fn from(diagnostic: &Diagnostic) -> Self {
        Self {
            severity: match diagnostic.severity {
                guv_model::Severity::Error => Gravity::Error,
                guv_model::Severity::OutOfReach => Gravity::OutOfReach,
                guv_model::Severity::Warning => Gravity::Warning,
            },
            message: diagnostic.message.clone(),
            label: diagnostic.label.clone(),
            help: diagnostic.help.clone(),
            line: diagnostic.place.line,
            column: diagnostic.place.column,
            start: diagnostic.place.start,
            end: diagnostic.place.end,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPreview {
    pub(super) config: String,
    /// How far back; 24 if it is left out.
    pub(super) hours: Option<f64>,
}

/// What a configuration would have done.
#[derive(Serialize, JsonSchema)]
pub(super) struct Preview {
    /// Unix seconds. Where too much is recorded, it begins later than was asked for.
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) roles: Vec<RolePreview>,
}

/// Every role as it is now.
#[derive(Serialize, JsonSchema)]
pub(super) struct Scaling {
    /// Rounds since the start.
    pub(super) cycle: u64,
    /// When the last one ended, Unix seconds.
    pub(super) at: Option<f64>,
    /// Whether nothing is ever changed.
    pub(super) dry_run: bool,
    /// Time between two rounds, seconds.
    pub(super) poll_interval: f64,
    /// Whether decisions are kept, so that there are charts.
    pub(super) has_history: bool,
    /// In the order of the configuration. Those that were not looked at yet are missing.
    pub(super) roles: Vec<RoleNow>,
}

/// How a role fares; of several that hold, the one that most needs somebody's attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Condition {
    /// The workers cannot be counted or changed.
    Failing,
    /// Nothing is known about the queue.
    Blind,
    /// The deadline is missed, or will be.
    Late,
    /// More workers are needed than there may be.
    AtLimit,
    Paused,
    Manual,
    Well,
}

/// A role as it is now. What is `null` is not known.
#[derive(Serialize, JsonSchema)]
pub(super) struct RoleNow {
    pub(super) role: String,
    /// When it was looked at, Unix seconds.
    pub(super) at: f64,
    pub(super) condition: Condition,
    /// What somebody should know, in words.
    pub(super) alerts: Vec<String>,
    /// The last decision on one line.
    pub(super) summary: String,
    /// Why the number of workers is what it is.
    pub(super) reason: String,
    pub(super) limits: Vec<String>,
    pub(super) outcome: String,
    pub(super) error: Option<String>,
    pub(super) expected: Option<Expectation>,
    pub(super) policy: String,
    pub(super) queues: Vec<String>,
    pub(super) size: String,
    /// Of a worker, per hour.
    pub(super) price: Option<f64>,
    pub(super) ready: Option<u64>,
    pub(super) in_flight: Option<u64>,
    pub(super) consumers: Option<u32>,
    /// Seconds that the oldest message has waited.
    pub(super) oldest: Option<f64>,
    /// Jobs per second.
    pub(super) arrivals: Option<f64>,
    /// Jobs per second.
    pub(super) completions: Option<f64>,
    pub(super) workers: Option<u32>,
    pub(super) booting: Option<u32>,
    pub(super) busy: Option<u32>,
    pub(super) stopping: Option<u32>,
    /// As the last decision wants it.
    pub(super) wanted: Option<u32>,
    /// Before any limit.
    pub(super) needed: Option<u64>,
    pub(super) minimum: u32,
    pub(super) maximum: u32,
    /// Seconds.
    pub(super) deadline: f64,
    /// Seconds.
    pub(super) processing: f64,
    pub(super) paused: Option<Pause>,
    pub(super) manual: Option<ManualSetting>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Pause {
    /// Unix seconds; `null` where the configuration says so.
    pub(super) until: Option<f64>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ManualSetting {
    pub(super) workers: u32,
    /// Unix seconds.
    pub(super) until: f64,
}

impl RoleNow {
    pub(super) fn of(record: &Record, config: &RoleConfig) -> Self {
        let decision = &record.decision;
        let observation = &decision.inputs.observation;
        let (queue, workers) = (&observation.queue, observation.workers);
        let parameters = &decision.inputs.parameters;
        let alerts = alerts(record, config);
        let expected = explain(record).expected;
        let paused = match (decision.limits.contains(&Limit::Paused), config.paused) {
            (false, _) => None,
            (true, true) => Some(Pause { until: None }),
            (true, false) => {
                observation.paused.map(|until| Pause { until: Some(until.as_duration().as_secs_f64()) })
            }
        };
        let is_manual = matches!(decision.reason, guv_model::Reason::Manual { .. });
        let after = match record.outcome {
            Outcome::Applied { workers } => Some(workers),
            _ => workers.map(|workers| workers.current),
        };
        Self {
            role: record.role.to_string(),
            at: record.at.as_duration().as_secs_f64(),
            condition: condition(&alerts, expected, paused.is_some(), is_manual),
            alerts: alerts.iter().map(ToString::to_string).collect(),
            summary: decision.to_string(),
            reason: decision.reason.to_string(),
            limits: decision.limits.iter().map(ToString::to_string).collect(),
            outcome: record.outcome.to_string(),
            error: record.outcome.error().map(ToOwned::to_owned),
            expected,
            policy: decision.inputs.policy.name().to_owned(),
            queues: config.queues.iter().map(ToString::to_string).collect(),
            size: config.dyno_size.clone(),
            price: config.price,
            ready: queue.ready,
            in_flight: decision.inputs.in_flight.jobs(),
            consumers: queue.consumers,
            oldest: queue.oldest.map(|age| age.as_secs_f64()),
            arrivals: queue.fill_rate,
            completions: queue.drain_rate,
            workers: after,
            booting: workers.and_then(|workers| workers.booting),
            busy: workers.and_then(|workers| workers.busy),
            stopping: workers.and_then(|workers| workers.draining),
            wanted: decision.target.or(after),
            needed: decision.estimate.map(|estimate| estimate.needed),
            minimum: parameters.limits.minimum,
            maximum: parameters.limits.maximum,
            deadline: parameters.deadline.as_secs_f64(),
            processing: parameters.processing.as_secs_f64(),
            paused,
            manual: observation.manual.filter(|_| is_manual).map(|manual| ManualSetting {
                workers: manual.workers,
                until: manual.until.as_duration().as_secs_f64(),
            }),
        }
    }
}

fn condition(alerts: &[Alert], expected: Option<Expectation>, is_paused: bool, is_manual: bool) -> Condition {
    let has = |alert| alerts.contains(&alert);
    let too_late = expected.is_some_and(|expected| !expected.in_time);
    [
        (Condition::Failing, has(Alert::ActuatorFailing)),
        (Condition::Blind, has(Alert::SourceBlind)),
        (Condition::Late, has(Alert::DeadlineMissed) || too_late),
        (Condition::AtLimit, has(Alert::MaximumReached) || has(Alert::Unsustainable)),
        (Condition::Paused, is_paused),
        (Condition::Manual, is_manual),
    ]
    .into_iter()
    .find_map(|(condition, holds)| holds.then_some(condition))
    .unwrap_or(Condition::Well)
}

/// The charts of every role, by its name.
#[derive(Serialize, JsonSchema)]
pub(super) struct Charts {
    pub(super) roles: std::collections::BTreeMap<String, Chart>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Operations {
    /// In the order of time.
    pub(super) operations: Vec<Operation>,
    /// Whether there are older ones in the time that was asked for.
    pub(super) has_more: bool,
}

/// A decision, explained as `guv explain` does.
#[derive(Serialize, JsonSchema)]
pub(super) struct Explained {
    /// Unix seconds.
    pub(super) at: f64,
    /// The decision on one line.
    pub(super) summary: String,
    pub(super) lines: Vec<Line>,
    /// All lines as one text.
    pub(super) text: String,
    pub(super) expected: Option<Expectation>,
    /// The decision with all its inputs.
    pub(super) record: serde_json::Value,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewManual {
    pub(super) workers: u32,
    /// For how long.
    pub(super) seconds: u32,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPause {
    /// For how long.
    pub(super) seconds: u32,
}

/// Until when something that was asked for holds.
#[derive(Serialize, JsonSchema)]
pub(super) struct Set {
    pub(super) role: String,
    /// Unix seconds; `null` is from now on no more.
    pub(super) until: Option<f64>,
}
