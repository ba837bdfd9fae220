//! The writing side of a connection: what the broker has for it, and heartbeats.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::{Signals, WRITE_BUFFER, WRITE_DEADLINE};
use crate::broker::{ConnectionId, Output};
use crate::handshake::Tuned;
use crate::shared::Shared;
use crate::wire::encode;

/// Writes until the broker hangs up.
pub(super) struct Writer<'a, W> {
    pub(super) write: W,
    pub(super) id: ConnectionId,
    pub(super) tuned: Tuned,
    pub(super) shared: &'a Shared,
    pub(super) signals: &'a Signals,
}

impl<W: AsyncWrite + Unpin> Writer<'_, W> {
    /// Ends after the broker's hang-up, or with an error.
    pub(super) async fn run(mut self) -> io::Result<()> {
        let mut outputs = Vec::new();
        let mut bytes = Vec::with_capacity(WRITE_BUFFER);
        loop {
            self.shared.with(|broker, now| broker.take_output(self.id, &mut outputs, now));
            if outputs.is_empty() {
                self.idle().await?;
                continue;
            }
            self.signals.taken.notify_one();
            for output in outputs.drain(..) {
                if output == Output::Hangup {
                    self.flush(&mut bytes).await?;
                    return self.write.shutdown().await;
                }
                if let Some((channel, body)) = encode::output(&output, &mut bytes) {
                    for piece in encode::body_pieces(body, self.tuned.frame_max) {
                        encode::body(channel, piece, &mut bytes);
                        if bytes.len() >= WRITE_BUFFER {
                            self.flush(&mut bytes).await?;
                        }
                    }
                }
                if bytes.len() >= WRITE_BUFFER {
                    self.flush(&mut bytes).await?;
                }
            }
            self.flush(&mut bytes).await?;
        }
    }

    /// Waits for output; sends heartbeats meanwhile.
    async fn idle(&mut self) -> io::Result<()> {
        if self.tuned.heartbeat == 0 {
            self.signals.output.notified().await;
            return Ok(());
        }
        let interval = Duration::from_secs(u64::from(self.tuned.heartbeat)) / 2;
        if timeout(interval, self.signals.output.notified()).await.is_err() {
            self.flush(&mut encode::HEARTBEAT.to_vec()).await?;
        }
        Ok(())
    }

    async fn flush(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let deadline = match self.tuned.heartbeat {
            0 => WRITE_DEADLINE,
            seconds => Duration::from_secs(u64::from(seconds) * 2),
        };
        let writing = async {
            self.write.write_all(bytes).await?;
            self.write.flush().await
        };
        timeout(deadline, writing).await.map_err(|_| io::ErrorKind::TimedOut)??;
        bytes.clear();
        Ok(())
    }
}
