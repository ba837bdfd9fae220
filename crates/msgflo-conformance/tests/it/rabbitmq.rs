//! RabbitMQ: one server, and a virtual host for each case.

use msgflo_conformance::Bed;
use msgflo_transports::Amqp;

async fn bed() -> Bed {
    crate::provide_tls();
    let url = e2e::virtual_host().await;
    Bed::new(Amqp, url.parse().expect("its URL is one"))
}

msgflo_conformance::suite!(crate::rabbitmq::bed);
msgflo_conformance::amqp_suite!(crate::rabbitmq::bed);
