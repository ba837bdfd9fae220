//! The broker without its sockets, driven by bytes: the entry points of the fuzz targets.
//!
//! What must hold for any bytes: no panic; everything that is sent can be parsed; no message is unaccounted for; and
//! when the connections are gone, nothing is unacknowledged.

use amq_protocol::frame::parse_frame;
use amq_protocol::protocol::{AMQPClass, queue};
use amq_protocol::types::FieldTable;

use crate::broker::{Broker, Command, ConnectionId, DEFAULT_VHOST, Memory, Name, Peer, Setup, Time};
use crate::wire::assemble::Assembler;
use crate::wire::decode::{self, FRAME_END, FRAME_MAX, TYPE_HEADER};
use crate::wire::encode;

/// The queue that is there at the beginning.
const QUEUE: &str = "q";

/// The methods that [`methods`] chooses from: what a client may send, and some that it may not.
const METHODS: [(u8, u8); 40] = [
    (10, 31),
    (10, 50),
    (10, 51),
    (10, 70),
    (20, 10),
    (20, 20),
    (20, 21),
    (20, 40),
    (20, 41),
    (30, 10),
    (40, 10),
    (40, 20),
    (40, 30),
    (40, 40),
    (50, 10),
    (50, 20),
    (50, 30),
    (50, 40),
    (50, 50),
    (60, 10),
    (60, 20),
    (60, 30),
    (60, 40),
    (60, 40),
    (60, 40),
    (60, 70),
    (60, 70),
    (60, 80),
    (60, 80),
    (60, 90),
    (60, 100),
    (60, 110),
    (60, 120),
    (60, 120),
    (85, 10),
    (90, 10),
    (90, 20),
    (90, 30),
    (60, 60),
    (99, 1),
];

/// Bytes as they come from the socket of an open connection.
pub fn stream(bytes: &[u8]) {
    let mut session = Session::new();
    session.receive(bytes);
    session.end();
}

/// Bytes as a sequence of methods in valid envelopes, each followed by content if it needs some: method, channel,
/// length and arguments, one byte each but for the arguments.
pub fn methods(mut bytes: &[u8]) {
    let mut session = Session::new();
    while let [method, channel, length, rest @ ..] = bytes {
        let (arguments, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        let (class, method) = METHODS[usize::from(*method) % METHODS.len()];
        let channel = channel % 3;
        let mut payload = vec![0, class, 0, method];
        payload.extend_from_slice(arguments);
        let mut frames = envelope(1, channel, &payload);
        if (class, method) == (60, 40) {
            // Properties: delivery mode and priority, taken from the arguments.
            let mut header = vec![0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0b0001_1000, 0];
            header.extend_from_slice(&[2, *length]);
            frames.extend(envelope(2, channel, &header));
            frames.extend(envelope(3, channel, b"hi"));
        }
        if !session.receive(&frames) {
            break;
        }
        bytes = rest;
    }
    session.end();
}

fn envelope(kind: u8, channel: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind, 0, channel];
    frame.extend_from_slice(&u32::try_from(payload.len()).expect("a few hundred bytes").to_be_bytes());
    frame.extend_from_slice(payload);
    frame.push(FRAME_END);
    frame
}

struct Session {
    broker: Broker,
    connection: ConnectionId,
    assembler: Assembler,
    now: u64,
}

impl Session {
    /// A connection with channel 1 and a queue.
    fn new() -> Self {
        let mut broker = Broker::new(Setup::in_memory(0, Time(0)));
        let name = Name::new(DEFAULT_VHOST);
        let peer = Peer { channel_max: 10, takes_cancels: true, ..Peer::inside(Name::new("guest"), name) };
        let connection = broker.connect(peer).expect("the default virtual host exists");
        let mut session = Self { broker, connection, assembler: Assembler::new(Memory::default()), now: 0 };
        session.receive(&envelope(1, 1, &[0, 20, 0, 10, 0]));
        let declare = queue::Declare {
            queue: QUEUE.into(),
            passive: false,
            durable: false,
            exclusive: false,
            auto_delete: false,
            nowait: false,
            arguments: FieldTable::default(),
        };
        session.command(1, Command::Method(AMQPClass::Queue(queue::AMQPMethod::Declare(declare))));
        session
    }

    /// Serves what has come; false when the bytes made no sense.
    fn receive(&mut self, mut bytes: &[u8]) -> bool {
        loop {
            let accepted = match decode::frame(bytes, FRAME_MAX) {
                Ok(None) => return true,
                Ok(Some((frame, size))) => {
                    bytes = &bytes[size..];
                    self.assembler.accept(frame)
                }
                Err(error) => Err(error.into()),
            };
            match accepted {
                Ok(None) => {}
                Ok(Some((channel, command))) => self.command(channel, command),
                Err(exception) => {
                    self.broker.fail(self.connection, exception, Time(self.now));
                    self.write();
                    return false;
                }
            }
        }
    }

    fn command(&mut self, channel: u16, command: Command) {
        self.now += 1;
        self.broker.handle(self.connection, channel, command, Time(self.now));
        self.broker.tick(Time(self.now));
        self.write();
    }

    /// Takes the output and reads it as a client would.
    fn write(&mut self) {
        let mut outputs = Vec::new();
        self.broker.take_output(self.connection, &mut outputs, Time(self.now));
        let mut bytes = Vec::new();
        for output in &outputs {
            if let Some((channel, body)) = encode::output(output, &mut bytes) {
                for piece in encode::body_pieces(body, FRAME_MAX) {
                    encode::body(channel, piece, &mut bytes);
                }
            }
        }
        let mut rest = bytes.as_slice();
        while let Some(kind) = rest.first() {
            rest = if *kind == TYPE_HEADER {
                // Properties that their sender made of bytes are passed on as they are, which the library's parser does not take.
                let header = decode::frame(rest, FRAME_MAX).expect("what the broker sends can be parsed");
                &rest[header.expect("frames are whole").1..]
            } else {
                parse_frame(rest).expect("what the broker sends can be parsed").0
            };
        }
        for queue in self.broker.queue_infos() {
            let left = queue.acknowledged + queue.dropped + queue.ready + queue.unacknowledged;
            assert_eq!(queue.published, left, "messages of {} are unaccounted for", queue.name);
        }
    }

    fn end(mut self) {
        self.broker.disconnect(self.connection, Time(self.now));
        self.write();
        for queue in self.broker.queue_infos() {
            assert_eq!((queue.unacknowledged, queue.consumers), (0, 0), "{} is still held", queue.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_stream(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            super::stream(&bytes);
        }

        /// Arguments that are likely to mean something: names of what exists, small numbers, empty tables.
        #[test]
        fn any_methods(
            methods in prop::collection::vec(
                (any::<u8>(), 0_u8..3, prop::collection::vec(prop::sample::select(vec![0_u8, 0, 0, 1, 2, b'q']), 0..24)),
                0..60,
            ),
        ) {
            let mut bytes = Vec::new();
            for (method, channel, arguments) in methods {
                bytes.extend_from_slice(&[method, channel, u8::try_from(arguments.len()).expect("short")]);
                bytes.extend_from_slice(&arguments);
            }
            super::methods(&bytes);
        }
    }
}
