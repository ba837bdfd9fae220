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
    PollInterval,
    History,
}

/// A key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct KeyInfo {
    pub(super) key: KeyName,
    /// The name.
    pub name: &'static str,
    /// Other spellings that mean the same.
    pub aliases: &'static [&'static str],
    /// What applies when it is not given, in words.
    pub default: &'static str,
    /// What it means, with its unit.
    pub meaning: &'static str,
}

const fn key(
    key: KeyName,
    name: &'static str,
    aliases: &'static [&'static str],
    default: &'static str,
    meaning: &'static str,
) -> KeyInfo {
    KeyInfo { key, name, aliases, default, meaning }
}

/// Every key, in the order of the reference.
#[rustfmt::skip]
pub const KEYS: &[KeyInfo] = &[
    key(KeyName::Processing, "processing", &["p", "process"], "10", "mean processing time of a job, seconds"),
    key(KeyName::StdDev, "stddev", &[], "0.5 × processing", "standard deviation of the processing time, seconds; 0 means the default"),
    key(KeyName::Deadline, "deadline", &["d"], "60", "time within which practically all jobs are done, seconds"),
    key(KeyName::Boot, "boot", &[], "30", "time from asking for a worker to its first job, seconds"),
    key(KeyName::Concurrency, "concurrency", &[], "1", "jobs that one worker processes at once (its prefetch)"),
    key(KeyName::DynoSize, "dynosize", &[], "standard-1x", "size of a worker, for its cost"),
    key(KeyName::Minimum, "minimum", &["min"], "1", "fewest workers"),
    key(KeyName::Maximum, "maximum", &["max"], "5", "most workers; wins over minimum"),
    key(KeyName::Worker, "worker", &["w"], "the role's name", "the workers' name on the platform (process type)"),
    key(KeyName::Queue, "queue", &["q"], "the role's name", "the queue that the jobs wait in"),
    key(KeyName::App, "app", &[], "GUV_APP", "the application that the workers belong to"),
    key(KeyName::Broker, "broker", &[], "GUV_BROKER, else CLOUDAMQP_URL", "URL of the broker"),
    key(KeyName::ApiKey, "apikey", &[], "HEROKU_API_KEY", "key of the platform's API"),
    key(KeyName::StatusPage, "statuspage", &[], "STATUSPAGE_ID", "statuspage.io page"),
    key(KeyName::Metric, "metric", &[], "none", "statuspage.io metric that gets the jobs in flight"),
    key(KeyName::Percentile, "percentile", &[], "99", "share of jobs that should meet the deadline, percent"),
    key(KeyName::Target, "target", &[], "deadline − Φ⁻¹(percentile) × stddev", "time that a mean job has, waiting included, seconds"),
    key(KeyName::PollInterval, "pollinterval", &[], "30", "time between two decisions, seconds; only in `*`"),
    key(KeyName::History, "history", &[], "120", "how long past estimates hold scaling down back, seconds; only in `*`"),
];

/// The key with this name or alias.
pub(super) fn lookup(text: &str) -> Option<&'static KeyInfo> {
    KEYS.iter().find(|k| k.name == text || k.aliases.contains(&text))
}

/// The key that was probably meant. Letter case does not count; of names equally near the first wins.
pub(super) fn did_you_mean(text: &str) -> Option<&'static str> {
    let text = text.to_lowercase().replace(['_', '-'], "");
    let (distance, name) = KEYS
        .iter()
        .flat_map(|k| std::iter::once(&k.name).chain(k.aliases))
        .map(|name| (strsim::damerau_levenshtein(&text, name), *name))
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
