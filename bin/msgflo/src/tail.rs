//! `msgflo tail`: messages as they flow, taken from nobody.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures_util::StreamExt;
use futures_util::stream::select_all;
use msgflo_core::QueueName;
use serde_json::Value;
use tokio::time::Instant;

use crate::arguments::BrokerArguments;
use crate::messages::show;
use crate::outcome::{Failure, Outcome, Stop};
use crate::signals::Signals;
use crate::{announced, broker, status};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  msgflo tail resize.OUT
  msgflo tail --queue resize.IN --amount 10 --json")]
pub(crate) struct Tail {
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
    /// The outport as `role.PORT`, or its exchange or topic.
    #[arg(value_name = "OUTPORT", required_unless_present = "queue", conflicts_with = "queue")]
    pub(crate) outport: Option<String>,
    /// An inport as `role.PORT`, or its queue: what the running network sends there is followed.
    #[arg(long, value_name = "QUEUE")]
    pub(crate) queue: Option<String>,
    /// The interface of the running network, which knows what ports are called in the broker.
    #[arg(long, value_name = "URL", default_value = status::URL)]
    pub(crate) url: String,
    /// A secret with the permission network:status, where one is needed.
    #[arg(long, value_name = "SECRET", env = "MSGFLO_SECRET", hide_env_values = true)]
    pub(crate) secret: Option<String>,
    /// Leave after so many messages.
    #[arg(long, value_name = "N")]
    pub(crate) amount: Option<u64>,
    /// Leave after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) seconds: Option<u64>,
    /// With headers, as one JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How many messages wait for us before the broker drops the oldest.
const BUFFER: u32 = 10_000;

pub(crate) async fn tail(arguments: Tail) -> Outcome {
    let sources = match (&arguments.outport, &arguments.queue) {
        (Some(outport), _) => vec![outport.as_str().into()],
        (None, Some(queue)) => into(queue, &arguments).await?,
        (None, None) => return Err(Stop::config(Failure::new("nothing to follow was named"))),
    };
    let broker = broker::connect_existing(arguments.broker.broker.as_deref()).await?;
    let mut taps = Vec::new();
    for source in &sources {
        let tap = async |source: &QueueName| broker.tap(source, BUFFER).await;
        taps.push(announced::open(source, &arguments.url, arguments.secret.as_deref(), tap).await?);
    }
    let mut messages = select_all(taps);
    let end = arguments.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let over = async {
        match end {
            Some(end) => tokio::time::sleep_until(end).await,
            None => std::future::pending().await,
        }
    };
    let mut signals = Signals::listen()?;
    tokio::pin!(over);
    let mut left = arguments.amount;
    while left != Some(0) {
        tokio::select! {
            message = messages.next() => {
                let Some(delivery) = message else { break };
                show(&delivery.message, arguments.json)?;
                delivery.ack();
                left = left.map(|left| left - 1);
            }
            () = &mut over => break,
            _ = signals.stop_asked() => break,
        }
    }
    drop(messages);
    broker.close().await?;
    Ok(ExitCode::SUCCESS)
}

/// What is bound to a queue, as the running network says.
async fn into(queue: &str, arguments: &Tail) -> Result<Vec<QueueName>, Stop> {
    let status = status::fetch(&arguments.url, arguments.secret.as_deref()).await?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let port = |direction: &str, is_it: &dyn Fn(&str, &Value) -> bool| -> Vec<(String, Value)> {
        let nodes = list(&status["nodes"]);
        let ports = nodes.iter().flat_map(|node| {
            let role = node["role"].as_str().unwrap_or_default().to_owned();
            list(&node[direction]).into_iter().map(move |port| (role.clone(), port))
        });
        ports.filter(|(role, port)| is_it(role, port)).collect()
    };
    let name = |role: &str, port: &Value| format!("{role}.{}", port["id"].as_str().unwrap_or_default());
    let is_it =
        |role: &str, port: &Value| port["queue"] == queue || name(role, port).eq_ignore_ascii_case(queue);
    let targets: Vec<String> = port("inports", &is_it).iter().map(|(role, port)| name(role, port)).collect();
    let edges = list(&status["edges"]);
    let is_target = |edge: &&Value| {
        targets.iter().any(|target| edge["target"].as_str().is_some_and(|it| it.eq_ignore_ascii_case(target)))
    };
    let sources: Vec<String> = edges
        .iter()
        .filter(is_target)
        .filter_map(|edge| edge["source"].as_str().map(str::to_owned))
        .collect();
    let outports = port("outports", &|role, port| {
        sources.iter().any(|source| source.eq_ignore_ascii_case(&name(role, port)))
    });
    let exchanges: Vec<QueueName> =
        outports.iter().filter_map(|(_, port)| port["queue"].as_str().map(QueueName::from)).collect();
    if exchanges.is_empty() {
        let failure = Failure::new(format!("no edge of the network leads to the queue {queue}"));
        return Err(Stop::failed(
            failure.help("`msgflo status --json` shows the queues of the inports, and the edges"),
        ));
    }
    Ok(exchanges)
}
