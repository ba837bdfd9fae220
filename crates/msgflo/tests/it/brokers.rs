//! Participants on real brokers: the embedded one, and RabbitMQ.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use msgflo::core::{Binding, Broker, BrokerOptions, BrokerUrl, Message, QueueName, Role, Transport};
use msgflo::{Context, Inport, Options, Participant, Running};
use msgflo_transports::Amqp;
use tokio::sync::{Semaphore, mpsc};
use uuid::Uuid;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A broker, seen as a coordinator sees it, and names that nobody else uses there.
struct Network {
    url: String,
    broker: Arc<dyn Broker>,
    name: String,
    _server: Option<msgflo_broker::Handle>,
}

impl Network {
    async fn embedded() -> Self {
        let options = msgflo_broker::Options { listen: ([127, 0, 0, 1], 0).into(), ..Default::default() };
        let server = msgflo_broker::Server::start(options).await.expect("a broker");
        Self::at(server.url(), Some(server)).await
    }

    async fn rabbitmq() -> Self {
        let url = std::env::var("RABBITMQ_URL").expect("RABBITMQ_URL is set, as `make test` does");
        Self::at(url, None).await
    }

    async fn at(url: String, server: Option<msgflo_broker::Handle>) -> Self {
        let address: BrokerUrl = url.parse().expect("a URL");
        let broker = Amqp.broker(&address, BrokerOptions::default()).await.expect("a connection");
        Self { url, broker, name: format!("sdk-{}", Uuid::new_v4()), _server: server }
    }

    async fn start(&self, participant: Participant) -> Running {
        let options = Options::default().broker(&self.url).role(&self.name);
        msgflo::start(options, [participant]).await.expect("a start")
    }

    fn queue(&self, port: &str) -> QueueName {
        QueueName::conventional(&Role::from(self.name.as_str()), &port.into())
    }

    /// Waits until nothing is in the queue of `port`, nor with anybody.
    async fn emptied(&self, port: &str) {
        let queue = self.queue(port);
        within(async {
            loop {
                let depth = self.broker.depth(&queue).await.expect("a depth");
                if (depth.ready, depth.consumers) == (0, 0) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
}

async fn within<T>(wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, wait).await.expect("it happens in time")
}

/// Two participants, one behind the other; many messages; the second is replaced in the middle. All arrive, and since
/// it leaves in order, none twice.
async fn nothing_is_lost_or_done_twice_when_a_worker_is_replaced(network: Network) {
    const MESSAGES: u32 = 500;
    let worker = |seen: mpsc::UnboundedSender<u32>, gate: Arc<Semaphore>| {
        let mut worker = Participant::new("test/Worker");
        let out = worker.outport::<u32>("OUT");
        worker.inport("IN", Inport::default().prefetch(10), move |number: u32, context: Context| {
            let (seen, gate, out) = (seen.clone(), Arc::clone(&gate), out.clone());
            async move {
                gate.acquire().await?.forget();
                seen.send(number)?;
                Ok(context.send(&out, &number)?)
            }
        });
        worker
    };
    let (seen, mut sight) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(200));
    let first = network.start(worker(seen.clone(), Arc::clone(&gate))).await;
    let mut results = network.broker.tap(&network.queue("OUT"), 2 * MESSAGES).await.expect("a tap");
    for number in 0..MESSAGES {
        let message = Message::json(&number).expect("JSON");
        network.broker.send_to_queue(&network.queue("IN"), message).await.expect("it is taken");
    }
    let mut all = Vec::new();
    while all.len() < 200 {
        all.push(within(sight.recv()).await.expect("a job"));
    }
    // It leaves with ten jobs in hand, which must still be finished.
    let cancelled = first.cancelled();
    let leaving = tokio::spawn(first.shutdown());
    cancelled.await;
    let second = network.start(worker(seen, Arc::new(Semaphore::new(MESSAGES as usize)))).await;
    gate.add_permits(10);
    within(leaving).await.expect("no panic").expect("it leaves in order");
    while all.len() < MESSAGES as usize {
        all.push(within(sight.recv()).await.expect("a job"));
    }
    second.shutdown().await.expect("it leaves in order");
    network.emptied("IN").await;
    assert!(sight.recv().await.is_none());
    all.sort_unstable();
    assert_eq!(all, (0..MESSAGES).collect::<Vec<_>>());
    let mut sent = Vec::new();
    while sent.len() < MESSAGES as usize {
        let result = within(results.next()).await.expect("a result");
        sent.push(serde_json::from_slice::<u32>(&result.message.payload).expect("a number"));
        result.ack();
    }
    sent.sort_unstable();
    assert_eq!(sent, all);
}

/// What a failure leaves: a message on the error port, one in the deadletter queue, and none in the inport's queue.
async fn a_failure_is_told_and_dead_lettered(network: Network) {
    let mut worker = Participant::new("test/Fails");
    let out = worker.outport::<()>("OUT");
    worker.error_port("ERROR");
    worker.inport("IN", Inport::default(), |_: u32, _| async { Err("never".into()) });
    worker.inport("DEAD", Inport::default(), |_: u32, _| async { Err("again".into()) });
    let running = network.start(worker).await;
    let binding = Binding::RoundRobin {
        source: network.queue("OUT"),
        target: network.queue("IN"),
        deadletter: Some(network.queue("DEAD")),
        retry: None,
    };
    network.broker.add_binding(&binding).await.expect("a binding");
    let mut failures = network.broker.tap(&network.queue("ERROR"), 100).await.expect("a tap");
    out.send(&()).await.expect("a confirmation");
    network.broker.send_to_queue(&network.queue("IN"), Message::new("7")).await.expect("it is taken");
    let mut said = Vec::new();
    for _ in 0..4 {
        let failure = within(failures.next()).await.expect("a failure");
        let told: serde_json::Value = serde_json::from_slice(&failure.message.payload).expect("JSON");
        said.push(told["error"]["message"].as_str().expect("a text").to_owned());
        failure.ack();
    }
    said.sort_unstable();
    assert_eq!(said[..2], ["again", "never"], "the number");
    assert!(said[2..].iter().all(|text| text.contains("cannot be read")), "the other: {said:?}");
    running.shutdown().await.expect("it leaves in order");
    network.emptied("IN").await;
    network.broker.remove_binding(&binding).await.expect("no binding");
}

macro_rules! on_every_broker {
    ($($case:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case(super::Network::embedded().await).await;
            })+
        }
        mod rabbitmq {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case(super::Network::rabbitmq().await).await;
            })+
        }
    };
}

on_every_broker!(
    nothing_is_lost_or_done_twice_when_a_worker_is_replaced,
    a_failure_is_told_and_dead_lettered,
);
