//! The reading side of a connection: bytes to commands, commands to the broker.

use std::io;
use std::time::Duration;

use amq_protocol::protocol::AMQPClass;
use amq_protocol::types::ChannelId;
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{CLOSE_DEADLINE, READ_BUFFER, Signals};
use crate::broker::{Command, ConnectionId, Exception, Pressure, WINDOW};
use crate::handshake::Tuned;
use crate::shared::Shared;
use crate::wire::assemble::Assembler;
use crate::wire::decode::{self, Frame};

/// Commands that are handled under one lock: enough to share its cost, few enough to keep nobody waiting.
const COMMANDS_MAX: usize = 256;

/// How long the beginning of a message is kept while memory is short.
const UNFINISHED_DEADLINE: Duration = Duration::from_secs(10);

/// Reads until the socket ends or nothing more can be understood.
pub(super) struct Reader<'a, R> {
    pub(super) read: R,
    pub(super) buffer: BytesMut,
    pub(super) id: ConnectionId,
    pub(super) tuned: Tuned,
    pub(super) shared: &'a Shared,
    pub(super) signals: &'a Signals,
    pub(super) stop: CancellationToken,
}

impl<R: AsyncRead + Unpin> Reader<'_, R> {
    /// Ends with the socket, or with an error; a fault in what it reads is answered and left to the writer to end.
    pub(super) async fn run(mut self) -> io::Result<()> {
        let mut assembler = Assembler::new(self.shared.memory().clone());
        let mut commands: Vec<(ChannelId, Command)> = Vec::new();
        loop {
            let (fault, more) = self.decode(&mut assembler, &mut commands);
            let failed = fault.is_some();
            let publishes = commands.iter().any(|(_, command)| matches!(command, Command::Publish(_)));
            let unfinished = assembler.is_unfinished();
            let (backlog, waits_from, pressure) = self.shared.with(|broker, now| {
                for (channel, command) in commands.drain(..) {
                    broker.handle(self.id, channel, command, now);
                }
                if let Some(exception) = fault {
                    broker.fail(self.id, exception, now);
                }
                broker.check_memory(now);
                let waits_from = broker.waits_from(self.id, unfinished);
                (broker.backlog(self.id), waits_from, broker.alarms().pressure())
            });
            if failed {
                return self.until_closed().await;
            }
            if backlog >= WINDOW {
                self.wait_for_room().await;
            }
            let blocked = waits_from.is_some_and(|mark| pressure >= mark);
            if (blocked || (publishes && self.shared.is_congested()))
                && !self.may_go_on(waits_from, unfinished).await
            {
                let refusal = Exception::resource_error("no memory for the rest of this message");
                self.shared.with(|broker, now| broker.fail(self.id, refusal, now));
                return self.until_closed().await;
            }
            if more {
                // Others have their turn before the rest of a long read.
                tokio::task::yield_now().await;
                continue;
            }
            let read = async {
                match self.tuned.heartbeat {
                    0 => self.read.read_buf(&mut self.buffer).await,
                    // The protocol's own rule: two intervals without a byte, and the peer is gone.
                    seconds => timeout(
                        Duration::from_secs(u64::from(seconds) * 2),
                        self.read.read_buf(&mut self.buffer),
                    )
                    .await
                    .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
                }
            };
            let size = tokio::select! {
                size = read => size?,
                () = self.stop.cancelled() => {
                    let farewell = Exception::forced("the broker shuts down");
                    self.shared.with(|broker, now| broker.fail(self.id, farewell, now));
                    return self.until_closed().await;
                }
            };
            if size == 0 {
                return Ok(());
            }
        }
    }

    /// Takes complete frames out of the buffer, up to [`COMMANDS_MAX`] commands; true if there may be more.
    fn decode(
        &mut self,
        assembler: &mut Assembler,
        commands: &mut Vec<(ChannelId, Command)>,
    ) -> (Option<Exception>, bool) {
        let mut taken = 0;
        let (fault, more) = loop {
            if commands.len() >= COMMANDS_MAX {
                break (None, true);
            }
            match decode::frame(&self.buffer[taken..], self.tuned.frame_max) {
                Ok(None) => break (None, false),
                Ok(Some((frame, size))) => {
                    taken += size;
                    match assembler.accept(frame) {
                        Ok(command) => commands.extend(command),
                        Err(exception) => break (Some(exception), false),
                    }
                }
                Err(error) => break (Some(error.into()), false),
            }
        };
        self.buffer.advance(taken);
        if !more {
            self.buffer.reserve(READ_BUFFER / 2);
        }
        (fault, more)
    }

    async fn wait_for_room(&self) {
        while self.shared.with(|broker, _| broker.backlog(self.id)) >= WINDOW {
            tokio::select! {
                () = self.signals.taken.notified() => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    /// Waits until it may go on, as a publisher. Who is in the middle of a message holds memory while he waits, and not for
    /// ever: false when his time is over.
    async fn may_go_on(&self, waits_from: Option<Pressure>, unfinished: bool) -> bool {
        let patience = async {
            if unfinished {
                tokio::time::sleep(UNFINISHED_DEADLINE).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = self.shared.publisher_may_go_on(waits_from) => true,
            () = self.stop.cancelled() => true,
            () = patience => false,
        }
    }

    /// After our connection.close: hears only close and close-ok, for a while. What cannot be understood is skipped,
    /// since the fault may have been one in the framing.
    async fn until_closed(mut self) -> io::Result<()> {
        let closing = async {
            loop {
                let mut taken = 0;
                loop {
                    match decode::frame(&self.buffer[taken..], self.tuned.frame_max) {
                        Ok(Some((frame, size))) => {
                            taken += size;
                            if let Frame::Method(0, method @ AMQPClass::Connection(_)) = frame {
                                let command = Command::Method(method);
                                self.shared.with(|broker, now| broker.handle(self.id, 0, command, now));
                            }
                        }
                        Ok(None) => break,
                        Err(_) => taken = self.buffer.len(),
                    }
                }
                self.buffer.advance(taken);
                self.buffer.reserve(READ_BUFFER / 2);
                if self.read.read_buf(&mut self.buffer).await? == 0 {
                    return Ok(());
                }
            }
        };
        timeout(CLOSE_DEADLINE, closing).await.unwrap_or(Ok(()))
    }
}
