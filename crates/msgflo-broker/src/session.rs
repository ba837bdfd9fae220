//! One connection: its handshake, then a reader and a writer side by side.
//!
//! The reader takes the broker's lock once for all the commands that one read brought; the writer once for all the
//! output that has gathered. The reader stops reading while too much output waits, so a client that sends without
//! reading is slowed down by its own socket.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use amq_protocol::protocol::{AMQPClass, connection};
use amq_protocol::types::ChannelId;
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::broker::{Command, ConnectionId, Exception, Output, WINDOW};
use crate::handshake::{Handshake, PROTOCOL_HEADER, Refusal, Step, Tuned};
use crate::options::Credentials;
use crate::shared::Shared;
use crate::wire::assemble::Assembler;
use crate::wire::decode::{self, FRAME_MAX, Frame};
use crate::wire::encode;

/// From the first byte to an open connection.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// How long a client may take to answer connection.close, or to take the last bytes.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);
/// How long a client that promised no heartbeats may leave the socket full.
const WRITE_DEADLINE: Duration = Duration::from_secs(180);
/// Room for one read (bytes).
const READ_BUFFER: usize = 128 * 1024;
/// Output is written when this much is encoded (bytes).
const WRITE_BUFFER: usize = 128 * 1024;

/// Serves a client until it or the broker ends.
pub(crate) async fn run(
    mut stream: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared>,
    credentials: Credentials,
    stop: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "cannot disable Nagle's algorithm");
    }
    let signals = Signals::default();
    let handshake = Handshake::new(credentials, peer.ip().is_loopback());
    let mut buffer = BytesMut::with_capacity(READ_BUFFER);
    let opening = tokio::select! {
        () = stop.cancelled() => return,
        opening = timeout(HANDSHAKE_DEADLINE, open(&mut stream, &mut buffer, handshake, &shared, &signals)) => opening,
    };
    let (id, tuned) = match opening {
        Ok(Ok(Some(opened))) => opened,
        Ok(Ok(None)) => return,
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "connection ended during its handshake");
            return;
        }
        Err(_) => {
            tracing::debug!(%peer, "handshake took too long");
            return;
        }
    };
    // Whatever ends this task, the broker must get back what the connection holds.
    let _connected = Connected { id, shared: shared.clone() };
    let (read, write) = stream.split();
    let reader = Reader { read, buffer, id, tuned, shared: &shared, signals: &signals, stop };
    let writer = Writer { write, id, tuned, shared: &shared, signals: &signals };
    let ended = tokio::select! {
        ended = writer.run() => ended,
        ended = reader.run() => ended,
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "connection lost");
    }
}

/// A connection that the broker knows; dropping it disconnects.
struct Connected {
    id: ConnectionId,
    shared: Arc<Shared>,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.shared.disconnect(self.id);
    }
}

/// What reader and writer tell each other.
#[derive(Default)]
struct Signals {
    /// The broker has output.
    output: Arc<Notify>,
    /// The writer has taken output.
    taken: Notify,
}

/// Goes through the handshake; `None` when the client was turned away.
async fn open(
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
    mut handshake: Handshake,
    shared: &Shared,
    signals: &Signals,
) -> io::Result<Option<(ConnectionId, Tuned)>> {
    while buffer.len() < PROTOCOL_HEADER.len() {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    if buffer[..PROTOCOL_HEADER.len()] != PROTOCOL_HEADER {
        // The protocol's own way to say which version would do.
        stream.write_all(&PROTOCOL_HEADER).await?;
        return Ok(None);
    }
    buffer.advance(PROTOCOL_HEADER.len());
    send(stream, &Handshake::start()).await?;
    loop {
        let step = match decode::frame(buffer, FRAME_MAX) {
            Ok(None) => {
                if stream.read_buf(buffer).await? == 0 {
                    return Ok(None);
                }
                continue;
            }
            Ok(Some((Frame::Method(0, AMQPClass::Connection(method)), size))) => {
                buffer.advance(size);
                handshake.handle(method)
            }
            Ok(Some((Frame::Heartbeat, size))) => {
                buffer.advance(size);
                continue;
            }
            Ok(Some(_)) => {
                Err(Refusal::Close(Exception::command_invalid("connection.open was expected first")))
            }
            Err(error) => Err(Refusal::Close(error.into())),
        };
        let refusal = match step {
            Ok(Step::Send(method)) => {
                send(stream, &method).await?;
                continue;
            }
            Ok(Step::Wait) => continue,
            Ok(Step::Opened(peer, tuned)) => match shared.connect(peer, signals.output.clone()) {
                Ok(id) => {
                    let ok = connection::AMQPMethod::OpenOk(connection::OpenOk {});
                    if let Err(error) = send(stream, &AMQPClass::Connection(ok)).await {
                        shared.disconnect(id);
                        return Err(error);
                    }
                    return Ok(Some((id, tuned)));
                }
                Err(exception) => Refusal::Close(exception),
            },
            Err(refusal) => refusal,
        };
        if let Refusal::Close(exception) = refusal {
            send(stream, &exception.connection_close((0, 0))).await?;
            linger(stream, buffer).await?;
        }
        return Ok(None);
    }
}

async fn send(stream: &mut TcpStream, method: &AMQPClass) -> io::Result<()> {
    let mut bytes = Vec::new();
    encode::method(0, method, &mut bytes);
    stream.write_all(&bytes).await
}

/// Waits for the client to close: closing first could take our last words from it.
async fn linger(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<()> {
    stream.shutdown().await?;
    let drained = async {
        loop {
            buffer.clear();
            if stream.read_buf(buffer).await? == 0 {
                return Ok(());
            }
        }
    };
    timeout(CLOSE_DEADLINE, drained).await.unwrap_or(Ok(()))
}

struct Reader<'a> {
    read: ReadHalf<'a>,
    buffer: BytesMut,
    id: ConnectionId,
    tuned: Tuned,
    shared: &'a Shared,
    signals: &'a Signals,
    stop: CancellationToken,
}

impl Reader<'_> {
    /// Ends with the socket, or with an error; a fault in what it reads is answered and left to the writer to end.
    async fn run(mut self) -> io::Result<()> {
        let mut assembler = Assembler::default();
        let mut commands: Vec<(ChannelId, Command)> = Vec::new();
        loop {
            let fault = self.decode(&mut assembler, &mut commands);
            let failed = fault.is_some();
            let backlog = self.shared.with(|broker, now| {
                for (channel, command) in commands.drain(..) {
                    broker.handle(self.id, channel, command, now);
                }
                if let Some(exception) = fault {
                    broker.fail(self.id, exception, now);
                }
                broker.backlog(self.id)
            });
            if failed {
                return self.until_closed().await;
            }
            if backlog >= WINDOW {
                self.wait_for_room().await;
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

    /// Takes all complete frames out of the buffer.
    fn decode(
        &mut self,
        assembler: &mut Assembler,
        commands: &mut Vec<(ChannelId, Command)>,
    ) -> Option<Exception> {
        let mut taken = 0;
        let fault = loop {
            match decode::frame(&self.buffer[taken..], self.tuned.frame_max) {
                Ok(None) => break None,
                Ok(Some((frame, size))) => {
                    taken += size;
                    match assembler.accept(frame) {
                        Ok(command) => commands.extend(command),
                        Err(exception) => break Some(exception),
                    }
                }
                Err(error) => break Some(error.into()),
            }
        };
        self.buffer.advance(taken);
        self.buffer.reserve(READ_BUFFER / 2);
        fault
    }

    async fn wait_for_room(&self) {
        while self.shared.with(|broker, _| broker.backlog(self.id)) >= WINDOW {
            tokio::select! {
                () = self.signals.taken.notified() => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    /// After our connection.close: hears only close and close-ok, for a while. What cannot be understood is skipped,
    /// since the fault may have been one in the framing.
    async fn until_closed(mut self) -> io::Result<()> {
        let mut assembler = Assembler::default();
        let mut commands = Vec::new();
        let closing = async {
            loop {
                if self.decode(&mut assembler, &mut commands).is_some() {
                    self.buffer.clear();
                }
                self.shared.with(|broker, now| {
                    for (channel, command) in commands.drain(..) {
                        broker.handle(self.id, channel, command, now);
                    }
                });
                if self.read.read_buf(&mut self.buffer).await? == 0 {
                    return Ok(());
                }
            }
        };
        timeout(CLOSE_DEADLINE, closing).await.unwrap_or(Ok(()))
    }
}

struct Writer<'a> {
    write: WriteHalf<'a>,
    id: ConnectionId,
    tuned: Tuned,
    shared: &'a Shared,
    signals: &'a Signals,
}

impl Writer<'_> {
    /// Ends after the broker's hang-up, or with an error.
    async fn run(mut self) -> io::Result<()> {
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
        timeout(deadline, self.write.write_all(bytes)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        bytes.clear();
        Ok(())
    }
}
