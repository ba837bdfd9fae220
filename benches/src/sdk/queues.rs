//! The queues on both sides of a contender.

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, ExchangeDeleteOptions,
    QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};

/// A message's payload: JSON, since msgflo-nodejs reads and writes it.
const PAYLOAD: &[u8] =
    br#"{"job":"0123456789abcdef","payload":{"input":"photographs/0001.jpeg","width":640,"height":480,"n":1}}"#;
/// How many messages are on their way at once while the queue is filled.
const IN_FLIGHT: usize = 1000;

pub(crate) struct Queues {
    channel: Channel,
    _connection: Connection,
    jobs: String,
    exchange: String,
    results: String,
}

impl Queues {
    /// Makes the ports of `role` as all contenders make them, and a queue for the results.
    pub(crate) async fn make(broker: &str, role: &str) -> Result<Self> {
        let connection = connect(broker).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let names = (format!("{role}.IN"), format!("{role}.OUT"), format!("{role}.results"));
        let queues =
            Self { channel, _connection: connection, jobs: names.0, exchange: names.1, results: names.2 };
        queues.remove().await?;
        let mut arguments = FieldTable::default();
        let deadletter = AMQPValue::LongString(format!("dead-{}", queues.jobs).into());
        arguments.insert("x-dead-letter-exchange".into(), deadletter);
        let channel = &queues.channel;
        let durable = QueueDeclareOptions::durable();
        channel.queue_declare(queues.jobs.as_str().into(), durable, arguments).await?;
        channel.queue_declare(queues.results.as_str().into(), durable, FieldTable::default()).await?;
        let (kind, options) =
            (ExchangeKind::Fanout, ExchangeDeclareOptions { durable: true, ..Default::default() });
        channel
            .exchange_declare(queues.exchange.as_str().into(), kind, options, FieldTable::default())
            .await?;
        let (results, exchange) = (queues.results.as_str().into(), queues.exchange.as_str().into());
        let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
        channel.queue_bind(results, exchange, "".into(), options, arguments).await?;
        Ok(queues)
    }

    /// Puts jobs into the queue, and waits until all are there.
    pub(crate) async fn fill(&self, jobs: u32) -> Result<()> {
        let properties =
            BasicProperties::default().with_delivery_mode(2).with_content_type("application/json".into());
        let publish = async |_| {
            let (queue, options) = (self.jobs.as_str().into(), BasicPublishOptions::default());
            let confirmed = self
                .channel
                .basic_publish("".into(), queue, options, PAYLOAD, properties.clone())
                .await?
                .await?;
            ensure!(confirmed.is_ack(), "the broker refused a job");
            Ok(())
        };
        stream::iter(0..jobs).map(publish).buffer_unordered(IN_FLIGHT).try_collect().await
    }

    /// How many results there are.
    pub(crate) async fn results(&self) -> Result<u32> {
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let asking = self.channel.queue_declare(self.results.as_str().into(), options, FieldTable::default());
        Ok(asking.await.context("counting the results")?.message_count())
    }

    pub(crate) async fn remove(&self) -> Result<()> {
        for queue in [&self.jobs, &self.results] {
            self.channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await?;
        }
        for exchange in [&self.jobs, &self.exchange] {
            self.channel.exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default()).await?;
        }
        Ok(())
    }
}

async fn connect(broker: &str) -> Result<Connection> {
    Connection::connect(broker, ConnectionProperties::default()).await.context("connecting to the broker")
}
