//! `msgflo dlq`: messages that workers have refused, and what is to become of them.

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use msgflo_coordinator::deadletters::{self, Limit};
use msgflo_core::{Broker, Delivery, QueueName};
use serde_json::json;

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
        let death = deadletters::death(&message.headers);
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
    let requeued = deadletters::requeue(&*broker, taken, to.as_ref()).await?;
    broker.close().await?;
    print(format_args!("{} requeued", requeued.moved))?;
    if requeued.homeless > 0 {
        let message = format!(
            "{} messages of {} do not say where they were refused",
            requeued.homeless, messages.queue
        );
        return Err(Stop::failed(Failure::new(message).help("say where they are to go: --to QUEUE")));
    }
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

async fn take(messages: &Messages) -> Result<(Arc<dyn Broker>, Vec<Delivery>), Stop> {
    let broker = broker::connect_existing(messages.broker.broker.as_deref()).await?;
    let limit = messages.amount.map(|messages| Limit { messages, bytes: usize::MAX });
    let taken = deadletters::take(&*broker, &messages.queue.as_str().into(), limit).await?;
    Ok((broker, taken.messages))
}
