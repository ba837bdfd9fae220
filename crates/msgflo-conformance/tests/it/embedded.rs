//! The embedded broker: one for each case.

use msgflo_broker::{Options, Server};
use msgflo_conformance::Bed;
use msgflo_transports::Amqp;

async fn bed() -> Bed {
    crate::provide_tls();
    let options = Options { listen: ([127, 0, 0, 1], 0).into(), ..Default::default() };
    let handle = Server::start(options).await.expect("the embedded broker starts");
    let url = handle.url().to_string().parse().expect("its URL is one");
    Bed::new(Amqp, url).keeping(handle)
}

msgflo_conformance::suite!(crate::embedded::bed);
msgflo_conformance::amqp_suite!(crate::embedded::bed);
