//! The RabbitMQ source against a real RabbitMQ with its management plugin.
//!
//! `RABBITMQ_URL` and `RABBITMQ_MANAGEMENT_URL` tell where it is; `make test` starts one and sets both.

use std::collections::HashMap;
use std::time::Duration;

use guv::sources::RabbitMq;
use guv::{Config, Sample, Source, SourceError};
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use url::Url;

use crate::doubles;

/// The plugin collects its counts every five seconds.
const PATIENCE: Duration = Duration::from_secs(180);

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!(
            "{name} is not set: this test needs a RabbitMQ with its management plugin; run it by `make test`"
        )
    })
}

/// A connection to the broker, and the source under test.
struct RealServer {
    connection: Connection,
    channel: Channel,
    broker: String,
    source: RabbitMq,
}

impl RealServer {
    async fn connect() -> Self {
        // Another test may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let broker = variable("RABBITMQ_URL");
        let management: Url = variable("RABBITMQ_MANAGEMENT_URL").parse().expect("it is a URL");
        let connection = Connection::connect(&broker, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let source = RabbitMq::new(Some(management)).unwrap();
        Self { connection, channel, broker, source }
    }

    async fn declare(&self, queue: &str, messages: usize) {
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap();
        for _ in 0..messages {
            let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
            self.channel.basic_publish("".into(), queue.into(), options, b"job", properties).await.unwrap();
        }
    }

    fn config(&self, roles: impl IntoIterator<Item = String>) -> Config {
        let blocks: Vec<_> = roles.into_iter().map(|queue| format!("'{queue}': {{}}")).collect();
        doubles::config(&format!("'*': {{broker: '{}'}}\n{}", self.broker, blocks.join("\n")))
    }

    async fn sample(&self, config: &Config) -> HashMap<String, Result<Sample, SourceError>> {
        let roles: Vec<_> = config.roles.iter().collect();
        let answers = self.source.sample(&roles).await;
        answers.into_iter().map(|(role, answer)| (role.as_str().to_owned(), answer)).collect()
    }

    /// Samples until every queue but those named missing has the counts expected.
    async fn wait_for(&self, config: &Config, expected: impl Fn(&str, &Sample) -> bool, missing: &str) {
        let poll = async {
            loop {
                let answers = self.sample(config).await;
                let settled = answers.iter().all(|(role, answer)| match answer {
                    Ok(sample) => expected(role, sample),
                    Err(SourceError::Missing { .. }) => role == missing,
                    Err(error) => panic!("{role}: {error}"),
                });
                if settled && answers.len() == config.roles.len() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, poll).await.is_err() {
            panic!("the counts never came: {:#?}", self.sample(config).await);
        }
    }
}

/// A name that no other run has.
fn unique(name: &str) -> String {
    format!("guv-test/{name} {}", std::process::id())
}

#[tokio::test]
async fn ready_and_unacknowledged_messages_and_consumers_are_told_apart() {
    let server = RealServer::connect().await;
    let (queue, missing) = (unique("resize.IN"), unique("missing"));
    server.declare(&queue, 5).await;
    server.channel.basic_qos(2, BasicQosOptions::default()).await.unwrap();
    let (options, table) = (BasicConsumeOptions::default(), FieldTable::default());
    let _consumer =
        server.channel.basic_consume(queue.as_str().into(), "".into(), options, table).await.unwrap();

    let config = server.config([queue.clone(), missing.clone()]);
    let expected = |_: &str, sample: &Sample| {
        (sample.ready, sample.unacknowledged, sample.consumers) == (Some(3), Some(2), Some(1))
            && sample.fill_rate.is_some()
    };
    server.wait_for(&config, expected, &missing).await;
    server.channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    server.connection.close(200, "".into()).await.unwrap();
}

#[tokio::test]
async fn many_queues_are_read_from_one_list() {
    let server = RealServer::connect().await;
    let queues: Vec<_> = (0..25).map(|i| unique(&format!("many {i}"))).collect();
    for (i, queue) in queues.iter().enumerate() {
        server.declare(queue, i).await;
    }
    let missing = unique("missing of many");
    let config = server.config(queues.iter().cloned().chain([missing.clone()]));
    let expected = |role: &str, sample: &Sample| {
        let messages = queues.iter().position(|queue| queue == role).map(|i| i as u64);
        (sample.ready, sample.unacknowledged) == (messages, Some(0))
    };
    server.wait_for(&config, expected, &missing).await;
    server.connection.close(200, "".into()).await.unwrap();
}

#[tokio::test]
async fn refused_credentials_name_the_user_and_not_the_password() {
    let mut server = RealServer::connect().await;
    let mut management: Url = variable("RABBITMQ_MANAGEMENT_URL").parse().unwrap();
    management.set_username("nobody").unwrap();
    management.set_password(Some("hunter2")).unwrap();
    server.source = RabbitMq::new(Some(management)).unwrap();
    let config = server.config(["any".to_owned()]);
    let error = server.sample(&config).await.remove("any").unwrap().unwrap_err();
    assert!(matches!(error, SourceError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains("`nobody`") && !error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_away_is_unreachable() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let source = RabbitMq::new(Some(format!("http://127.0.0.1:{port}").parse().unwrap())).unwrap();
    let config = doubles::config("r: {broker: 'amqp://u:hunter2@localhost'}");
    let error = source.sample(&[&config.roles[0]]).await.remove(&"r".into()).unwrap().unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error:?}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}
