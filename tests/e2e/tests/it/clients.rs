//! Clients that others have written, unmodified, on RabbitMQ and on the embedded broker alike.
//!
//! The scripts go through what their library can do, and fail when an answer is not RabbitMQ's. That they are right
//! is what RabbitMQ shows.

use std::process::Command;

use e2e::{Peers, virtual_host};
use msgflo_broker::{Options, Server};

const AMQPLIB: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/msgflo-broker/tests/clients/amqplib.mjs");
const PIKA: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/msgflo-broker/tests/clients/pika_client.py");

const CELERY: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/msgflo-broker/tests/clients/celery_jobs.py");

#[tokio::test(flavor = "multi_thread")]
async fn celery_on_rabbitmq() {
    succeeds(Peers::installed().python_script(CELERY), &virtual_host().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn celery_on_the_embedded_broker() {
    succeeds_on_the_embedded_broker(Peers::installed().python_script(CELERY)).await;
}

/// py-amqp's own integration tests, unmodified, but for those that need its authors' certificates.
#[tokio::test(flavor = "multi_thread")]
async fn py_amqps_suite_on_the_embedded_broker() {
    let options = Options { listen: ([127, 0, 0, 1], 0).into(), ..Options::default() };
    let broker = Server::start(options).await.expect("the embedded broker starts");
    let mut suite = Peers::installed().py_amqp_suite();
    suite.env("RABBITMQ_HOST", "127.0.0.1").env("RABBITMQ_5672_TCP", broker.addr().port().to_string());
    succeeds(suite, &broker.url()).await;
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn amqplib_on_rabbitmq() {
    succeeds(Peers::installed().node_script(AMQPLIB), &virtual_host().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pika_on_rabbitmq() {
    succeeds(Peers::installed().python_script(PIKA), &virtual_host().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn amqplib_on_the_embedded_broker() {
    succeeds_on_the_embedded_broker(Peers::installed().node_script(AMQPLIB)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pika_on_the_embedded_broker() {
    succeeds_on_the_embedded_broker(Peers::installed().python_script(PIKA)).await;
}

async fn succeeds_on_the_embedded_broker(client: Command) {
    let options = Options { listen: ([127, 0, 0, 1], 0).into(), ..Options::default() };
    let broker = Server::start(options).await.expect("the embedded broker starts");
    succeeds(client, &broker.url().to_string()).await;
    broker.shutdown().await;
}

async fn succeeds(client: Command, broker: &str) {
    let mut client = tokio::process::Command::from(client);
    let output = client.env("AMQP_URL", broker).kill_on_drop(true).output().await.expect("the client starts");
    assert!(
        output.status.success(),
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
