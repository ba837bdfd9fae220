//! MQTT, 3.1.1 and 5.
//!
//! A port is a topic, and a binding is carried by a [router](crate::router), since no broker of MQTT connects topics.
//! Messages that are persistent are sent with quality of service 1, the others with 0; what travels beside a payload is kept
//! where both sides speak version 5. A topic has no memory: what is sent while nobody has subscribed is gone. So that
//! a short absence loses nothing, sessions outlive their connections: a participant's for a minute (version 5 only), a
//! coordinator's with a ledger for good.
//!
//! Instances that share an inport do so by a shared subscription of version 5. With an older broker each gets every message.

mod broker;
mod client;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod keeper;
mod link;
mod mailbox;
mod options;
mod packet;
mod session;
mod topics;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use msgflo_core::{Broker, BrokerOptions, BrokerUrl, Client, Error, Transport};
use uuid::Uuid;

use crate::ledger::Ledger;
use options::Options;
use topics::Topics;
use wire::{Identity, KEEP};

/// How long an answer of the broker is waited for.
const DEADLINE: Duration = Duration::from_secs(30);
/// Seconds for which the broker keeps a participant's messages when its connection was lost.
const ABSENCE: u32 = 60;

/// The MQTT transport, for `mqtt:` and `mqtts:` URLs:
/// `mqtt://user:password@host:port?version=3.1.1&keepalive=SECONDS&client_id=NAME`.
///
/// Without `version`, 5 is tried first. With `client_id` the session is kept under that name for good, so that no message is
/// lost while the participant is away, also by brokers of 3.1.1; one connection at a time may have it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mqtt;

#[async_trait]
impl Transport for Mqtt {
    fn schemes(&self) -> &'static [&'static str] {
        &["mqtt", "mqtts"]
    }

    async fn client(&self, url: &BrokerUrl) -> Result<Arc<dyn Client>, Error> {
        let options = Options::parse(url)?;
        let identity = identity(&options, None);
        let link = link::Link::connect(options, identity, Topics::default()).await?;
        Ok(Arc::new(client::MqttClient::new(link)))
    }

    async fn broker(&self, url: &BrokerUrl, options: BrokerOptions) -> Result<Arc<dyn Broker>, Error> {
        let ledger = Ledger::open(options.ledger)?;
        let parsed = Options::parse(url)?;
        let identity = identity(&parsed, Some(ledger.instance()).filter(|_| ledger.is_kept()));
        let BrokerOptions { instance, pulled, .. } = options;
        Ok(Arc::new(broker::MqttBroker::connect(parsed, identity, ledger, instance, &pulled).await?))
    }
}

/// `kept`: the id of one who comes back.
fn identity(options: &Options, kept: Option<&Uuid>) -> Identity {
    if let Some(client_id) = &options.client_id {
        return Identity { client_id: client_id.clone(), expiry: KEEP };
    }
    // Brokers of 3.1.1 need not take more than 23 characters.
    let short = |id: &Uuid| format!("msgflo-{}", &id.simple().to_string()[..16]);
    match kept {
        Some(id) => Identity { client_id: short(id), expiry: KEEP },
        None => Identity { client_id: short(&Uuid::new_v4()), expiry: ABSENCE },
    }
}
