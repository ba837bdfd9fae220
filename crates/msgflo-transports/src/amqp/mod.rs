//! AMQP 0-9-1.
//!
//! The layout in the broker is that of the first MsgFlo, so that old and new participants meet:
//! - an outport is a durable fanout exchange;
//! - an inport is a durable queue that dead-letters to the exchange `dead-<queue>`, and a durable fanout exchange of the
//!   same name bound to it. Where every instance gets every message, there is only the exchange, and each instance
//!   binds an exclusive queue of its own;
//! - a pubsub binding binds the queue to the source exchange; a round-robin binding goes through the durable direct exchange
//!   `out-<source>`, and binds the deadletter queue to the fanout exchange `dead-<target>`, or what tries messages again
//!   between the two ([layout]).

mod acks;
mod bindings;
mod broker;
mod carrier;
mod client;
mod discovery;
mod error;
mod layout;
mod link;
mod management;
mod properties;
mod session;
mod subscription;

use std::sync::Arc;

use async_trait::async_trait;
use lapin::uri::AMQPUri;
use msgflo_core::{Broker, BrokerOptions, BrokerUrl, Client, Error, Transport};

use crate::ledger::Ledger;
use link::Link;

/// The AMQP 0-9-1 transport, for `amqp:` and `amqps:` URLs: `amqp://user:password@host:port/vhost?heartbeat=SECONDS`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Amqp;

#[async_trait]
impl Transport for Amqp {
    fn schemes(&self) -> &'static [&'static str] {
        &["amqp", "amqps"]
    }

    async fn client(&self, url: &BrokerUrl) -> Result<Arc<dyn Client>, Error> {
        let link = Link::connect(url.to_string(), parse(url)?, "msgflo participant").await?;
        Ok(Arc::new(client::AmqpClient::new(link)))
    }

    async fn broker(&self, url: &BrokerUrl, options: BrokerOptions) -> Result<Arc<dyn Broker>, Error> {
        let ledger = Ledger::open(options.ledger)?;
        let uri = parse(url)?;
        let management = management::Management::new(&uri);
        let link = Link::connect(url.to_string(), uri, "msgflo coordinator").await?;
        Ok(Arc::new(broker::AmqpBroker::new(link, ledger, management)))
    }
}

/// Seconds between heartbeats, unless the URL says otherwise: a dead peer is noticed after two of them.
const HEARTBEAT: u16 = 10;
/// Bytes of a frame, unless the URL says otherwise. The client keeps sixty-four of the largest ready for each connection, which at
/// the brokers' own limit of 128 KiB is 8 MB for a participant that sends a hundred bytes.
const FRAME: u32 = 16 << 10;

fn parse(url: &BrokerUrl) -> Result<AMQPUri, Error> {
    let invalid = |reason: String| Error::InvalidUrl { url: url.to_string(), reason };
    let mut uri: AMQPUri = url.expose().as_str().parse().map_err(invalid)?;
    if uri.vhost.is_empty() {
        // `amqp://host/` names the empty vhost by the letter, which nobody has; people mean the default one.
        uri.vhost = "/".into();
    }
    uri.query.heartbeat.get_or_insert(HEARTBEAT);
    uri.query.frame_max.get_or_insert(FRAME);
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vhost_comes_from_the_path() {
        for (url, vhost) in [
            ("amqp://localhost", "/"),
            ("amqp://localhost/", "/"),
            ("amqp://localhost/%2f", "/"),
            ("amqps://me:secret@localhost/team", "team"),
        ] {
            assert_eq!(parse(&url.parse().unwrap()).unwrap().vhost, vhost, "{url}");
        }
    }

    #[test]
    fn heartbeats_are_on_unless_said_otherwise() {
        let heartbeat = |url: &str| parse(&url.parse().unwrap()).unwrap().query.heartbeat;
        assert_eq!(heartbeat("amqp://localhost"), Some(HEARTBEAT));
        assert_eq!(heartbeat("amqp://localhost?heartbeat=0"), Some(0));
    }
}
