//! The embedded MQTT broker: one for each case.

use msgflo_conformance::Bed;
use msgflo_mqtt_broker::{Options, Server};
use msgflo_transports::Mqtt;

async fn bed() -> Bed {
    let options = Options { listen: ([127, 0, 0, 1], 0).into(), ..Options::default() };
    let handle = Server::start(options).await.expect("the embedded broker starts");
    let url = handle.url().parse().expect("its URL is one");
    Bed::new(Mqtt, url).keeping(handle)
}

msgflo_conformance::mqtt_suite!(crate::embedded_mqtt::bed);
