//! A client without a socket: the management interface does what it does by the same methods as everybody else, so
//! that the same rules apply.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use amq_protocol::protocol::{AMQPClass, channel, connection};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::broker::{Command, ConnectionId, Name, Output, Peer};
use crate::shared::Shared;

/// How long an answer may take: it may wait for the disk.
const PATIENCE: Duration = Duration::from_secs(30);
const CHANNEL: u16 = 1;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The protocol's reply code.
    pub(crate) code: u16,
    pub(crate) text: String,
}

/// A connection of the broker with itself, with one channel. Ends when dropped.
pub(super) struct Inside {
    shared: Arc<Shared>,
    id: ConnectionId,
    output: Arc<Notify>,
    received: VecDeque<Output>,
}

impl Inside {
    /// Connects to a virtual host.
    pub(super) fn open(shared: &Arc<Shared>, user: &str, vhost: &str) -> Result<Self, Refusal> {
        let output = Arc::new(Notify::new());
        let peer = Peer::inside(Name::new(user), Name::new(vhost));
        let id = shared
            .connect(peer, output.clone())
            .map_err(|exception| Refusal { code: 404, text: exception.text })?;
        let mut inside = Self { shared: shared.clone(), id, output, received: VecDeque::new() };
        inside.command(Command::Method(AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {}))));
        inside.received.clear();
        Ok(inside)
    }

    /// Gives the broker a command; what it answers at once is received.
    fn command(&mut self, command: Command) {
        let mut outputs = Vec::new();
        self.shared.with(|broker, now| {
            broker.handle(self.id, CHANNEL, command, now);
            broker.take_output(self.id, &mut outputs, now);
        });
        self.received.extend(outputs);
    }

    /// Gives a command and waits for its answer.
    pub(super) async fn call(&mut self, command: Command) -> Result<Output, Refusal> {
        self.command(command);
        let answer = async {
            loop {
                if let Some(output) = self.received.pop_front() {
                    return output;
                }
                self.output.notified().await;
                let mut outputs = Vec::new();
                self.shared.with(|broker, now| broker.take_output(self.id, &mut outputs, now));
                self.received.extend(outputs);
            }
        };
        let answer = timeout(PATIENCE, answer).await;
        let answer =
            answer.map_err(|_| Refusal { code: 541, text: "the disk does not answer".to_owned() })?;
        match answer {
            Output::Method(_, AMQPClass::Channel(channel::AMQPMethod::Close(close))) => {
                Err(Refusal { code: close.reply_code, text: close.reply_text.to_string() })
            }
            Output::Method(_, AMQPClass::Connection(connection::AMQPMethod::Close(close))) => {
                Err(Refusal { code: close.reply_code, text: close.reply_text.to_string() })
            }
            answer => Ok(answer),
        }
    }

    /// Calls a method.
    pub(super) async fn method(&mut self, class: AMQPClass) -> Result<Output, Refusal> {
        self.call(Command::Method(class)).await
    }

    /// Gives a command that has no answer of its own; what comes by itself is returned.
    pub(super) fn tell(&mut self, command: Command) -> Vec<Output> {
        self.command(command);
        self.received.drain(..).collect()
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.shared.disconnect(self.id);
    }
}
