//! RabbitMQ: one server, and a virtual host for each case.

use std::env;

use msgflo_conformance::Bed;
use msgflo_transports::Amqp;
use url::Url;
use uuid::Uuid;

async fn bed() -> Bed {
    crate::provide_tls();
    let (mut amqp, mut management) = (url("RABBITMQ_URL"), url("RABBITMQ_MANAGEMENT_URL"));
    let vhost = format!("conformance-{}", Uuid::new_v4());
    management.set_path(&format!("/api/vhosts/{vhost}"));
    let answer =
        reqwest::Client::new().put(management).send().await.expect("RabbitMQ's management API answers");
    answer.error_for_status().expect("a virtual host is made");
    amqp.set_path(&vhost);
    Bed::new(Amqp, amqp.as_str().parse().expect("its URL is one"))
}

fn url(variable: &str) -> Url {
    let url = env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run this by `make test`, which starts RabbitMQ and sets it")
    });
    url.parse().unwrap_or_else(|error| panic!("{variable}: {error}"))
}

msgflo_conformance::suite!(crate::rabbitmq::bed);
msgflo_conformance::amqp_suite!(crate::rabbitmq::bed);
