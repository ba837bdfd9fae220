//! The keys of a role's block: one table that reads them, suggests them and documents them.

/// The keys, each named by what it sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum KeyName {
    Processing,
    StdDev,
    Deadline,
    Boot,
    Concurrency,
    DynoSize,
    Minimum,
    Maximum,
    Worker,
    Queue,
    App,
    Broker,
    ApiKey,
    StatusPage,
    Metric,
    Percentile,
    Target,
    Policy,
    JobWorkerRatio,
    DownDelay,
    Source,
    Actuator,
    Schedule,
    TimeZone,
    MaxStepUp,
    MaxStepDown,
    Cooldown,
    Grace,
    StopBusy,
    Paused,
    PollInterval,
    History,
    Budget,
    Prices,
}

/// What a value of a key must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyShape {
    /// Seconds, 0 or more.
    Seconds,
    /// Seconds, more than 0.
    PositiveSeconds,
    /// Seconds, more than 0, or `auto`.
    SecondsOrAuto,
    /// Seconds, 0.01 or more.
    Interval,
    /// A whole number, 0 or more.
    Count,
    /// A whole number, 1 or more.
    PositiveCount,
    /// Above 0 and below 100.
    Percent,
    Text,
    Texts,
    Flag,
    Url,
    /// The name of a policy.
    Policy,
    /// Workers → jobs.
    Ratio,
    /// A kind, with options: one of the table of sources.
    Source,
    /// The same, of the table of actuators.
    Actuator,
    /// A list of times with limits.
    Schedule,
    /// A name of the time zone database.
    TimeZone,
    /// A cap on workers or money, or a list of caps.
    Budget,
    /// Sizes → price per hour.
    Prices,
}

/// A key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct KeyInfo {
    pub(super) key: KeyName,
    pub(super) shape: KeyShape,
    /// The name.
    pub name: &'static str,
    /// Other spellings that mean the same.
    pub aliases: &'static [&'static str],
    /// What applies when it is not given, in words.
    pub default: &'static str,
    /// What it means, with its unit.
    pub meaning: &'static str,
    /// It has no effect on a single role: it stands in `*`.
    pub shared_only: bool,
}

const fn key(
    key: KeyName,
    shape: KeyShape,
    name: &'static str,
    aliases: &'static [&'static str],
    default: &'static str,
    meaning: &'static str,
) -> KeyInfo {
    KeyInfo { key, shape, name, aliases, default, meaning, shared_only: false }
}

const fn shared(info: KeyInfo) -> KeyInfo {
    KeyInfo { shared_only: true, ..info }
}

use KeyName as K;
use KeyShape as S;

/// Every key, in the order of the reference.
#[rustfmt::skip]
pub const KEYS: &[KeyInfo] = &[
    key(K::Processing, S::SecondsOrAuto, "processing", &["p", "process"], "10", "mean processing time of a job, seconds; `auto` learns it, and its deviation, from what is seen"),
    key(K::StdDev, S::Seconds, "stddev", &[], "0.5 × processing", "standard deviation of the processing time, seconds; 0 means the default"),
    key(K::Deadline, S::PositiveSeconds, "deadline", &["d"], "60", "time within which practically all jobs are done, seconds"),
    key(K::Boot, S::Seconds, "boot", &[], "30", "time from asking for a worker to its first job, seconds"),
    key(K::Concurrency, S::PositiveCount, "concurrency", &[], "1", "jobs that one worker processes at once (its prefetch)"),
    key(K::DynoSize, S::Text, "dynosize", &[], "standard-1x", "size of a worker, for its cost"),
    key(K::Minimum, S::Count, "minimum", &["min"], "1", "fewest workers"),
    key(K::Maximum, S::Count, "maximum", &["max"], "5", "most workers; wins over minimum"),
    key(K::Worker, S::Text, "worker", &["w"], "the role's name", "the workers' name on the platform (process type)"),
    key(K::Queue, S::Texts, "queue", &["q", "queues"], "the role's name", "the queue that the jobs wait in, or a list of queues"),
    key(K::App, S::Text, "app", &[], "GUV_APP", "the application that the workers belong to"),
    key(K::Broker, S::Url, "broker", &[], "GUV_BROKER, else CLOUDAMQP_URL", "URL of the broker"),
    key(K::ApiKey, S::Text, "apikey", &[], "HEROKU_API_KEY", "key of the platform's API"),
    key(K::StatusPage, S::Text, "statuspage", &[], "STATUSPAGE_ID", "statuspage.io page"),
    key(K::Metric, S::Text, "metric", &[], "none", "statuspage.io metric that gets the jobs in flight"),
    key(K::Percentile, S::Percent, "percentile", &[], "99", "share of jobs that should meet the deadline, percent"),
    key(K::Target, S::PositiveSeconds, "target", &[], "deadline − Φ⁻¹(percentile) × stddev", "time that a mean job has, waiting included, seconds"),
    key(K::Policy, S::Policy, "policy", &[], "deadline", "how the number of workers is found: `deadline`, `ratio`, or `proportional`, the original's"),
    key(K::JobWorkerRatio, S::Ratio, "job_worker_ratio", &["ratio"], "{1: 1, 2: 25, 3: 50, 4: 75, 5: 100}", "for `policy: ratio`: workers, and the waiting jobs from which on so many are needed"),
    key(K::DownDelay, S::Seconds, "down_delay", &[], "5", "for `policy: ratio`: how long nothing may wait or run before the workers go, seconds; a new job cancels it"),
    key(K::Source, S::Source, "source", &[], "the first that can serve the role", "what tells about the queue, by name or as `{kind: …}` with options"),
    key(K::Actuator, S::Actuator, "actuator", &[], "the first that can serve the role", "what runs the workers, by name or as `{kind: …}` with options"),
    key(K::Schedule, S::Schedule, "schedule", &[], "none", "a list of `{when, minimum, maximum}`: other limits at these times; of several that hold the last wins"),
    key(K::TimeZone, S::TimeZone, "timezone", &["tz"], "UTC", "the time zone of `schedule`, as in `Europe/Oslo`"),
    key(K::MaxStepUp, S::PositiveCount, "max_step_up", &[], "no limit", "most workers added by one decision"),
    key(K::MaxStepDown, S::PositiveCount, "max_step_down", &[], "no limit", "most workers taken away by one decision"),
    key(K::Cooldown, S::Seconds, "cooldown", &[], "0", "after a change, how long no worker is taken away, seconds; adding is never delayed"),
    key(K::Grace, S::Seconds, "grace", &[], "30", "how long a worker that is told to stop may finish what it has, seconds, where the actuator decides it"),
    key(K::StopBusy, S::Flag, "stop_busy", &[], "false", "whether there may be fewer workers than are busy"),
    key(K::Paused, S::Flag, "paused", &[], "false", "decide and record, but leave the number of workers as it is"),
    shared(key(K::PollInterval, S::Interval, "pollinterval", &[], "30", "time between two decisions, seconds; only in `*`")),
    shared(key(K::History, S::Seconds, "history", &[], "120", "how long past estimates hold scaling down back, seconds; only in `*`")),
    shared(key(K::Budget, S::Budget, "budget", &["budgets"], "none", "`{workers, cost, roles}` or a list of such: caps on the workers, or on money per hour, of these roles together (all, if none is named); only in `*`")),
    shared(key(K::Prices, S::Prices, "prices", &[], "those of Heroku", "price of a worker per hour by `dynosize`; only in `*`")),
];

/// The key with this name or alias.
pub(super) fn lookup(text: &str) -> Option<&'static KeyInfo> {
    KEYS.iter().find(|k| k.name == text || k.aliases.contains(&text))
}

/// The key that was probably meant.
pub(super) fn did_you_mean(text: &str) -> Option<&'static str> {
    nearest(text, KEYS.iter().flat_map(|k| std::iter::once(k.name).chain(k.aliases.iter().copied())))
}

/// The name that was probably meant. Letter case and the signs between words do not count; of names equally near
/// the first wins.
pub(super) fn nearest<'n>(text: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let plain = |text: &str| text.to_lowercase().replace(['_', '-'], "");
    let text = plain(text);
    let (distance, name) = names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&text, &plain(name)), name))
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= name.len() / 3).then_some(name)
}

/// `key:value` without the space that YAML wants: the known key, and the value.
pub(super) fn without_space(text: &str) -> Option<(&'static str, &str)> {
    let (key, value) = text.split_once(':')?;
    let known = lookup(key.trim())?;
    let glued = value.starts_with(|c: char| !c.is_whitespace());
    let spelling = std::iter::once(&known.name).chain(known.aliases).find(|name| **name == key.trim())?;
    glued.then_some((spelling, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_keys_share_a_spelling() {
        let mut all: Vec<_> = KEYS.iter().flat_map(|k| std::iter::once(&k.name).chain(k.aliases)).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn suggestions() {
        assert_eq!(did_you_mean("Deadline"), Some("deadline"));
        assert_eq!(did_you_mean("dealine"), Some("deadline"));
        assert_eq!(did_you_mean("poll_interval"), Some("pollinterval"));
        assert_eq!(did_you_mean("maximun"), Some("maximum"));
        assert_eq!(did_you_mean("maxStepUp"), Some("max_step_up"));
        assert_eq!(did_you_mean("colour"), None);
    }

    #[test]
    fn a_missing_space() {
        assert_eq!(without_space("queue:notdefault"), Some(("queue", "notdefault")));
        assert_eq!(without_space("queue: notdefault"), None);
        assert_eq!(without_space("queue:"), None);
        assert_eq!(without_space("http://x"), None);
    }
}
