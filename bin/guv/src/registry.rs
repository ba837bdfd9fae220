//! What there is. Nothing else names a source or an actuator.

use std::sync::Arc;

use guv::Registry;
use guv::actuators::{Command, Docker, Heroku, Kubernetes, Processes, Systemd, Webhook};
use guv::sources::{self, RabbitMq};
use url::Url;

use crate::outcome::Stop;

/// Addresses that differ from the usual.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses {
    pub(crate) management: Option<Url>,
    pub(crate) heroku: Option<Url>,
}

/// Everything there is, for a configuration that is ours. What a Procfile names is run by us, whatever else could.
pub(crate) fn all(addresses: &Addresses, processes: Processes, procfile: bool) -> Result<Registry, Stop> {
    let (registry, processes) = (Registry::new(), Arc::new(processes));
    let registry = if procfile {
        registry.with_actuator("processes", processes)
    } else {
        registry.with_named_actuator("processes", processes)
    };
    let registry = with_remote(registry, addresses, |heroku| heroku)?
        .with_named_source("prometheus", Arc::new(sources::prometheus().map_err(Stop::internal)?))
        .with_named_source("http", Arc::new(sources::http().map_err(Stop::internal)?))
        .with_named_source("command", Arc::new(sources::command()))
        .with_named_actuator("kubernetes", Arc::new(Kubernetes::new().map_err(Stop::internal)?))
        .with_named_actuator("docker", Arc::new(Docker::new()))
        .with_named_actuator("systemd", Arc::new(Systemd::new()))
        .with_named_actuator("webhook", Arc::new(Webhook::new().map_err(Stop::internal)?))
        .with_named_actuator("command", Arc::new(Command::new()));
    Ok(registry)
}

/// What neither runs anything that a configuration says nor uses what this machine may, for configurations that others
/// send: queues of brokers and databases that they have the credentials of, and Heroku.
pub(crate) fn remote(addresses: &Addresses) -> Result<Registry, Stop> {
    with_remote(Registry::new(), addresses, Heroku::with_fixed_address)
}

fn with_remote(
    registry: Registry,
    addresses: &Addresses,
    limit: impl FnOnce(Heroku) -> Heroku,
) -> Result<Registry, Stop> {
    let rabbitmq = RabbitMq::new(addresses.management.clone()).map_err(Stop::internal)?;
    let heroku = match &addresses.heroku {
        Some(url) => Heroku::at(url.clone()),
        None => Heroku::new(),
    };
    let heroku = heroku.map_err(Stop::internal)?;
    let registry = registry
        .with_source("rabbitmq", Arc::new(rabbitmq))
        .with_named_source("amqp", Arc::new(sources::amqp()))
        .with_named_source("sidekiq", Arc::new(sources::sidekiq()))
        .with_named_source("resque", Arc::new(sources::resque()))
        .with_named_source("bullmq", Arc::new(sources::bullmq()))
        .with_named_source("celery", Arc::new(sources::celery()))
        .with_named_source("rq", Arc::new(sources::rq()))
        .with_named_source("delayed_job", Arc::new(sources::delayed_job()))
        .with_named_source("solid_queue", Arc::new(sources::solid_queue()))
        .with_named_source("good_job", Arc::new(sources::good_job()))
        .with_named_source("river", Arc::new(sources::river()))
        .with_named_source("oban", Arc::new(sources::oban()))
        .with_named_source("pgmq", Arc::new(sources::pgmq()))
        .with_named_source("sql", Arc::new(sources::sql()))
        .with_actuator("heroku", Arc::new(limit(heroku)));
    Ok(registry)
}
