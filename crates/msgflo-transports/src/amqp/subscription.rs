//! Messages from a queue, also after the connection was lost and came back.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer};
use msgflo_core::{Deliveries, Delivery, Error, QueueName, Settle};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::acks::{Acks, Answer, Frame};
use super::link::Link;
use super::properties;
use super::session::{Session, within};

/// What to take messages from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// A queue that exists.
    Queue(QueueName),
    /// An exclusive queue of our own, bound to an exchange that exists. It ends with the session, and a new one is made
    /// with the next. It keeps at most `limit` messages and drops the oldest.
    Exchange { exchange: QueueName, limit: u32 },
}

/// Takes messages from `origin`, at most `prefetch` unanswered at a time.
///
/// The first consumer is made now, so that errors are told; later ones with each new session.
pub(crate) async fn subscribe(link: &Link, origin: Origin, prefetch: u16) -> Result<Deliveries, Error> {
    let session = link.session("subscribing").await?;
    let first = Source::open(link, &session, &origin, prefetch).await?;
    let state = State { link: link.clone(), origin, prefetch, source: Some(first) };
    Ok(stream::unfold(state, |mut state| async move { Some((state.next().await?, state)) }).boxed())
}

/// The same, but only as long as `session` lasts.
pub(crate) async fn subscribe_on(
    link: &Link,
    session: &Session,
    origin: &Origin,
    prefetch: u16,
) -> Result<Deliveries, Error> {
    let source = Source::open(link, session, origin, prefetch).await?;
    let next = |mut source: Source| async move { Some((source.next().await?, source)) };
    Ok(stream::unfold(source, next).boxed())
}

struct State {
    link: Link,
    origin: Origin,
    prefetch: u16,
    source: Option<Source>,
}

impl State {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            if let Some(source) = &mut self.source {
                if let Some(delivery) = source.next().await {
                    return Some(delivery);
                }
                self.source = None;
            }
            let session = self.link.next_session().await?;
            match Source::open(&self.link, &session, &self.origin, self.prefetch).await {
                Ok(source) => self.source = Some(source),
                Err(error) if error.is_transient() => tokio::time::sleep(RETRY).await,
                Err(error) => {
                    tracing::error!(%error, origin = ?self.origin, "a subscription cannot go on");
                    return None;
                }
            }
        }
    }
}

/// Answers wait a little until this part of the prefetch has come together: a run costs the broker hardly more than one.
const GATHERED_PART: u16 = 8;

/// The pause before a subscription is tried again on a connection that fails it.
pub(crate) const RETRY: Duration = Duration::from_millis(200);

/// A consumer on a channel of its own.
struct Source {
    consumer: Consumer,
    answers: mpsc::UnboundedSender<(u64, Answer)>,
}

impl Source {
    async fn open(link: &Link, session: &Session, origin: &Origin, prefetch: u16) -> Result<Self, Error> {
        let channel = session.channel("subscribing").await?;
        let queue = match origin {
            Origin::Queue(queue) => queue.clone(),
            Origin::Exchange { exchange, limit } => own_queue(&channel, exchange, *limit).await?,
        };
        let doing = "subscribing";
        within(doing, &[&queue], channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consuming = channel.basic_consume(queue.as_str().into(), "".into(), options, arguments);
        let consumer = within(doing, &[&queue], consuming).await?;
        // Unbounded, and yet no longer than the deliveries that are out: at most `prefetch` where there is one.
        let (answers, told) = mpsc::unbounded_channel();
        let gather = usize::from(prefetch / GATHERED_PART);
        link.answer(move |closing| tell(channel, told, gather, closing));
        Ok(Self { consumer, answers })
    }

    /// `None`: the channel has ended, with its connection or because the queue was deleted.
    async fn next(&mut self) -> Option<Delivery> {
        let delivery = self.consumer.next().await?.ok()?;
        let settle = Box::new(Receipt { tag: delivery.delivery_tag, answers: self.answers.clone() });
        let message = properties::decode(&delivery.properties, delivery.data, delivery.redelivered);
        Some(Delivery::new(message, settle))
    }
}

async fn own_queue(channel: &Channel, exchange: &QueueName, limit: u32) -> Result<QueueName, Error> {
    let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(limit.into()));
    let declaring = channel.queue_declare("".into(), options, arguments);
    let queue = within("making a queue of our own", &[exchange], declaring).await?;
    let queue = QueueName::from(queue.name().as_str());
    let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
    let binding =
        channel.queue_bind(queue.as_str().into(), exchange.as_str().into(), "".into(), options, arguments);
    within("binding a queue of our own", &[exchange], binding).await?;
    Ok(queue)
}

struct Receipt {
    tag: u64,
    answers: mpsc::UnboundedSender<(u64, Answer)>,
}

impl Settle for Receipt {
    fn ack(self: Box<Self>) {
        // Without a reader the channel is gone, and the broker delivers the message again.
        let _ = self.answers.send((self.tag, Answer::Ack));
    }

    fn nack(self: Box<Self>, requeue: bool) {
        let _ = self.answers.send((self.tag, Answer::Nack { requeue }));
    }
}

/// Tells the broker the answers, until the subscription and all its deliveries are gone, or the link closes; then closes the
/// channel, which returns what was delivered and not answered for.
async fn tell(
    channel: Channel,
    mut answers: mpsc::UnboundedReceiver<(u64, Answer)>,
    gather: usize,
    closing: CancellationToken,
) {
    /// How many answers are gathered at most.
    const BATCH: usize = 1024;
    /// How long answers wait for company.
    const COMPANY: Duration = Duration::from_millis(1);
    let (mut acks, mut batch) = (Acks::default(), Vec::new());
    loop {
        tokio::select! {
            // First: what was answered before the link closed is told.
            biased;
            answered = answers.recv_many(&mut batch, BATCH) => if answered == 0 { break },
            () = closing.cancelled() => break,
        }
        if batch.len() < gather {
            let more =
                async { while batch.len() < gather && answers.recv_many(&mut batch, BATCH).await > 0 {} };
            let _ = tokio::time::timeout(COMPANY, more).await;
        }
        for frame in acks.tell(batch.drain(..)) {
            let told = match frame {
                Frame::Ack { tag, multiple } => channel.basic_ack(tag, BasicAckOptions { multiple }).await,
                Frame::Nack { tag, requeue } => {
                    channel.basic_nack(tag, BasicNackOptions { requeue, multiple: false }).await
                }
            };
            if let Err(error) = told {
                tracing::debug!(%error, "an answer came too late: the message will be delivered again");
                return;
            }
        }
    }
    if let Err(error) = channel.close(200, "done".into()).await {
        tracing::debug!(%error, "the channel of a subscription was already closed");
    }
}
