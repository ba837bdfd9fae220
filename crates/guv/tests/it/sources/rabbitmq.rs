//! The RabbitMQ source against a real RabbitMQ with its management plugin.
//!
//! `RABBITMQ_URL` and `RABBITMQ_MANAGEMENT_URL` tell where it is; `make test` starts one and sets both.

use std::collections::HashMap;
#[cfg(feature = "amqp")]
use std::sync::Arc;
use std::time::Duration;

use guv::sources::RabbitMq;
use guv::{Config, Sample, Source, SourceError};
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use url::Url;

use super::{eventually, role, sample, variable};
use crate::doubles;

/// The plugin collects its counts every five seconds.
const PATIENCE: Duration = Duration::from_secs(180);

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
            && sample.published == Some(5)
    };
    server.wait_for(&config, expected, &missing).await;
    server.channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    server.connection.close(200, "".into()).await.unwrap();
}

#[tokio::test]
async fn many_queues_are_read_from_pages_of_the_list() {
    let server = RealServer::connect().await;
    // More than fit on one page.
    let queues: Vec<_> = (0..520).map(|i| unique(&format!("many {i:03}"))).collect();
    for (i, queue) in queues.iter().enumerate() {
        server.declare(queue, i % 3).await;
    }
    let missing = unique("missing of many");
    let config = server.config(queues.iter().cloned().chain([missing.clone()]));
    let expected = |role: &str, sample: &Sample| {
        let messages = queues.iter().position(|queue| queue == role).map(|i| i as u64 % 3);
        (sample.ready, sample.unacknowledged) == (messages, Some(0))
    };
    server.wait_for(&config, expected, &missing).await;
    server.connection.close(200, "".into()).await.unwrap();
}

#[tokio::test]
async fn refused_credentials_name_the_user_and_not_the_password() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut management: Url = variable("RABBITMQ_MANAGEMENT_URL").parse().unwrap();
    management.set_username("nobody").unwrap();
    management.set_password(Some("hunter2")).unwrap();
    let any = role(&format!("any: {{broker: '{management}'}}"));
    let error = sample(&RabbitMq::new(None).unwrap(), &any).await.unwrap_err();
    assert!(matches!(error, SourceError::Refused { .. }), "{error:?}");
    assert!(
        error.to_string().contains("refuses user `nobody`; check the user")
            && !error.to_string().contains("hunter2"),
        "{error}"
    );
}

#[tokio::test]
async fn queues_by_a_regular_expression_are_added_up() {
    let server = RealServer::connect().await;
    let (one, two, other) = (unique("regex a"), unique("regex b"), unique("other"));
    for (queue, messages) in [(&one, 2), (&two, 3), (&other, 9)] {
        server.declare(queue, messages).await;
    }
    let reading = |pattern: &str| {
        role(&format!(
            "r: {{broker: '{}', queue: '{pattern}', source: {{kind: rabbitmq, regex: true}}}}",
            server.broker
        ))
    };
    let matching = reading(&format!("^guv-test/regex [ab] {}$", std::process::id()));
    eventually(&server.source, &matching, |seen| seen.ready == Some(5) && seen.unacknowledged == Some(0))
        .await;
    let error = sample(&server.source, &reading("^nothing-like-it$")).await.unwrap_err();
    assert!(matches!(error, SourceError::Missing { .. }), "{error:?}");
    server.connection.close(200, "".into()).await.unwrap();
}

#[tokio::test]
async fn a_virtual_host_of_its_own() {
    let server = RealServer::connect().await;
    let vhost = format!("guv/{}", std::process::id());
    let at = |path: &str| {
        let mut url: Url = variable("RABBITMQ_MANAGEMENT_URL").parse().unwrap();
        url.set_path(path);
        url
    };
    let encoded = vhost.replace('/', "%2F");
    let http = reqwest::Client::new();
    http.put(at(&format!("/api/vhosts/{encoded}"))).send().await.unwrap().error_for_status().unwrap();
    let broker = format!("{}/{encoded}", server.broker);
    let connection = Connection::connect(&broker, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare("images".into(), options, FieldTable::default()).await.unwrap();
    channel
        .basic_publish(
            "".into(),
            "images".into(),
            BasicPublishOptions::default(),
            b"job",
            BasicProperties::default(),
        )
        .await
        .unwrap();
    let reading = role(&format!(
        "r: {{broker: '{}', queue: images, source: {{kind: rabbitmq, vhost: '{vhost}'}}}}",
        server.broker
    ));
    eventually(&server.source, &reading, |seen| seen.ready == Some(1)).await;
    http.delete(at(&format!("/api/vhosts/{encoded}"))).send().await.unwrap().error_for_status().unwrap();
}

#[tokio::test]
async fn a_virtual_host_that_is_not_there_is_no_missing_queue() {
    let server = RealServer::connect().await;
    let broker = format!("{}/there-is-none", server.broker);
    let error = sample(&server.source, &role(&format!("r: {{broker: '{broker}'}}"))).await.unwrap_err();
    assert!(matches!(error, SourceError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains("knows no such virtual host; check the broker's URL"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_away_is_unreachable() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let source = RabbitMq::new(Some(format!("http://127.0.0.1:{port}").parse().unwrap())).unwrap();
    let config = doubles::config(&format!("r: {{broker: 'amqp://u:hunter2@127.0.0.1:{port}'}}"));
    let error = source.sample(&[&config.roles[0]]).await.remove(&"r".into()).unwrap().unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error:?}");
    let told = error.to_string();
    assert!(!told.contains("hunter2"), "{told}");
    if cfg!(feature = "amqp") {
        assert!(told.contains("; and by AMQP, RabbitMQ at 127.0.0.1"), "{told}");
        assert!(told.ends_with("; check that it runs, and the broker's URL"), "{told}");
    }
}

/// A queue that other connections may look at.
#[cfg(feature = "amqp")]
async fn shared(server: &RealServer, name: &str) -> String {
    let queue = unique(name);
    let options = QueueDeclareOptions { auto_delete: true, ..QueueDeclareOptions::default() };
    server.channel.queue_declare(queue.as_str().into(), options, FieldTable::default()).await.unwrap();
    queue
}

#[cfg(feature = "amqp")]
async fn publish(server: &RealServer, queue: &str) {
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    server.channel.basic_publish("".into(), queue.into(), options, b"job", properties).await.unwrap();
}

#[cfg(feature = "amqp")]
#[tokio::test]
async fn without_the_management_api_the_queue_tells_what_is_ready_and_the_rest_is_unknown() {
    let server = RealServer::connect().await;
    let queue = shared(&server, "passive").await;
    publish(&server, &queue).await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let reading = |kind: &str, queue: &str| {
        role(&format!("r: {{broker: '{}', queue: '{queue}', source: {kind}}}", server.broker))
    };
    let alone = format!("{{kind: rabbitmq, management: 'http://127.0.0.1:{port}'}}");
    let amqp = guv::sources::amqp();
    // The usual virtual host, as without the slash.
    let slash = role(&format!("r: {{broker: '{}/', queue: '{queue}', source: amqp}}", server.broker));
    eventually(&amqp, &slash, |seen| seen.ready == Some(1)).await;
    let sources: [(&str, &dyn Source); 2] = [(&alone, &server.source), ("amqp", &amqp)];
    for (kind, source) in sources {
        let told = |seen: &Sample| (seen.ready, seen.unacknowledged, seen.consumers);
        let seen = eventually(source, &reading(kind, &queue), |seen| seen.ready == Some(1)).await;
        assert_eq!(told(&seen), (Some(1), None, Some(0)), "{kind}");
        let missing = unique("passive missing");
        for _ in 0..2 {
            let error = sample(source, &reading(kind, &missing)).await.unwrap_err();
            assert!(matches!(error, SourceError::Missing { .. }), "{kind}: {error:?}");
        }
        assert_eq!(sample(source, &reading(kind, &queue)).await.unwrap().ready, Some(1), "{kind}");
    }
    server.channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
}

#[cfg(feature = "amqp")]
#[tokio::test]
async fn the_first_message_wakes_the_role() {
    let server = RealServer::connect().await;
    let (queue, missing) = (shared(&server, "watched").await, unique("watched missing"));
    let config = server.config([queue.clone(), missing]);
    let wake = guv::Wake::default();
    let work = async {
        wake.woken().await;
        publish(&server, &queue).await;
        wake.woken().await
    };
    let woken = tokio::select! {
        woken = tokio::time::timeout(PATIENCE, work) => woken.expect("it is woken"),
        ended = server.source.watch(&config.roles, &wake) => panic!("{ended:?}"),
    };
    assert_eq!(woken, [queue.as_str().into()].into());
    server.channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
}

#[cfg(feature = "amqp")]
#[tokio::test]
async fn a_burst_on_an_idle_queue_has_its_workers_before_the_statistics_tell_of_it() {
    let server = RealServer::connect().await;
    let queue = shared(&server, "burst").await;
    let config = server.config([queue.clone()]);
    // The API has told of the queue: from here on it says that nothing waits until its statistics are collected again.
    server.wait_for(&config, |_, seen| (seen.ready, seen.unacknowledged) == (Some(0), Some(0)), "").await;
    let platform = doubles::Platform::running(&[(queue.as_str(), 0)]);
    let source = RabbitMq::new(Some(variable("RABBITMQ_MANAGEMENT_URL").parse().unwrap())).unwrap();
    let registry = guv::Registry::new()
        .with_source("rabbitmq", Arc::new(source))
        .with_actuator("platform", Arc::new(platform.clone()));
    let text =
        format!("'*': {{broker: '{}', pollinterval: 600, min: 0, max: 8}}\n'{queue}': {{}}", server.broker);
    let cancel = tokio_util::sync::CancellationToken::new();
    let options = guv::governor::Options::default();
    let config = doubles::config(&text);
    let handle = guv::governor::Governor::start(config, registry, options, cancel.clone()).unwrap();
    // The poll at the start, and the round after the first glance, which may have changed something.
    let mut decisions = handle.decisions();
    for _ in 0..2 {
        tokio::time::timeout(PATIENCE, decisions.recv()).await.expect("a decision").unwrap();
    }

    let before = std::time::Instant::now();
    for _ in 0..60 {
        publish(&server, &queue).await;
    }
    while platform.workers(&queue) == 0 {
        assert!(before.elapsed() < Duration::from_secs(60), "nobody has come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
    cancel.cancel();
    server.channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
}
