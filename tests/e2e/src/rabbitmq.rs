//! The RabbitMQ that the tests share.

use std::sync::Once;

use url::Url;
use uuid::Uuid;

/// The URL of a new virtual host, which nobody else uses.
///
/// # Panics
/// When RabbitMQ is not there.
pub async fn virtual_host() -> String {
    provide_tls();
    let (mut amqp, mut management) = (url("RABBITMQ_URL"), url("RABBITMQ_MANAGEMENT_URL"));
    let name = format!("e2e-{}", Uuid::new_v4());
    management.set_path(&format!("/api/vhosts/{name}"));
    let answer =
        reqwest::Client::new().put(management).send().await.expect("RabbitMQ's management API answers");
    answer.error_for_status().expect("a virtual host is made");
    amqp.set_path(&name);
    amqp.into()
}

/// Removes what [`virtual_host`] made: RabbitMQ grows slower with each of a thousand.
pub async fn remove_virtual_host(broker: &str) {
    let mut management = url("RABBITMQ_MANAGEMENT_URL");
    let amqp: Url = broker.parse().expect("it is a URL");
    management.set_path(&format!("/api/vhosts{}", amqp.path()));
    let answer =
        reqwest::Client::new().delete(management).send().await.expect("RabbitMQ's management API answers");
    answer.error_for_status().expect("the virtual host is removed");
}

/// Says whose TLS an HTTP client would use: it wants to know also where plain HTTP is spoken.
pub fn provide_tls() {
    static PROVIDE_TLS: Once = Once::new();
    PROVIDE_TLS.call_once(|| {
        // An error says that somebody else has done it.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

fn url(variable: &str) -> Url {
    crate::told(variable).parse().unwrap_or_else(|error| panic!("{variable}: {error}"))
}
