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
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

mod reader;
mod writer;

use self::reader::Reader;
use self::writer::Writer;
use crate::access::Access;
use crate::broker::{ConnectionId, Exception};
use crate::handshake::{Handshake, PROTOCOL_HEADER, Refusal, Step, Tuned};
use crate::shared::Shared;
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

/// What every connection shares.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) shared: Arc<Shared>,
    pub(crate) access: Arc<Access>,
    pub(crate) stop: CancellationToken,
}

/// Serves a client until it or the broker ends.
pub(crate) async fn run(stream: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>, door: Door) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "cannot disable Nagle's algorithm");
    }
    let own = stream.local_addr().map(|address| address.to_string()).unwrap_or_default();
    let name = format!("{peer} -> {own}");
    let now = door.shared.now();
    let handshake = Handshake::new(door.access.clone(), peer.ip().is_loopback(), name, tls.is_some(), now);
    let Some(acceptor) = tls else {
        return serve(stream, TcpStream::into_split, peer, handshake, door).await;
    };
    match timeout(HANDSHAKE_DEADLINE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => serve(stream, tokio::io::split, peer, handshake, door).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS connection came about"),
        Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
    }
}

async fn serve<S, R, W>(
    mut stream: S,
    split: impl FnOnce(S) -> (R, W),
    peer: SocketAddr,
    handshake: Handshake,
    door: Door,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let Door { shared, stop, .. } = door;
    let signals = Signals::default();
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
    let (read, write) = split(stream);
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
async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
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

async fn send(stream: &mut (impl AsyncWrite + Unpin), method: &AMQPClass) -> io::Result<()> {
    let mut bytes = Vec::new();
    encode::method(0, method, &mut bytes);
    stream.write_all(&bytes).await
}

/// Waits for the client to close: closing first could take our last words from it.
async fn linger(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), buffer: &mut BytesMut) -> io::Result<()> {
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
