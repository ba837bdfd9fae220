//! RabbitMQ's management API, asked whether our bindings are there, and for what the protocol does not tell.

use std::collections::HashSet;
use std::sync::LazyLock;
use std::time::Duration;

use lapin::uri::{AMQPScheme, AMQPUri};
use msgflo_core::{Timestamp, Traffic};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::tls;

/// Where RabbitMQ serves its management API, by default, beside AMQP's own ports.
const PORTS: [(AMQPScheme, &str, u16); 2] =
    [(AMQPScheme::AMQP, "http", 15672), (AMQPScheme::AMQPS, "https", 443)];
/// How long its answer is waited for. It is a second opinion only.
const DEADLINE: Duration = Duration::from_secs(5);

/// A broker's management API, which may not be there.
pub(crate) struct Management {
    bindings: String,
    exchanges: String,
    queues: String,
    user: String,
    password: String,
    /// `None`: it could not be made.
    client: LazyLock<Option<reqwest::Client>>,
}

/// A binding as the API lists it: from an exchange, to a queue or an exchange.
#[derive(Debug, PartialEq, Eq, Hash, Deserialize)]
pub(crate) struct Listed {
    pub(crate) source: String,
    pub(crate) destination: String,
}

/// An exchange. One that no message has come to of late has no statistics.
#[derive(Deserialize)]
struct Exchange {
    name: String,
    #[serde(default)]
    message_stats: MessageStats,
}

#[derive(Default, Deserialize)]
struct MessageStats {
    publish_in_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    rate: f64,
}

/// A queue. What its next message says of its time is a number (seconds since 1970), or an empty text.
#[derive(Deserialize)]
struct Queue {
    name: String,
    #[serde(default)]
    head_message_timestamp: serde_json::Value,
}

impl Management {
    /// The API at its usual place beside `uri`.
    pub(crate) fn new(uri: &AMQPUri) -> Self {
        let (_, scheme, port) = PORTS.iter().find(|(scheme, ..)| *scheme == uri.scheme).unwrap_or(&PORTS[0]);
        let vhost = utf8_percent_encode(&uri.vhost, NON_ALPHANUMERIC);
        // RabbitMQ's two ports differ by 10000 by default, and people who move one move the other alike.
        let port = match uri.authority.port {
            5671 | 5672 => *port,
            moved => moved.saturating_add(10_000),
        };
        let api = format!("{scheme}://{}:{port}/api", uri.authority.host);
        Self {
            bindings: format!("{api}/bindings/{vhost}"),
            exchanges: format!("{api}/exchanges/{vhost}?columns=name,message_stats.publish_in_details.rate"),
            queues: format!("{api}/queues/{vhost}?columns=name,head_message_timestamp"),
            user: uri.authority.userinfo.username.clone(),
            password: uri.authority.userinfo.password.clone(),
            client: LazyLock::new(client),
        }
    }

    /// Every binding of the virtual host. `None`: the API is not there, or does not let us in.
    pub(crate) async fn bindings(&self) -> Option<HashSet<Listed>> {
        self.get(&self.bindings).await
    }

    /// What comes to each exchange and waits in each queue; nothing where the API is not there, or does not let us in.
    pub(crate) async fn traffic(&self) -> Traffic {
        let (exchanges, queues) =
            tokio::join!(self.get::<Vec<Exchange>>(&self.exchanges), self.get::<Vec<Queue>>(&self.queues));
        let rate = |it: Exchange| Some((it.name.into(), it.message_stats.publish_in_details?.rate));
        let sent = |it: Queue| {
            let seconds = it.head_message_timestamp.as_u64()?;
            Some((it.name.into(), Timestamp(seconds.saturating_mul(1000))))
        };
        Traffic {
            rates: exchanges
                .into_iter()
                .flatten()
                .filter(|it| !it.name.is_empty())
                .filter_map(rate)
                .collect(),
            oldest: queues.into_iter().flatten().filter_map(sent).collect(),
        }
    }

    async fn get<T: DeserializeOwned>(&self, url: &str) -> Option<T> {
        let request = self.client.as_ref()?.get(url).basic_auth(&self.user, Some(&self.password));
        let answer = request.send().await.ok()?.error_for_status().ok()?;
        answer.json().await.ok()
    }
}

fn client() -> Option<reqwest::Client> {
    let tls = rustls::ClientConfig::clone(&tls::client_config());
    reqwest::Client::builder().tls_backend_preconfigured(tls).timeout(DEADLINE).build().ok()
}
