//! Participants by the thousand, of one generator.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use msgflo::core::{Client, InportOptions, Participant, Port, QueueName, Transport};
use msgflo_transports::Amqp;
use tokio::time::{Instant, sleep_until};

/// How much is asked of the broker at once.
const AT_ONCE: usize = 64;

pub(super) struct Crowd {
    client: Arc<dyn Client>,
    participants: Vec<Participant>,
}

fn queue(role: &str, port: &str) -> QueueName {
    QueueName::from(format!("{role}.{port}"))
}

/// The role of a node.
pub(super) fn role(number: usize) -> String {
    format!("n{number}")
}

impl Crowd {
    pub(super) async fn connect(broker: &str, count: usize) -> Result<Self> {
        let participant = |number| {
            let role = role(number);
            let mut participant = Participant::new(format!("{role}-1"), role.as_str(), "bench/Any");
            participant.inports.push(Port::new("IN", Some(queue(&role, "IN"))));
            participant.outports.push(Port::new("OUT", Some(queue(&role, "OUT"))));
            participant
        };
        let client = Amqp.client(&broker.parse()?).await?;
        Ok(Self { client, participants: (0..count).map(participant).collect() })
    }

    /// Makes the ports of the first `count`.
    pub(super) async fn make_ports(&self, count: usize) -> Result<()> {
        let make = |number| async move {
            let role = role(number);
            self.client.create_outport(&queue(&role, "OUT")).await?;
            self.client.create_inport(&queue(&role, "IN"), InportOptions::default()).await
        };
        Ok(stream::iter(0..count).map(Ok).try_for_each_concurrent(AT_ONCE, make).await?)
    }

    /// Everybody announces itself, as fast as may be.
    pub(super) async fn announce(&self) -> Result<()> {
        let announce = |participant| self.client.announce(participant);
        Ok(stream::iter(&self.participants).map(Ok).try_for_each_concurrent(AT_ONCE, announce).await?)
    }

    /// Everybody announces itself once in each `period`, for as long as `span`. How many did.
    pub(super) async fn announce_steadily(&self, period: Duration, span: Duration) -> Result<u32> {
        let (begin, mut count) = (Instant::now(), 0);
        let pause = period / u32::try_from(self.participants.len())?;
        for participant in self.participants.iter().cycle() {
            let due = begin + pause * count;
            if due > begin + span {
                break;
            }
            sleep_until(due).await;
            self.client.announce(participant).await?;
            count += 1;
        }
        Ok(count)
    }
}
