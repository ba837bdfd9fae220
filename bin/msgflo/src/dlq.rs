//! `msgflo dlq`: messages that workers have refused, and what is to become of them.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use futures_util::StreamExt;
use msgflo_core::{Broker, Delivery, Headers, QueueName};
use serde_json::{Value, json};

use crate::arguments::BrokerArguments;
use crate::broker;
use crate::messages::value;
use crate::outcome::{Failure, Outcome, Stop, print, print_json};

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  msgflo dlq list failed.IN
  msgflo dlq peek failed.IN --amount 5
  msgflo dlq requeue failed.IN
  msgflo dlq drop failed.IN --amount 1")]
pub(crate) enum Dlq {
    /// Show how many messages are in deadletter queues.
    List {
        #[command(flatten)]
        broker: BrokerArguments,
        /// The queues.
        #[arg(value_name = "QUEUE", required = true)]
        queues: Vec<String>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show messages, and why they were refused; they stay.
    Peek {
        #[command(flatten)]
        messages: Messages,
        /// As one JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Put messages back into the queue where they were refused.
    Requeue {
        #[command(flatten)]
        messages: Messages,
        /// Put them into this queue instead.
        #[arg(long, value_name = "QUEUE")]
        to: Option<String>,
    },
    /// Remove messages for good.
    Drop {
        #[command(flatten)]
        messages: Messages,
    },
}

/// Messages of a queue.
#[derive(Debug, Args)]
pub(crate) struct Messages {
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
    /// The deadletter queue.
    pub(crate) queue: String,
    /// How many at most [default: all that are there now].
    #[arg(long, value_name = "N")]
    pub(crate) amount: Option<usize>,
}

/// How long the next message of a queue that has some is waited for.
const IDLE: Duration = Duration::from_secs(5);
/// What a broker writes into a message's headers when it is refused.
const DEATH: [&str; 7] = [
    "x-death",
    "x-first-death-exchange",
    "x-first-death-queue",
    "x-first-death-reason",
    "x-last-death-exchange",
    "x-last-death-queue",
    "x-last-death-reason",
];

pub(crate) async fn dlq(command: Dlq) -> Outcome {
    match command {
        Dlq::List { broker, queues, json } => list(&broker, &queues, json).await,
        Dlq::Peek { messages, json } => peek(&messages, json).await,
        Dlq::Requeue { messages, to } => requeue(&messages, to.map(Into::into)).await,
        Dlq::Drop { messages } => drop_all(&messages).await,
    }
}

async fn list(arguments: &BrokerArguments, queues: &[String], json: bool) -> Outcome {
    let broker = broker::connect_existing(arguments.broker.as_deref()).await?;
    let mut found = Vec::new();
    for queue in queues {
        let depth = broker.depth(&QueueName::from(queue.as_str())).await?;
        found.push(json!({"queue": queue, "ready": depth.ready, "consumers": depth.consumers}));
    }
    broker.close().await?;
    if json {
        print_json(&found)?;
    } else {
        for queue in found {
            print(format_args!("{}\t{}", queue["ready"], queue["queue"].as_str().unwrap_or_default()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn peek(messages: &Messages, json: bool) -> Outcome {
    let (broker, taken) = take(messages).await?;
    for delivery in &taken {
        let message = &delivery.message;
        let death = death(&message.headers);
        if json {
            print(json!({"payload": value(&message.payload), "death": death, "headers": message.headers}))?;
        } else {
            let text = |key: &str| death[key].as_str().unwrap_or("?").to_owned();
            let times = death["count"].as_u64().map_or_else(|| "?".to_owned(), |count| count.to_string());
            let payload = String::from_utf8_lossy(&message.payload);
            print(format_args!("{} from {} ({} times)\t{payload}", text("reason"), text("queue"), times))?;
        }
    }
    // They go back to their places.
    drop(taken);
    broker.close().await?;
    Ok(ExitCode::SUCCESS)
}

async fn requeue(messages: &Messages, to: Option<QueueName>) -> Outcome {
    let (broker, taken) = take(messages).await?;
    let mut moved = 0_u64;
    for delivery in taken {
        let origin = death(&delivery.message.headers)["queue"].as_str().map(QueueName::from);
        let Some(target) = to.clone().or(origin) else {
            let failure =
                Failure::new(format!("a message of {} does not say where it was refused", messages.queue));
            return Err(Stop::failed(failure.help("say where it is to go: --to QUEUE")));
        };
        let mut message = delivery.message.clone();
        // Its story begins anew: it is tried as often as the first time.
        DEATH.iter().for_each(|key| drop(message.headers.remove(*key)));
        broker.send_to_queue(&target, message).await?;
        delivery.ack();
        moved += 1;
    }
    broker.close().await?;
    print(format_args!("{moved} requeued"))?;
    Ok(ExitCode::SUCCESS)
}

async fn drop_all(messages: &Messages) -> Outcome {
    let (broker, taken) = take(messages).await?;
    let count = taken.len();
    taken.into_iter().for_each(Delivery::ack);
    broker.close().await?;
    print(format_args!("{count} dropped"))?;
    Ok(ExitCode::SUCCESS)
}

/// Takes as many messages as were asked for, and no more than there are now: what is refused once more comes again.
async fn take(messages: &Messages) -> Result<(std::sync::Arc<dyn Broker>, Vec<Delivery>), Stop> {
    let broker = broker::connect_existing(messages.broker.broker.as_deref()).await?;
    let queue = QueueName::from(messages.queue.as_str());
    let ready = usize::try_from(broker.depth(&queue).await?.ready).unwrap_or(usize::MAX);
    let wanted = messages.amount.map_or(ready, |amount| amount.min(ready));
    let mut taken = Vec::new();
    if wanted > 0 {
        // All are held until the end, so there must be room for them; 0 is no limit.
        let prefetch = u16::try_from(wanted).unwrap_or(0);
        let mut deliveries = broker.consume(&queue, prefetch).await?;
        while taken.len() < wanted {
            let Ok(Some(delivery)) = tokio::time::timeout(IDLE, deliveries.next()).await else { break };
            taken.push(delivery);
        }
    }
    Ok((broker, taken))
}

/// What a message says of its last refusal.
fn death(headers: &Headers) -> Value {
    headers.get("x-death").and_then(|deaths| deaths.get(0)).cloned().unwrap_or_default()
}
