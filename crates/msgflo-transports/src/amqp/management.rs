//! RabbitMQ's management API, asked whether our bindings are there.

use std::collections::HashSet;
use std::time::Duration;

use lapin::uri::{AMQPScheme, AMQPUri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::tls;

/// Where RabbitMQ serves its management API, by default, beside AMQP's own ports.
const PORTS: [(AMQPScheme, &str, u16); 2] =
    [(AMQPScheme::AMQP, "http", 15672), (AMQPScheme::AMQPS, "https", 443)];
/// How long its answer is waited for. It is a second opinion only.
const DEADLINE: Duration = Duration::from_secs(5);

/// A broker's management API, which may not be there.
pub(crate) struct Management {
    bindings: String,
    user: String,
    password: String,
}

/// A binding as the API lists it: from an exchange, to a queue or an exchange.
#[derive(Debug, PartialEq, Eq, Hash, Deserialize)]
pub(crate) struct Listed {
    pub(crate) source: String,
    pub(crate) destination: String,
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
        Self {
            bindings: format!("{scheme}://{}:{port}/api/bindings/{vhost}", uri.authority.host),
            user: uri.authority.userinfo.username.clone(),
            password: uri.authority.userinfo.password.clone(),
        }
    }

    /// Every binding of the virtual host. `None`: the API is not there, or does not let us in.
    pub(crate) async fn bindings(&self) -> Option<HashSet<Listed>> {
        let tls = rustls::ClientConfig::clone(&tls::client_config());
        let client =
            reqwest::Client::builder().tls_backend_preconfigured(tls).timeout(DEADLINE).build().ok()?;
        let request = client.get(&self.bindings).basic_auth(&self.user, Some(&self.password));
        let answer = request.send().await.ok()?.error_for_status().ok()?;
        answer.json().await.ok()
    }
}
