//! What two ends of MQTT owe each other: pure.
//!
//! A session outlives its connections. What was sent and not answered for is kept, and sent again on the next connection; what
//! was received is acknowledged in the order in which it came, as MQTT wants it [MQTT-4.6.0-2], and only on the connection
//! that it came on: the broker sends it again on the next one.
//!
//! A request is told apart by a token `T` of the caller's, which comes back with the answer.

use std::collections::VecDeque;

use msgflo_core::{Assurance, Message, QueueName};

use super::packet::{self, Outbox, Packet, PacketId, Publish, Version, reason};

/// The most requests that wait for an answer, also if the broker takes more.
const MOST_IN_FLIGHT: u16 = 4096;

/// What a broker is asked, and answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    Publish { topic: QueueName, message: Message },
    Subscribe(Vec<(QueueName, Assurance)>),
    Unsubscribe(Vec<QueueName>),
}

/// What a packet of the broker means.
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is made")]
#[derive(Debug, PartialEq)]
pub(crate) enum Event<T> {
    /// Nothing that anybody waits for.
    Quiet,
    /// A message came. With a receipt it must be acknowledged.
    Received(Publish, Option<Receipt>),
    /// A request was answered. `Some`: refused, with the reason.
    Answered(T, Option<u8>),
    /// The broker leaves, and says why.
    Left(u8),
}

/// A message that was received, and is to be acknowledged: its number since the session began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Receipt(u64);

#[cfg(test)]
impl Receipt {
    pub(crate) fn numbered(number: u64) -> Self {
        Self(number)
    }
}

/// One side of a session with a broker.
#[derive(Debug)]
pub(crate) struct Session<T> {
    version: Version,
    /// How many requests may wait for an answer.
    window: u16,
    /// What waits for an answer; the place is the packet's id, less one.
    asked: Vec<Option<Asked<T>>>,
    free: Vec<PacketId>,
    /// How many requests there were.
    count: u64,
    /// Messages that came on this connection, in order, until they are acknowledged.
    received: VecDeque<Received>,
    /// The receipt of the first of them.
    first: u64,
}

#[derive(Debug)]
struct Asked<T> {
    /// Tells which was first.
    order: u64,
    request: Request,
    token: T,
}

#[derive(Debug)]
struct Received {
    id: PacketId,
    is_done: bool,
}

impl<T> Session<T> {
    /// A session without a connection.
    pub(crate) fn new() -> Self {
        Self {
            version: Version::V5,
            window: 0,
            asked: Vec::new(),
            free: Vec::new(),
            count: 0,
            received: VecDeque::new(),
            first: 0,
        }
    }

    /// The version of the connection there is, or was.
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// Begins a connection on which the broker takes `receive_maximum` unacknowledged messages; sends again what was not
    /// answered for on the last one, in order.
    pub(crate) fn connected(&mut self, version: Version, receive_maximum: u16, out: &mut Outbox) {
        self.version = version;
        self.window = receive_maximum.min(MOST_IN_FLIGHT);
        let mut again: Vec<_> =
            (1..).zip(&self.asked).filter_map(|(id, asked)| Some((id, asked.as_ref()?))).collect();
        again.sort_by_key(|(_, asked)| asked.order);
        for (id, asked) in again {
            write(out, version, id, &asked.request, true);
        }
    }

    /// The connection has ended: its receipts are worth nothing any more.
    pub(crate) fn disconnected(&mut self) {
        self.window = 0;
        self.first += self.received.len() as u64;
        self.received.clear();
    }

    /// How many requests can be made now.
    pub(crate) fn room(&self) -> usize {
        usize::from(self.window).saturating_sub(self.asked.len() - self.free.len())
    }

    /// Makes a request. A message that is not assured needs no answer.
    pub(crate) fn ask(&mut self, request: Request, token: T, out: &mut Outbox) {
        if let Request::Publish { topic, message } = &request
            && !message.persistent
        {
            packet::publish(out, self.version, topic, None, false, message);
            return;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            self.asked.push(None);
            PacketId::try_from(self.asked.len()).expect("no more than the window are asked")
        });
        write(out, self.version, id, &request, false);
        self.count += 1;
        self.asked[usize::from(id) - 1] = Some(Asked { order: self.count, request, token });
    }

    /// Takes a packet of the broker.
    pub(crate) fn receive(&mut self, packet: Packet) -> Event<T> {
        match packet {
            Packet::Publish(publish) => {
                let receipt = publish.id.map(|id| {
                    self.received.push_back(Received { id, is_done: false });
                    Receipt(self.first + self.received.len() as u64 - 1)
                });
                Event::Received(publish, receipt)
            }
            Packet::PubAck { id, reason } => {
                self.answered(id, Some(reason).filter(|reason| *reason >= reason::FAILURE))
            }
            Packet::SubAck { id, reasons } => {
                self.answered(id, reasons.iter().copied().find(|reason| *reason >= reason::FAILURE))
            }
            Packet::UnsubAck { id } => self.answered(id, None),
            Packet::Disconnect { reason } => Event::Left(reason),
            Packet::PingResp | Packet::ConnAck(_) => Event::Quiet,
        }
    }

    /// An answer that nobody waits for is that to something sent twice.
    fn answered(&mut self, id: PacketId, refused: Option<u8>) -> Event<T> {
        let place = usize::from(id) - 1;
        match self.asked.get_mut(place).and_then(Option::take) {
            Some(asked) => {
                self.free.push(id);
                Event::Answered(asked.token, refused)
            }
            None => Event::Quiet,
        }
    }

    /// Acknowledges what `receipt` is for, as soon as all that came before it is acknowledged.
    pub(crate) fn acknowledge(&mut self, receipt: Receipt, out: &mut Outbox) {
        let Some(place) = receipt.0.checked_sub(self.first) else { return };
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        if let Some(received) = self.received.get_mut(place) {
            received.is_done = true;
        }
        while let Some(Received { id, is_done: true }) = self.received.front() {
            packet::puback(out, *id);
            self.received.pop_front();
            self.first += 1;
        }
    }

    /// Everything that waits for an answer which will not come.
    pub(crate) fn abandon(&mut self) -> impl Iterator<Item = T> {
        self.free.clear();
        std::mem::take(&mut self.asked).into_iter().flatten().map(|asked| asked.token)
    }
}

fn write(out: &mut Outbox, version: Version, id: PacketId, request: &Request, again: bool) {
    match request {
        Request::Publish { topic, message } => {
            packet::publish(out, version, topic, Some(id), again, message);
        }
        Request::Subscribe(filters) => packet::subscribe(out, version, id, filters),
        Request::Unsubscribe(filters) => packet::unsubscribe(out, version, id, filters),
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Buf, Bytes, BytesMut};

    use super::*;

    /// What was written since the last look: the first byte of each packet, and the id that it has.
    fn written(out: &mut Outbox) -> Vec<(u8, PacketId)> {
        out.seal();
        let mut bytes = out.copy_to_bytes(out.remaining());
        let mut packets = Vec::new();
        while bytes.has_remaining() {
            let (kind, length) = (bytes.get_u8(), usize::from(bytes.get_u8()));
            let mut body = bytes.split_to(length);
            if kind >> 4 == 3 {
                let topic = usize::from(body.get_u16());
                body.advance(topic);
            }
            packets.push((kind, body.get_u16()));
        }
        packets
    }

    fn publish(payload: &'static str) -> Request {
        Request::Publish { topic: "t".into(), message: Message::new(payload) }
    }

    fn received(id: PacketId) -> Packet {
        Packet::Publish(Publish {
            topic: Bytes::from_static(b"t"),
            id: Some(id),
            message: Message::default(),
        })
    }

    fn receipt(session: &mut Session<u32>, id: PacketId) -> Receipt {
        match session.receive(received(id)) {
            Event::Received(_, Some(receipt)) => receipt,
            event => panic!("{event:?}"),
        }
    }

    #[test]
    fn no_more_is_asked_than_the_broker_takes_and_answers_make_room() {
        let (mut session, mut out) = (Session::new(), Outbox::default());
        assert_eq!(session.room(), 0, "there is no connection");
        session.connected(Version::V5, 2, &mut out);
        for token in [10, 11] {
            session.ask(publish("x"), token, &mut out);
        }
        assert_eq!(session.room(), 0);
        assert_eq!(written(&mut out), [(0x32, 1), (0x32, 2)]);
        assert_eq!(session.receive(Packet::PubAck { id: 2, reason: 0x10 }), Event::Answered(11, None));
        assert_eq!(session.receive(Packet::PubAck { id: 2, reason: 0 }), Event::Quiet, "an answer too many");
        assert_eq!(session.receive(Packet::PubAck { id: 1, reason: 0x97 }), Event::Answered(10, Some(0x97)));
        assert_eq!(session.room(), 2);
    }

    #[test]
    fn what_was_not_answered_for_is_sent_again_in_order() {
        let (mut session, mut out) = (Session::new(), Outbox::default());
        session.connected(Version::V311, 9, &mut out);
        for token in 1..=3 {
            session.ask(publish("x"), token, &mut out);
        }
        session.receive(Packet::PubAck { id: 1, reason: 0 });
        // Takes the id that is free again, and is yet the last.
        session.ask(Request::Subscribe(vec![("t".into(), Assurance::AtLeastOnce)]), 4, &mut out);
        session.disconnected();
        assert_eq!(session.room(), 0);
        written(&mut out);
        session.connected(Version::V311, 9, &mut out);
        assert_eq!(written(&mut out), [(0x3A, 2), (0x3A, 3), (0x82, 1)]);
        let reasons = Bytes::from_static(&[0x80]);
        assert_eq!(session.receive(Packet::SubAck { id: 1, reasons }), Event::Answered(4, Some(0x80)));
        assert_eq!(session.abandon().collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn acknowledgements_go_out_in_the_order_of_arrival() {
        let (mut session, mut out) = (Session::new(), Outbox::default());
        session.connected(Version::V5, 9, &mut out);
        let receipts: Vec<_> = [7, 5, 6].map(|id| receipt(&mut session, id)).into();
        session.acknowledge(receipts[2], &mut out);
        assert_eq!(written(&mut out), []);
        session.acknowledge(receipts[0], &mut out);
        assert_eq!(written(&mut out), [(0x40, 7)]);
        session.acknowledge(receipts[1], &mut out);
        assert_eq!(written(&mut out), [(0x40, 5), (0x40, 6)]);
    }

    #[test]
    fn a_receipt_is_worth_nothing_on_another_connection() {
        let (mut session, mut out) = (Session::new(), Outbox::default());
        session.connected(Version::V5, 9, &mut out);
        let lost = receipt(&mut session, 1);
        session.disconnected();
        session.connected(Version::V5, 9, &mut out);
        let again = receipt(&mut session, 1);
        session.acknowledge(lost, &mut out);
        assert_eq!(written(&mut out), [], "it belongs to the lost connection");
        session.acknowledge(again, &mut out);
        assert_eq!(written(&mut out), [(0x40, 1)]);
    }

    #[test]
    fn what_may_be_lost_waits_for_no_answer() {
        let (mut session, mut out) = (Session::new(), Outbox::default());
        session.connected(Version::V5, 1, &mut out);
        let message = Message { persistent: false, ..Message::new("x") };
        let request = Request::Publish { topic: "t".into(), message };
        session.ask(request, 1, &mut out);
        assert_eq!(session.room(), 1);
        out.seal();
        let mut bytes = BytesMut::from(out.chunk());
        let sent = packet::decode(&mut bytes, Version::V5).expect("a packet").expect("all of it");
        assert!(matches!(sent, Packet::Publish(Publish { id: None, .. })), "{sent:?}");
    }
}
