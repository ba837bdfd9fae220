//! What there is. Nothing else names a source or an actuator.

use std::sync::Arc;

use guv::Registry;
use guv::actuators::Heroku;
use guv::sources::RabbitMq;
use url::Url;

use crate::outcome::Stop;

/// Addresses that differ from the usual.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses {
    pub(crate) management: Option<Url>,
    pub(crate) heroku: Option<Url>,
}

/// Everything there is, for a configuration that is ours.
pub(crate) fn all(addresses: &Addresses) -> Result<Registry, Stop> {
    remote(addresses)
}

/// What does not run anything that a configuration says, for configurations that others send.
pub(crate) fn remote(addresses: &Addresses) -> Result<Registry, Stop> {
    let rabbitmq = RabbitMq::new(addresses.management.clone()).map_err(Stop::internal)?;
    let heroku = match &addresses.heroku {
        Some(url) => Heroku::at(url.clone()),
        None => Heroku::new(),
    };
    let heroku = heroku.map_err(Stop::internal)?;
    Ok(Registry::new().with_source("rabbitmq", Arc::new(rabbitmq)).with_actuator("heroku", Arc::new(heroku)))
}
