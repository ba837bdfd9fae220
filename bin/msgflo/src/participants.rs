//! `msgflo participants`: who is there.

use std::collections::HashSet;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::StreamExt;
use msgflo_core::{Participant, Port};
use tokio::time::{Instant, timeout_at};

use crate::arguments::Participants;
use crate::broker;
use crate::outcome::{Outcome, Stop, because, print};

pub(crate) async fn participants(arguments: Participants) -> Outcome {
    let broker = broker::connect_existing(arguments.broker.broker.as_deref()).await?;
    let mut announcements = broker.watch_discovery().await?;
    let deadline = Instant::now() + Duration::from_secs(arguments.wait);
    let mut seen = HashSet::new();
    while let Ok(Some(announcement)) = timeout_at(deadline, announcements.next()).await {
        match announcement {
            Ok(announcement) if seen.insert(announcement.participant.id.clone()) => {
                let participant = announcement.participant;
                if arguments.json {
                    let line = serde_json::to_string(&participant);
                    print(line.map_err(|error| Stop::internal(because(&error)))?)?;
                } else {
                    print(line(&participant))?;
                }
            }
            Ok(_) => {}
            Err(error) => eprintln!("an announcement cannot be understood: {error}"),
        }
    }
    broker.close().await?;
    Ok(ExitCode::SUCCESS)
}

fn line(participant: &Participant) -> String {
    let ports = |ports: &[Port]| {
        let shown = ports.iter().map(|port| match &port.queue {
            Some(queue) => format!("{}={queue}", port.id),
            None => port.id.to_string(),
        });
        shown.collect::<Vec<_>>().join(" ")
    };
    let Participant { role, component, id, inports, outports, .. } = participant;
    format!("{role}\t{component}\t{id}\tin: {}\tout: {}", ports(inports), ports(outports))
}
