//! Clients that others have written, unmodified, on RabbitMQ and on the embedded broker alike.
//!
//! The scripts go through what their library can do, and fail when an answer is not RabbitMQ's. That they are right
//! is what RabbitMQ shows.

use std::process::Command;

use e2e::{Peers, virtual_host};
use msgflo_broker::{Handle, Options, Server};
use url::Url;

const AIORMQ: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/msgflo-broker/tests/clients/aiormq_client.py");
const AMQPLIB: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/msgflo-broker/tests/clients/amqplib.mjs");
const CELERY: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/msgflo-broker/tests/clients/celery_jobs.py");
const PIKA: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/msgflo-broker/tests/clients/pika_client.py");

#[tokio::test(flavor = "multi_thread")]
async fn aiormq_on_rabbitmq() {
    succeeds(Peers::installed().python_script(AIORMQ), &virtual_host().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aiormq_on_the_embedded_broker() {
    let broker = embedded().await;
    succeeds(Peers::installed().python_script(AIORMQ), &broker.url()).await;
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn amqplib_on_rabbitmq() {
    succeeds(Peers::installed().node_script(AMQPLIB), &virtual_host().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn amqplib_on_the_embedded_broker() {
    let broker = embedded().await;
    succeeds(Peers::installed().node_script(AMQPLIB), &broker.url()).await;
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn celery_on_rabbitmq() {
    succeeds(Peers::installed().python_script(CELERY), &virtual_host().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn celery_on_the_embedded_broker() {
    let broker = embedded().await;
    succeeds(Peers::installed().python_script(CELERY), &broker.url()).await;
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pika_on_rabbitmq() {
    succeeds(Peers::installed().python_script(PIKA), &virtual_host().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pika_on_the_embedded_broker() {
    let broker = embedded().await;
    succeeds(Peers::installed().python_script(PIKA), &broker.url()).await;
    broker.shutdown().await;
}

/// lapin's own tests, unmodified.
#[tokio::test(flavor = "multi_thread")]
async fn lapins_suite_on_rabbitmq() {
    let broker = virtual_host().await;
    for test in Peers::installed().lapin_suite() {
        succeeds(test, &broker).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lapins_suite_on_the_embedded_broker() {
    let broker = embedded().await;
    // One of them makes an unknown virtual host's URL of it by adding to its end.
    let url = broker.url() + "/%2f";
    for test in Peers::installed().lapin_suite() {
        succeeds(test, &url).await;
    }
    broker.shutdown().await;
}

/// py-amqp's own integration tests, unmodified, but for those that need its authors' certificates.
#[tokio::test(flavor = "multi_thread")]
async fn py_amqps_suite_on_rabbitmq() {
    py_amqps_suite_succeeds(&virtual_host().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn py_amqps_suite_on_the_embedded_broker() {
    let broker = embedded().await;
    py_amqps_suite_succeeds(&broker.url()).await;
    broker.shutdown().await;
}

async fn py_amqps_suite_succeeds(broker: &str) {
    let port = broker.parse().ok().as_ref().and_then(Url::port).expect("the URL tells the port");
    let mut suite = Peers::installed().py_amqp_suite();
    suite.env("RABBITMQ_HOST", "127.0.0.1").env("RABBITMQ_5672_TCP", port.to_string());
    succeeds(suite, broker).await;
}

async fn embedded() -> Handle {
    let options = Options { listen: ([127, 0, 0, 1], 0).into(), ..Options::default() };
    Server::start(options).await.expect("the embedded broker starts")
}

/// Clients are told the broker by the names that they know it by.
async fn succeeds(client: Command, broker: &str) {
    let mut client = tokio::process::Command::from(client);
    client.env("AMQP_URL", broker).env("AMQP_ADDR", broker).kill_on_drop(true);
    let output = client.output().await.expect("the client starts");
    assert!(
        output.status.success(),
        "{client:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
