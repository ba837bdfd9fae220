//! The task behind a link: owns the session, and connects again for as long as the link is open.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::DEADLINE;
use super::link::{Answer, Asked, Standing};
use super::options::Options;
use super::packet::{self, Outbox, Version, reason};
use super::session::{Event, Receipt, Request, Session};
use super::topics::Topics;
use super::wire::{Identity, KEEP, Stream, Wire};

/// The shortest and the longest pause between two attempts to connect.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// How many requests and acknowledgements are taken at once, and written together.
const BATCH: usize = 256;
/// No more is asked while as many bytes wait to be written.
const UNWRITTEN: usize = 1 << 20;
/// A broker sends each message as it comes. After so many reads within one span, or so many messages in one read, what comes
/// next is left to gather until the next span: to be woken for each message costs more than the message. Messages that are to be
/// acknowledged do not count: the broker would wait for us.
const READS: u32 = 16;
const MESSAGES: usize = 8;
const SPAN: Duration = Duration::from_millis(1);

/// Owner of a session.
pub(crate) struct Keeper {
    options: Options,
    identity: Identity,
    requests: mpsc::Receiver<Asked>,
    topics: Arc<Mutex<Topics>>,
    connected: watch::Sender<u64>,
    standing: Arc<Standing>,
    closing: CancellationToken,
    /// With who waits for the answer, if anybody does.
    session: Session<Option<Answer>>,
    /// Acknowledgements of ours. Unbounded, and yet no more than the broker sends without one.
    acknowledge: mpsc::UnboundedSender<Receipt>,
    acknowledged: mpsc::UnboundedReceiver<Receipt>,
    out: Outbox,
}

/// How a connection ended.
enum End {
    /// We were asked to leave, and have.
    Closed,
    Lost(io::Error),
}

impl Keeper {
    pub(crate) fn new(
        options: Options,
        identity: Identity,
        requests: mpsc::Receiver<Asked>,
        topics: Arc<Mutex<Topics>>,
        connected: watch::Sender<u64>,
        standing: Arc<Standing>,
        closing: CancellationToken,
    ) -> Self {
        let (acknowledge, acknowledged) = mpsc::unbounded_channel();
        Self {
            options,
            identity,
            requests,
            topics,
            connected,
            standing,
            closing,
            session: Session::new(),
            acknowledge,
            acknowledged,
            out: Outbox::default(),
        }
    }

    /// Runs until the link is closed. `wire` is the first connection.
    pub(crate) async fn run(mut self, wire: Wire) {
        let mut wire = Some(wire);
        while let Some(connection) = wire.take() {
            let version = connection.version;
            match self.serve(connection).await {
                End::Closed => break,
                End::Lost(error) => {
                    tracing::debug!(broker = self.options.broker, %error, "the connection was lost");
                }
            }
            self.standing.is_connected.store(false, Ordering::Relaxed);
            self.session.disconnected();
            self.out.clear();
            let closing = self.closing.clone();
            wire = closing.run_until_cancelled(self.reconnect(version)).await;
            if wire.is_some() {
                tracing::info!(broker = self.options.broker, "connected to the broker again");
            }
        }
        self.topics.lock().unwrap_or_else(PoisonError::into_inner).close();
        // Dropping an answer tells that it will not come.
        self.session.abandon().for_each(drop);
    }

    /// Tries until it succeeds.
    async fn reconnect(&self, version: Version) -> Wire {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(PAUSES.0)
            .with_max_delay(PAUSES.1)
            .with_jitter()
            .without_max_times();
        let mut pauses = pauses.build();
        loop {
            tokio::time::sleep(pauses.next().unwrap_or(PAUSES.1)).await;
            match Wire::open(&self.options, &self.identity, true, Some(version)).await {
                Ok(wire) => return wire,
                Err(error) => {
                    let source = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(broker = self.options.broker, %error, source, "the broker is away, trying again");
                }
            }
        }
    }

    /// Uses one connection until its end.
    async fn serve(&mut self, wire: Wire) -> End {
        let Wire { stream, mut unread, version, welcome } = wire;
        let (mut reader, mut writer) = tokio::io::split(stream);
        self.standing.most.store(welcome.maximum_packet, Ordering::Relaxed);
        self.standing.is_connected.store(true, Ordering::Relaxed);
        self.session.connected(version, welcome.receive_maximum, &mut self.out);
        // What is wanted from the first may be wanted since the session was last used.
        let is_first = *self.connected.borrow() == 0;
        if welcome.session_present {
            self.topics().begin_round();
        }
        if is_first || !welcome.session_present {
            let filters = self.topics().filters();
            if !filters.is_empty() {
                self.session.ask(Request::Subscribe(filters), None, &mut self.out);
            }
        }
        self.connected.send_modify(|count| *count += 1);
        let silence = match welcome.keep_alive {
            Some(seconds) => Duration::from_secs(seconds.into()),
            None => self.options.keep_alive,
        };
        match self.exchange(&mut reader, &mut writer, &mut unread, silence).await {
            Ok(()) => {
                self.leave(&mut writer).await;
                End::Closed
            }
            Err(error) => End::Lost(error),
        }
    }

    /// Reads and writes until the link closes, which is no error.
    async fn exchange(
        &mut self,
        reader: &mut ReadHalf<Box<dyn Stream>>,
        writer: &mut WriteHalf<Box<dyn Stream>>,
        unread: &mut BytesMut,
        silence: Duration,
    ) -> io::Result<()> {
        let (mut requests, mut receipts) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        let (mut heard, mut told) = (Instant::now(), Instant::now());
        let mut ping = tokio::time::interval(silence / 2);
        ping.reset();
        let mut is_flushed = true;
        let mut pace = Pace::new(heard);
        let mut rest = None;
        // What came with the welcome.
        self.take(unread)?;
        loop {
            self.out.seal();
            let room = if self.out.remaining() < UNWRITTEN { self.session.room().min(BATCH) } else { 0 };
            // It is read also while it is written: two ends that only write wait for each other.
            tokio::select! {
                written = write(writer, &mut self.out, &mut is_flushed), if self.out.has_remaining() || !is_flushed => {
                    written?;
                    told = Instant::now();
                }
                read = Wire::read(reader, unread), if rest.is_none() => {
                    read?;
                    heard = Instant::now();
                    let unassured = self.take(unread)?;
                    rest = pace.read(heard, unassured);
                }
                () = sleep_until(rest.unwrap_or(heard)), if rest.is_some() => rest = None,
                _ = self.acknowledged.recv_many(&mut receipts, BATCH) => {
                    for receipt in receipts.drain(..) {
                        self.session.acknowledge(receipt, &mut self.out);
                    }
                }
                taken = self.requests.recv_many(&mut requests, room), if room > 0 => {
                    if taken == 0 {
                        // Every handle is gone.
                        return Ok(());
                    }
                    for Asked { request, answer } in requests.drain(..) {
                        self.session.ask(request, answer, &mut self.out);
                    }
                }
                _ = ping.tick() => {
                    let unwritten = self.out.has_remaining() && told.elapsed() > silence * 2;
                    if unwritten || heard.elapsed() > silence * 2 {
                        return Err(io::Error::new(io::ErrorKind::TimedOut, "the broker is silent"));
                    }
                    packet::ping(&mut self.out);
                }
                () = self.closing.cancelled() => return Ok(()),
            }
        }
    }

    fn topics(&self) -> MutexGuard<'_, Topics> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes every packet that is complete. How many messages there were that need no acknowledgement.
    fn take(&mut self, unread: &mut BytesMut) -> io::Result<usize> {
        let mut unassured = 0;
        let malformed = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        while let Some(packet) = packet::decode(unread, self.session.version()).map_err(malformed)? {
            match self.session.receive(packet) {
                Event::Quiet => {}
                Event::Received(publish, receipt) => {
                    unassured += usize::from(receipt.is_none());
                    let topic = std::str::from_utf8(&publish.topic).map_err(io::Error::other)?;
                    let is_wanted = self.topics().deliver(topic, publish.message, receipt, &self.acknowledge);
                    if !is_wanted && self.identity.expiry == KEEP && self.session.room() > 0 {
                        // An earlier life has wanted it.
                        self.session.ask(Request::Unsubscribe(vec![topic.into()]), None, &mut self.out);
                    }
                }
                // Whoever asked may have gone.
                Event::Answered(Some(answer), refused) => drop(answer.send(refused)),
                Event::Answered(None, None) => {}
                Event::Answered(None, Some(code)) => {
                    tracing::error!(
                        reason = reason::text(code),
                        "the broker refuses a subscription that it had"
                    );
                }
                Event::Left(code) => return Err(io::Error::other(reason::text(code))),
            }
        }
        Ok(unassured)
    }

    /// Tells the answers that were given and what was asked, and says good-bye.
    async fn leave(&mut self, writer: &mut WriteHalf<Box<dyn Stream>>) {
        while let Ok(receipt) = self.acknowledged.try_recv() {
            self.session.acknowledge(receipt, &mut self.out);
        }
        while self.session.room() > 0
            && let Ok(Asked { request, answer }) = self.requests.try_recv()
        {
            self.session.ask(request, answer, &mut self.out);
        }
        packet::disconnect(&mut self.out, self.session.version(), self.identity.expiry != KEEP);
        self.out.seal();
        let writing = async {
            let mut is_flushed = false;
            while self.out.has_remaining() || !is_flushed {
                write(writer, &mut self.out, &mut is_flushed).await?;
            }
            writer.shutdown().await
        };
        match timeout(DEADLINE, writing).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the connection ended before we had said good-bye"),
            Err(_) => tracing::debug!("the broker does not hear our good-bye"),
        }
    }
}

/// How fast reads follow each other.
struct Pace {
    /// When the span began, and the reads in it.
    since: Instant,
    reads: u32,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { since: now, reads: 0 }
    }

    /// Something was read. `Some`: the next is to be read then, and not before.
    fn read(&mut self, now: Instant, unassured: usize) -> Option<Instant> {
        if now.saturating_duration_since(self.since) >= SPAN || unassured >= MESSAGES {
            *self = Self::new(now);
        }
        self.reads += 1;
        (self.reads > READS || unassured >= MESSAGES).then(|| self.since + SPAN)
    }
}

/// Writes some of `out`, and flushes when all is written. Nothing is lost when it is cancelled.
async fn write(
    writer: &mut WriteHalf<Box<dyn Stream>>,
    out: &mut Outbox,
    is_flushed: &mut bool,
) -> io::Result<()> {
    if out.has_remaining() {
        *is_flushed = false;
        writer.write_buf(out).await?;
    }
    if !out.has_remaining() {
        writer.flush().await?;
        *is_flushed = true;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_now_and_then_is_read_at_once_and_what_comes_in_numbers_is_gathered() {
        let begin = Instant::now();
        let mut pace = Pace::new(begin);
        let at = |micros| begin + Duration::from_micros(micros);
        assert!((0..100).all(|read| pace.read(at(read * 70), 1).is_none()), "some fifteen in a span");

        let mut pace = Pace::new(begin);
        assert!((0..READS.into()).all(|read| pace.read(at(read * 10), 0).is_none()));
        assert_eq!(pace.read(at(500), 0), Some(at(1000)));
        assert_eq!(pace.read(at(1000), 1), None, "the next span");
        assert_eq!(pace.read(at(1200), MESSAGES), Some(at(2200)), "they come in numbers");
        assert_eq!(pace.read(at(2200), MESSAGES - 1), None);
    }
}
