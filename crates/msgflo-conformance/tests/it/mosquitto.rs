//! Mosquitto: one for each case.

use e2e::Mosquitto;
use msgflo_conformance::Bed;
use msgflo_transports::Mqtt;

async fn bed() -> Bed {
    let broker = Mosquitto::start();
    let url = broker.url().parse().expect("its URL is one");
    Bed::new(Mqtt, url).keeping(broker)
}

msgflo_conformance::mqtt_suite!(crate::mosquitto::bed);

/// The embedded one lets everybody in.
mod users {
    msgflo_conformance::cases!(crate::mosquitto::bed, connections: a_wrong_password_is_refused);
}
