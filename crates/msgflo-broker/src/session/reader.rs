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

/// How long the beginning of a message is kept while memory is short and such beginnings take much of it.
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
            let unfinished = assembler.unfinished();
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
                drop(assembler);
                return self.until_closed().await;
            }
            if backlog >= WINDOW {
                self.wait_for_room().await;
            }
            let blocked = waits_from.is_some_and(|mark| pressure >= mark);
            if (blocked || (publishes && self.shared.is_congested())) && !self.may_go_on(waits_from).await {
                let refusal = Exception::resource_error("no memory for the rest of this message");
                self.shared.with(|broker, now| broker.fail(self.id, refusal, now));
                drop(assembler);
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

    /// Waits until it may go on, as a publisher. Who is in the middle of a message holds memory while he waits; where that is
    /// what keeps others waiting, it is not for ever: false when he must give up.
    async fn may_go_on(&self, waits_from: Option<Pressure>) -> bool {
        let patience = async {
            loop {
                tokio::time::sleep(UNFINISHED_DEADLINE).await;
                if self.shared.with(|broker, _| broker.must_give_up(self.id)) {
                    return;
                }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use amq_protocol::protocol::{basic, channel, queue};
    use amq_protocol::types::FieldTable;
    use tokio::io::{AsyncWriteExt, DuplexStream};

    use super::*;
    use crate::broker::{DEFAULT_VHOST, Name, Output, Peer};
    use crate::wire::decode::{ENVELOPE, FRAME_END, TYPE_BODY, TYPE_HEADER};
    use crate::wire::encode;

    /// Frames as a client writes them.
    fn method(class: AMQPClass) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode::method(1, &class, &mut bytes);
        bytes
    }

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind, 0, 1];
        bytes.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(payload);
        bytes.push(FRAME_END);
        bytes
    }

    /// A message up to the frames of its body, with one property.
    fn beginning(body_size: u64) -> Vec<u8> {
        let publish = basic::Publish {
            exchange: "".into(),
            routing_key: "q".into(),
            mandatory: false,
            immediate: false,
        };
        let mut header = vec![0, 60, 0, 0];
        header.extend_from_slice(&body_size.to_be_bytes());
        header.extend_from_slice(&[0b0001_0000, 0, 1]);
        [method(AMQPClass::Basic(basic::AMQPMethod::Publish(publish))), frame(TYPE_HEADER, &header)].concat()
    }

    /// A client, and what serves it until the test ends.
    struct Client {
        stream: DuplexStream,
        id: ConnectionId,
    }

    async fn client(shared: &Arc<Shared>) -> Client {
        let (mut stream, read) = tokio::io::duplex(1024 * 1024);
        let peer = Peer { channel_max: 1, ..Peer::inside(Name::new("guest"), Name::new(DEFAULT_VHOST)) };
        let id = shared.connect(peer, Arc::default()).unwrap();
        tokio::spawn({
            let shared = shared.clone();
            async move {
                let tuned = Tuned { channel_max: 1, frame_max: 131_072, heartbeat: 0 };
                let (shared, signals) = (&*shared, &Signals::default());
                let stop = CancellationToken::new();
                Reader { read, buffer: BytesMut::new(), id, tuned, shared, signals, stop }.run().await
            }
        });
        let declare = queue::Declare {
            queue: "q".into(),
            passive: false,
            durable: false,
            exclusive: false,
            auto_delete: false,
            nowait: true,
            arguments: FieldTable::default(),
        };
        let open = method(AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})));
        let declare = method(AMQPClass::Queue(queue::AMQPMethod::Declare(declare)));
        stream.write_all(&[open, declare].concat()).await.unwrap();
        Client { stream, id }
    }

    fn is_closed(shared: &Shared, id: ConnectionId) -> bool {
        let mut outputs = Vec::new();
        shared.with(|broker, now| broker.take_output(id, &mut outputs, now));
        outputs.iter().any(|output| matches!(output, Output::Method(0, AMQPClass::Connection(_))))
    }

    const LIMIT: usize = 1024 * 1024;
    /// Longer than the patience with half a message.
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_publisher_waits_for_the_end_of_an_alarm_between_header_and_body() {
        let shared = Shared::open(0, None, LIMIT).unwrap();
        let mut client = client(&shared).await;
        let body = frame(TYPE_BODY, &[7; 1_000]);
        let (now, later) = body.split_at(500);
        client
            .stream
            .write_all(&[&beginning(1_000), &body[..], &beginning(1_000), now].concat())
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        shared.with(|broker, now| broker.disk_is_short(Pressure::Severe, now));
        // It is read once more before it waits.
        client.stream.write_all(&later[..100]).await.unwrap();
        tokio::time::sleep(LONG).await;
        client.stream.write_all(&[&later[100..], &beginning(1_000), &body[..]].concat()).await.unwrap();
        tokio::time::sleep(LONG).await;
        let ready = || shared.with(|broker, _| broker.queue_by_name("q")).unwrap().ready;
        assert_eq!(ready(), 1);
        shared.with(|broker, now| broker.disk_is_short(Pressure::None, now));
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(ready(), 3);
        assert!(!is_closed(&shared, client.id));
    }

    #[tokio::test(start_paused = true)]
    async fn who_keeps_memory_with_half_a_message_gives_up_and_others_go_on() {
        let shared = Shared::open(0, None, LIMIT).unwrap();
        let (mut small, mut large) = (client(&shared).await, client(&shared).await);
        small.stream.write_all(&beginning(1)).await.unwrap();
        large.stream.write_all(&beginning(2 * LIMIT as u64)).await.unwrap();
        let piece = frame(TYPE_BODY, &[0; 131_072 - ENVELOPE]);
        for _ in 0..9 {
            large.stream.write_all(&piece).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(shared.with(|broker, _| broker.memory_used()) > LIMIT);
        small.stream.write_all(&frame(TYPE_BODY, b"1")[..4]).await.unwrap();
        tokio::time::sleep(LONG).await;
        assert!(is_closed(&shared, large.id));
        small.stream.write_all(&frame(TYPE_BODY, b"1")[4..]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(shared.with(|broker, _| broker.queue_by_name("q")).unwrap().ready, 1);
        assert!(!is_closed(&shared, small.id));
    }
}
