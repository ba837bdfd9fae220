//! `msgflo send` and `msgflo dump`: single messages by hand.

use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::StreamExt;
use msgflo_core::{Delivery, Message, QueueName};
use serde_json::{Value, json};

use crate::arguments::{Dump, Send};
use crate::outcome::{Failure, Outcome, Stop, print, write_out};
use crate::{announced, broker, status};

pub(crate) async fn send(arguments: Send) -> Outcome {
    let message = match &arguments.json {
        Some(text) => {
            let value: Value = serde_json::from_str(text).map_err(|error| {
                let failure = Failure::new(format!("--json is not JSON: {error}"));
                Stop::config(failure.help("quote it for the shell: --json '{\"key\": \"value\"}'"))
            })?;
            Message::json(&value).map_err(|error| Stop::internal(crate::outcome::because(&error)))?
        }
        None => {
            let mut payload = Vec::new();
            std::io::stdin().lock().read_to_end(&mut payload).map_err(Stop::failed)?;
            Message::new(payload)
        }
    };
    let broker = broker::connect_existing(arguments.broker.broker.as_deref()).await?;
    broker.send_to_queue(&QueueName::from(arguments.queue), message).await?;
    broker.close().await?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn dump(arguments: Dump) -> Outcome {
    let broker = broker::connect_existing(arguments.broker.broker.as_deref()).await?;
    let queue = QueueName::from(arguments.queue.as_str());
    let consume = async |queue: &QueueName| broker.consume(queue, arguments.amount).await;
    let mut deliveries = announced::open(&queue, status::URL, None, consume).await?;
    // Held until the end: one that went back at once would be delivered to us again.
    let mut held: Vec<Delivery> = Vec::new();
    let idle = Duration::try_from_secs_f64(arguments.idle)
        .map_err(|error| Stop::config(Failure::new(format!("--idle {}: {error}", arguments.idle))))?;
    while held.len() < usize::from(arguments.amount) {
        let Ok(Some(delivery)) = tokio::time::timeout(idle, deliveries.next()).await else { break };
        show(&delivery.message, arguments.json)?;
        if arguments.take {
            delivery.ack();
        } else {
            held.push(delivery);
        }
    }
    drop(deliveries);
    drop(held);
    broker.close().await?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a message: its payload as it is, or everything as a line of JSON.
pub(crate) fn show(message: &Message, with_headers: bool) -> Result<(), Stop> {
    if !with_headers {
        return write_out(|out| {
            out.write_all(&message.payload)?;
            writeln!(out)
        });
    }
    print(json!({
        "payload": value(&message.payload),
        "content_type": message.content_type,
        "headers": message.headers,
        "timestamp": message.timestamp,
        "traceparent": message.traceparent,
        "persistent": message.persistent,
        "redelivered": message.redelivered,
    }))
}

/// A payload as JSON: what it is if it is JSON, else its text, else its bytes.
pub(crate) fn value(payload: &[u8]) -> Value {
    match (serde_json::from_slice::<Value>(payload), std::str::from_utf8(payload)) {
        (Ok(value), _) => value,
        (Err(_), Ok(text)) => Value::from(text),
        (Err(_), Err(_)) => json!({"bytes": payload}),
    }
}
