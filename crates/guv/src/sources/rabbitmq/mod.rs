//! RabbitMQ.
//!
//! A cycle's numbers come from the management API: it tells apart what is ready and what is in flight, and knows rates.
//! Where it is not to be had (no plugin, no permission, its statistics disabled, as RabbitMQ 4 recommends for large
//! brokers) the queues are declared passively by AMQP instead: that tells what is ready and how many consumers there
//! are; what is in flight is unknown then. Since the API lags by seconds, watched queues are glanced at by AMQP too, and
//! what a glance has seen to wait counts until the API tells of it.

#[cfg(feature = "amqp")]
mod amqp;
pub(super) mod decode;
mod endpoint;
#[cfg(feature = "amqp")]
mod glanced;
mod management;

#[cfg(feature = "amqp")]
use std::collections::HashMap;
#[cfg(feature = "amqp")]
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use guv_model::{QueueName, QueueSample, RoleConfig};
use url::Url;

#[cfg(feature = "amqp")]
use self::amqp::Amqp;
use self::endpoint::Endpoint;
#[cfg(feature = "amqp")]
use self::glanced::Glanced;
use self::management::Management;
use super::failure::Failure;
use super::queues::{ByPlace, Looks, Queues, Signs};
use crate::{Answers, Source, SourceError, Wake};

const KIND: &str = "rabbitmq";

/// Reads queues of RabbitMQ.
pub struct RabbitMq(ByPlace<Broker>);

impl RabbitMq {
    /// A source for all roles that have a broker with one of the schemes amqp, amqps, http and https.
    ///
    /// `management` is the address of the management API for every broker that has none of its own (`management:` in
    /// `source:`). Without it the address follows from that of the broker: port 15672 over http for amqp, 15671 over
    /// https for amqps; CloudAMQP serves it on the https port; http and https URLs are that address themselves.
    ///
    /// # Errors
    /// When there is no TLS provider, or no root certificates can be found.
    pub fn new(management: Option<Url>) -> Result<Self, reqwest::Error> {
        Ok(Self(ByPlace::new(Broker {
            api: Management::new()?,
            override_api: management,
            #[cfg(feature = "amqp")]
            amqp: Amqp::default(),
            #[cfg(feature = "amqp")]
            told: Told::default(),
            #[cfg(feature = "amqp")]
            glanced: Glanced::default(),
        })))
    }
}

impl RabbitMq {
    /// Whether the broker of a role that names no source, or one of RabbitMQ, can be one; of another source it says nothing.
    pub(crate) fn reads(role: &RoleConfig) -> Result<(), String> {
        match role.source.as_ref().map_or(KIND, |part| part.kind()) {
            kind @ (KIND | "amqp") => address(role, kind).map(drop),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Source for RabbitMq {
    fn accepts(&self, role: &RoleConfig) -> Result<(), String> {
        self.0.accepts(role)
    }

    async fn sample(&self, roles: &[&RoleConfig]) -> Answers<QueueSample, SourceError> {
        self.0.sample(roles).await
    }

    async fn watch(&self, roles: &[RoleConfig], wake: &Wake) -> Result<(), SourceError> {
        self.0.watch(roles, wake).await
    }
}

/// RabbitMQ by AMQP alone: what is ready, and consumers.
#[cfg(feature = "amqp")]
pub fn amqp() -> impl Source {
    ByPlace::new(AmqpAlone(Amqp::default()))
}

struct Broker {
    api: Management,
    override_api: Option<Url>,
    #[cfg(feature = "amqp")]
    amqp: Amqp,
    #[cfg(feature = "amqp")]
    told: Told,
    #[cfg(feature = "amqp")]
    glanced: Glanced,
}

/// Why the management API of each broker is not to be had, so that a reason that lasts is logged once.
#[cfg(feature = "amqp")]
#[derive(Default)]
struct Told(Mutex<HashMap<Url, Failure>>);

#[cfg(feature = "amqp")]
impl Told {
    fn note(&self, broker: &Url, failure: &Failure) {
        let before = self.lock().insert(broker.clone(), failure.clone());
        if before.as_ref() != Some(failure) {
            tracing::info!(%failure, "queues are declared passively: what is in flight is unknown");
        }
    }

    fn forget(&self, broker: &Url) {
        self.lock().remove(broker);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Url, Failure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A virtual host, and how its queues are named.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    endpoint: Endpoint,
    /// With credentials and virtual host; `None` where only the management API is known.
    #[cfg_attr(not(feature = "amqp"), expect(dead_code, reason = "nobody speaks AMQP without the feature"))]
    amqp: Option<Url>,
    /// The names are regular expressions.
    regex: bool,
}

/// The address of the role's broker.
fn address<'a>(role: &'a RoleConfig, kind: &str) -> Result<&'a Url, String> {
    let part = role.source.as_ref();
    if let Some(other) = part.filter(|part| part.kind() != kind) {
        return Err(format!("the role asks for `source: {}`", other.kind()));
    }
    let url = part.and_then(|part| part.url("url")).or(role.broker.as_ref());
    let url = url.ok_or("it has no broker; set `broker:`, GUV_BROKER or CLOUDAMQP_URL")?.reveal();
    match url.scheme() {
        "amqp" | "amqps" => Ok(url),
        "http" | "https" if kind == KIND => Ok(url),
        scheme => Err(format!("its broker is not RabbitMQ ({scheme}:, not amqp: or amqps:)")),
    }
}

#[async_trait]
impl Queues for Broker {
    type Place = Place;

    fn place(&self, role: &RoleConfig) -> Result<Place, String> {
        let url = address(role, KIND)?;
        let part = role.source.as_ref();
        let option = part.and_then(|part| part.url("management")).map(|url| url.reveal());
        let vhost = part.and_then(|part| part.text("vhost"));
        Ok(Place {
            endpoint: Endpoint::of(url, option.or(self.override_api.as_ref()), vhost),
            amqp: url.scheme().starts_with("amqp").then(|| endpoint::with_vhost(url, vhost)),
            regex: part.is_some_and(|part| part.flag("regex")),
        })
    }

    async fn look(&self, place: &Place, queues: &[QueueName]) -> Result<Looks, Failure> {
        #[cfg_attr(not(feature = "amqp"), expect(unused_mut, reason = "only glances change it"))]
        let mut looks = if place.regex {
            self.api.matching(&place.endpoint, queues).await
        } else {
            self.api.named(&place.endpoint, queues).await
        };
        #[cfg(feature = "amqp")]
        if let (Some(url), false) = (&place.amqp, place.regex) {
            if let Ok(looks) = &mut looks {
                self.glanced.raise(place, looks);
                let there = looks.iter().filter(|(_, look)| look.is_ok()).map(|(queue, _)| queue);
                self.amqp.are_there(url, there).await;
            }
            return self.completed(url, looks, queues).await;
        }
        looks
    }

    #[cfg(feature = "amqp")]
    async fn glance(&self, place: &Place, queues: &[QueueName]) -> Result<Looks, Failure> {
        match &place.amqp {
            Some(url) if !place.regex => {
                let looks = self.amqp.glance(url, queues).await?;
                self.glanced.note(place, &looks);
                Ok(looks)
            }
            _ => Ok(Looks::new()),
        }
    }

    #[cfg(not(feature = "amqp"))]
    async fn glance(&self, _: &Place, _: &[QueueName]) -> Result<Looks, Failure> {
        // The management API lags by seconds: there is nothing to be seen there between the cycles.
        Ok(Looks::new())
    }

    #[cfg(feature = "amqp")]
    async fn signs(&self, place: &Place, _: &[QueueName]) -> Result<Signs, Failure> {
        match &place.amqp {
            Some(url) if !place.regex => self.amqp.signs(url).await,
            _ => Ok(Signs::None),
        }
    }
}

#[cfg(feature = "amqp")]
impl Broker {
    /// Fills in by AMQP what the management API could not tell.
    async fn completed(
        &self,
        url: &Url,
        looks: Result<Looks, Failure>,
        queues: &[QueueName],
    ) -> Result<Looks, Failure> {
        let blind: Vec<_> = match &looks {
            Ok(looks) => {
                let is_blind = |look: &Result<QueueSample, Failure>| {
                    look.as_ref().is_ok_and(|sample| sample.ready.is_none())
                };
                queues.iter().filter(|queue| looks.get(queue).is_some_and(is_blind)).cloned().collect()
            }
            Err(_) => queues.to_vec(),
        };
        if blind.is_empty() {
            self.told.forget(url);
            return looks;
        }
        match (self.amqp.look(url, &blind).await, looks) {
            (Ok(seen), Ok(mut looks)) => {
                // The API has seen each of them: that one may not be declared here says nothing against it.
                looks.extend(seen.into_iter().filter(|(_, look)| look.is_ok()));
                Ok(looks)
            }
            (Ok(seen), Err(failure)) => {
                self.told.note(url, &failure);
                Ok(seen)
            }
            // What the API said is the better hint at what is wrong; both are told.
            (Err(failure), looks) => looks.map_err(|first| match first.and(failure) {
                Failure::Unreachable(what) => {
                    Failure::Unreachable(format!("{what}; check that it runs, and the broker's URL"))
                }
                failure => failure,
            }),
        }
    }
}

#[cfg(feature = "amqp")]
struct AmqpAlone(Amqp);

#[cfg(feature = "amqp")]
#[async_trait]
impl Queues for AmqpAlone {
    type Place = Url;

    fn place(&self, role: &RoleConfig) -> Result<Url, String> {
        if role.source.is_none() {
            return Err("the role does not ask for it; say `source: amqp`".to_owned());
        }
        address(role, "amqp").map(|url| endpoint::with_vhost(url, None))
    }

    async fn look(&self, url: &Url, queues: &[QueueName]) -> Result<Looks, Failure> {
        self.0.look(url, queues).await
    }

    async fn glance(&self, url: &Url, queues: &[QueueName]) -> Result<Looks, Failure> {
        self.0.glance(url, queues).await
    }

    async fn signs(&self, url: &Url, _: &[QueueName]) -> Result<Signs, Failure> {
        self.0.signs(url).await
    }
}
