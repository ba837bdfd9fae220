//! The settings as they are written: each key's value with its place, nothing inherited yet.

use std::num::NonZeroU32;
use std::time::Duration;

use super::diagnostic::Diagnostics;
use super::keys::{self, KeyName};
use super::tree::{Key, Node, Value};
use super::value::{About, Reader};
use super::{Part, Percentile, Place, Severity};
use crate::schedule::Rule;
use crate::{BrokerUrl, JobWorkerRatio, Policy};

/// A value with the place where it is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Given<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// One block: that of a role, or `*`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Settings {
    pub(super) processing: Option<Given<Processing>>,
    pub(super) stddev: Option<Given<Duration>>,
    pub(super) deadline: Option<Given<Duration>>,
    pub(super) boot: Option<Given<Duration>>,
    pub(super) concurrency: Option<Given<NonZeroU32>>,
    pub(super) dyno_size: Option<Given<String>>,
    pub(super) minimum: Option<Given<u32>>,
    pub(super) maximum: Option<Given<u32>>,
    pub(super) worker: Option<Given<String>>,
    pub(super) queue: Option<Given<Vec<String>>>,
    pub(super) app: Option<Given<String>>,
    pub(super) broker: Option<Given<BrokerUrl>>,
    pub(super) api_key: Option<Given<String>>,
    pub(super) status_page: Option<Given<String>>,
    pub(super) metric: Option<Given<String>>,
    pub(super) percentile: Option<Given<Percentile>>,
    pub(super) target: Option<Given<Duration>>,
    pub(super) policy: Option<Given<Policy>>,
    pub(super) job_worker_ratio: Option<Given<JobWorkerRatio>>,
    pub(super) down_delay: Option<Given<Duration>>,
    pub(super) source: Option<Given<Part>>,
    pub(super) actuator: Option<Given<Part>>,
    pub(super) schedule: Option<Given<Vec<Given<Rule>>>>,
    pub(super) time_zone: Option<Given<jiff::tz::TimeZone>>,
    pub(super) max_step_up: Option<Given<NonZeroU32>>,
    pub(super) max_step_down: Option<Given<NonZeroU32>>,
    pub(super) cooldown: Option<Given<Duration>>,
    pub(super) grace: Option<Given<Duration>>,
    pub(super) stop_busy: Option<Given<bool>>,
    pub(super) paused: Option<Given<bool>>,
    pub(super) poll_interval: Option<Given<Duration>>,
    pub(super) history: Option<Given<Duration>>,
    pub(super) budgets: Option<Given<Vec<BudgetSettings>>>,
    pub(super) prices: Option<Given<Vec<(String, f64)>>>,
}

/// The processing time of a job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Processing {
    Mean(Duration),
    /// To be learnt.
    Auto,
}

/// A cap over several roles, as written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct BudgetSettings {
    pub(super) workers: Option<u32>,
    pub(super) cost: Option<f64>,
    pub(super) roles: Option<Vec<Given<String>>>,
}

/// All blocks of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FileSettings {
    pub(super) shared: Settings,
    pub(super) roles: Vec<(Key, Settings)>,
}

/// The key of the block that all roles inherit.
const SHARED: &str = "*";

/// Reads every block. `None` when there is no role to speak of; the reason is among the diagnostics then.
pub(super) fn read(
    document: &Node,
    allowed: &[String],
    diagnostics: &mut Diagnostics<'_>,
) -> Option<FileSettings> {
    const EXAMPLE: &str = "name at least one role, for instance `resize: {queue: resize.IN, deadline: 60}`";
    let blocks = match &document.value {
        Value::Mapping(blocks) if !blocks.is_empty() => blocks,
        Value::Null | Value::Mapping(_) => {
            diagnostics.error(document.place, "the configuration is empty", "nothing here", EXAMPLE);
            return None;
        }
        Value::Text(text) if keys::without_space(text).is_some() => {
            missing_space(text, document.place, diagnostics);
            return None;
        }
        other => {
            let message =
                format!("the configuration must be a mapping of roles, but this is {}", other.describe());
            diagnostics.error(document.place, message, "not a mapping", EXAMPLE);
            return None;
        }
    };

    let mut file = FileSettings::default();
    let mut seen: Vec<&Key> = Vec::new();
    for (key, node) in blocks {
        if let Some(first) = seen.iter().find(|first| first.text == key.text) {
            repeated(key, first, "", diagnostics);
            continue;
        }
        seen.push(key);
        let settings = block(key, node, allowed, diagnostics);
        if key.text == SHARED {
            file.shared = settings;
        } else {
            file.roles.push((key.clone(), settings));
        }
    }
    if file.roles.is_empty() {
        let place = seen.first().map_or(document.place, |key| key.place);
        diagnostics.error(place, "the configuration has no role", "only defaults for roles", EXAMPLE);
        return None;
    }
    Some(file)
}

pub(super) fn repeated(key: &Key, first: &Key, context: &str, diagnostics: &mut Diagnostics<'_>) {
    let message = if key.text == first.text {
        format!("{context}`{}` is given twice", key.text)
    } else {
        format!("{context}`{}` is given twice, first as `{}`", key.text, first.text)
    };
    let help = format!("it is given first in line {}; keep one of the two", first.place.line);
    diagnostics.error(key.place, message, "given again here", help);
}

fn missing_space(text: &str, place: Place, diagnostics: &mut Diagnostics<'_>) {
    if let Some((key, value)) = keys::without_space(text) {
        diagnostics.error(
            place,
            format!("`{text}` is one word to YAML: a space is missing after the colon"),
            "a key without a value",
            format!("write `{key}: {}`", value.trim()),
        );
    }
}

/// Reads one block.
fn block(role: &Key, node: &Node, allowed: &[String], diagnostics: &mut Diagnostics<'_>) -> Settings {
    let mut settings = Settings::default();
    let entries = match &node.value {
        Value::Mapping(entries) => entries.as_slice(),
        Value::Null => &[],
        Value::Text(text) if keys::without_space(text).is_some() => {
            missing_space(text, node.place, diagnostics);
            &[]
        }
        other => {
            let message =
                format!("role `{}` must be a mapping of keys, but this is {}", role.text, other.describe());
            let help = match keys::lookup(&role.text) {
                Some(key) => format!(
                    "`{}` is a key, not a role: put it under a role, `myrole: {{{}: …}}`",
                    role.text, key.name
                ),
                None => format!(
                    "write `{}: {{key: value, …}}`, or `{}: {{}}` for the defaults",
                    role.text, role.text
                ),
            };
            diagnostics.error(node.place, message, "not a mapping", help);
            &[]
        }
    };
    let mut seen: Vec<(KeyName, &Key)> = Vec::new();
    for (key, node) in entries {
        let Some(info) = keys::lookup(&key.text) else {
            if !allowed.contains(&key.text) {
                unknown(role, key, node, diagnostics);
            }
            continue;
        };
        if let Some((_, first)) = seen.iter().find(|(name, _)| *name == info.key) {
            repeated(key, first, &format!("role `{}`: ", role.text), diagnostics);
            continue;
        }
        seen.push((info.key, key));
        if info.shared_only && role.text != SHARED {
            diagnostics.push(
                Severity::Warning,
                node.place,
                format!("role `{}`: `{}` has no effect on a single role", role.text, info.name),
                "applies to all roles or none",
                "move it to the `'*'` block",
            );
        }
        let secret = matches!(info.key, KeyName::ApiKey | KeyName::Broker);
        let about = About { meaning: info.meaning, default: info.default, secret };
        Reader { role, key, node, about, diagnostics }.read_into(info.key, &mut settings);
    }
    settings
}

fn unknown(role: &Key, key: &Key, node: &Node, diagnostics: &mut Diagnostics<'_>) {
    if node.value == Value::Null && keys::without_space(&key.text).is_some() {
        missing_space(&key.text, key.place, diagnostics);
        return;
    }
    let message = format!("role `{}`: there is no key `{}`", role.text, key.text);
    let help = match keys::did_you_mean(&key.text) {
        Some(near) => format!("did you mean `{near}`? (`--allow-key {}` lets it pass)", key.text),
        None => {
            let names: Vec<_> = keys::KEYS.iter().map(|k| k.name).collect();
            format!("the keys are {} (`--allow-key {}` lets it pass)", names.join(", "), key.text)
        }
    };
    diagnostics.error(key.place, message, "unknown key", help);
}
