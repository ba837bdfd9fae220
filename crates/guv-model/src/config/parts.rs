//! The sources and actuators that a role can name, and the options of each: one table that reads them, suggests
//! them and documents them.
//!
//! A role says `source: sidekiq`, or `source: {kind: sidekiq, url: redis://cache/1}` with options. What an option
//! means is the business of the source or actuator; here it is only known by name and shape.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{BrokerUrl, Secret};

/// What a value of an option must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Text.
    Text,
    /// Text that must not be shown.
    Secret,
    /// An absolute URL, which may hold a password.
    Url,
    /// A whole number, 0 or more.
    Count,
    /// A number of seconds.
    Seconds,
    /// `true` or `false`.
    Flag,
    /// A text, or a list of texts.
    Texts,
}

/// An option of a source or an actuator.
#[derive(Clone, Copy, Debug)]
pub struct OptionInfo {
    /// The key.
    pub name: &'static str,
    /// What its value looks like.
    pub shape: Shape,
    /// What applies when it is not given, in words.
    pub default: &'static str,
    /// What it means, with its unit.
    pub meaning: &'static str,
}

/// A kind of source or actuator.
#[derive(Clone, Copy, Debug)]
pub struct PartInfo {
    /// Its name, by which the registry knows it too.
    pub kind: &'static str,
    /// What it is.
    pub meaning: &'static str,
    /// Its options.
    pub options: &'static [OptionInfo],
    /// Whether changes are seen as they happen, besides the polls; actuators are not asked.
    pub watched: bool,
}

impl PartInfo {
    const fn watched(self) -> Self {
        Self { watched: true, ..self }
    }
}

const fn option(
    name: &'static str,
    shape: Shape,
    default: &'static str,
    meaning: &'static str,
) -> OptionInfo {
    OptionInfo { name, shape, default, meaning }
}

const fn part(kind: &'static str, meaning: &'static str, options: &'static [OptionInfo]) -> PartInfo {
    PartInfo { kind, meaning, options, watched: false }
}

const URL: OptionInfo = option("url", Shape::Url, "the role's `broker`", "where it is");
const TIMEOUT: OptionInfo = option("timeout", Shape::Seconds, "10", "how long one request may take, seconds");
const PREFIX: OptionInfo =
    option("prefix", Shape::Text, "that of the library", "what the names of its keys begin with");
const SCHEMA: OptionInfo = option("schema", Shape::Text, "the search path", "the schema of its tables");
const HEADERS: OptionInfo = option("headers", Shape::Texts, "none", "`Name: value`, sent with each request");
const TOKEN: OptionInfo = option("token", Shape::Secret, "none", "bearer token");

/// Every kind of source.
#[rustfmt::skip]
pub const SOURCES: &[PartInfo] = &[
    part("rabbitmq", "RabbitMQ by its management API, or by AMQP where that is not to be had", &[
        URL, TIMEOUT,
        option("management", Shape::Url, "follows from the broker's URL", "address of the management API"),
        option("vhost", Shape::Text, "that of the URL", "virtual host"),
        option("regex", Shape::Flag, "false", "whether `queue` is a regular expression; its queues are added up"),
    ]).watched(),
    part("amqp", "RabbitMQ by AMQP alone: what is ready, and consumers", &[URL, TIMEOUT]).watched(),
    part("sidekiq", "Sidekiq in Redis", &[URL, TIMEOUT, PREFIX]).watched(),
    part("resque", "Resque in Redis", &[URL, TIMEOUT, PREFIX]).watched(),
    part("bullmq", "BullMQ in Redis", &[URL, TIMEOUT, PREFIX]).watched(),
    part("celery", "Celery in Redis", &[URL, TIMEOUT, PREFIX]).watched(),
    part("rq", "RQ in Redis", &[URL, TIMEOUT, PREFIX]).watched(),
    part("delayed_job", "delayed_job in PostgreSQL", &[URL, TIMEOUT, SCHEMA]).watched(),
    part("solid_queue", "Solid Queue in PostgreSQL", &[URL, TIMEOUT, SCHEMA]).watched(),
    part("good_job", "GoodJob in PostgreSQL", &[URL, TIMEOUT, SCHEMA]).watched(),
    part("river", "River in PostgreSQL", &[URL, TIMEOUT, SCHEMA]).watched(),
    part("oban", "Oban in PostgreSQL", &[URL, TIMEOUT, SCHEMA]).watched(),
    part("pgmq", "pgmq in PostgreSQL", &[URL, TIMEOUT, SCHEMA]).watched(),
    part("sql", "a query of one's own in PostgreSQL", &[
        URL, TIMEOUT,
        option("query", Shape::Text, "required", "a query that yields ready, and in_flight and oldest (seconds) where known; $1 is the queue"),
        option("channel", Shape::Text, "none", "channel of NOTIFY that tells of new jobs"),
    ]).watched(),
    part("prometheus", "a query to Prometheus", &[
        URL, TIMEOUT, TOKEN, HEADERS,
        option("query", Shape::Text, "required", "yields the jobs that wait"),
        option("in_flight", Shape::Text, "none", "a query that yields the jobs in flight"),
    ]),
    part("http", "JSON over HTTP: `[{\"name\": …, \"value\": …}]`, or an object", &[
        URL, TIMEOUT, TOKEN, HEADERS,
        option("ready", Shape::Text, "by the queue's name", "JSON pointer to the jobs that wait"),
        option("in_flight", Shape::Text, "none", "JSON pointer to the jobs in flight"),
    ]),
    part("command", "a command that writes a number, or JSON", &[
        TIMEOUT,
        option("command", Shape::Text, "required", "run by a shell, with ROLE and QUEUE in its environment"),
    ]),
];

/// Every kind of actuator.
#[rustfmt::skip]
pub const ACTUATORS: &[PartInfo] = &[
    part("heroku", "the formation of a Heroku app", &[
        option("url", Shape::Url, "https://api.heroku.com/", "address of the Platform API"),
    ]),
    part("processes", "processes of this machine", &[
        option("command", Shape::Text, "the Procfile's line", "what to run"),
    ]),
    part("kubernetes", "the scale of a Kubernetes workload", &[
        option("url", Shape::Url, "that of the pod's service account", "address of the API server"),
        option("token", Shape::Secret, "that of the pod's service account", "bearer token"),
        option("namespace", Shape::Text, "that of guv, else default", "namespace"),
        option("kind_of", Shape::Text, "deployment", "deployment, statefulset or replicaset"),
    ]),
    part("keda", "the number that KEDA asks its external scaler for", &[]),
    part("docker", "containers of Docker or Compose", &[
        option("socket", Shape::Text, "DOCKER_HOST, else /var/run/docker.sock", "where Docker listens"),
        option("project", Shape::Text, "the role's `app`", "project of Compose"),
    ]),
    part("systemd", "instances of a template unit", &[
        option("unit", Shape::Text, "the worker's name", "template unit, without @ and .service"),
        option("user", Shape::Flag, "false", "units of the user, not of the system"),
    ]),
    part("webhook", "a request to a URL of one's own", &[
        option("url", Shape::Url, "required", "where to send it"),
        TIMEOUT, TOKEN, HEADERS,
    ]),
    part("command", "a command with ROLE, CURRENT and DESIRED in its environment", &[
        TIMEOUT,
        option("command", Shape::Text, "required", "changes the number of workers"),
        option("count", Shape::Text, "none", "writes the number of workers"),
    ]),
];

/// The source or the actuator that a role names, with its options.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub(super) kind: &'static str,
    pub(super) options: BTreeMap<&'static str, OptionValue>,
}

/// The value of an option.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum OptionValue {
    Text(String),
    Secret(Secret),
    Url(BrokerUrl),
    Count(u64),
    Seconds(Duration),
    Flag(bool),
    Texts(Vec<String>),
}

macro_rules! getter {
    ($(#[$doc:meta])* $name:ident, $variant:ident, $type:ty) => {
        $(#[$doc])*
        pub fn $name(&self, option: &str) -> Option<&$type> {
            match self.options.get(option) {
                Some(OptionValue::$variant(value)) => Some(value),
                _ => None,
            }
        }
    };
}

impl Part {
    /// Its kind, as in [`SOURCES`] or [`ACTUATORS`].
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    getter! {
        /// An option of shape [`Shape::Text`], `None` when it is not given.
        text, Text, str
    }
    getter! {
        /// An option of shape [`Shape::Secret`].
        secret, Secret, Secret
    }
    getter! {
        /// An option of shape [`Shape::Url`].
        url, Url, BrokerUrl
    }
    getter! {
        /// An option of shape [`Shape::Count`].
        count, Count, u64
    }
    getter! {
        /// An option of shape [`Shape::Seconds`].
        seconds, Seconds, Duration
    }
    getter! {
        /// An option of shape [`Shape::Texts`].
        texts, Texts, [String]
    }

    /// An option of shape [`Shape::Flag`]; `false` when it is not given.
    pub fn flag(&self, option: &str) -> bool {
        matches!(self.options.get(option), Some(OptionValue::Flag(true)))
    }

    /// Whether this source sees changes as they happen. Names that are regular expressions are only polled.
    pub fn is_watched(&self) -> bool {
        lookup(SOURCES, self.kind).is_some_and(|part| part.watched) && !self.flag("regex")
    }
}

/// The entry of a table with this kind.
pub(super) fn lookup(table: &'static [PartInfo], kind: &str) -> Option<&'static PartInfo> {
    table.iter().find(|part| part.kind == kind)
}

/// What addresses look like.
pub(super) const AMQP: &str = "amqp://user:password@host/vhost";
pub(super) const HTTP: &str = "https://host/path";
const REDIS: &str = "redis://user:password@host:6379/0";
const POSTGRES: &str = "postgres://user:password@host/database";

impl PartInfo {
    /// What its `url` looks like.
    pub(super) fn address(&self) -> &'static str {
        match self.kind {
            "rabbitmq" | "amqp" => AMQP,
            "sidekiq" | "resque" | "bullmq" | "celery" | "rq" => REDIS,
            "delayed_job" | "solid_queue" | "good_job" | "river" | "oban" | "pgmq" | "sql" => POSTGRES,
            _ => HTTP,
        }
    }

    /// The option with this name.
    pub(super) fn option(&self, name: &str) -> Option<&'static OptionInfo> {
        self.options.iter().find(|option| option.name == name)
    }
}
