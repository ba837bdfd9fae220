//! A device that knows nothing of us: a few bytes of MQTT 3.1.1 on a socket, as the libraries of small controllers write them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use url::Url;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connected device. What it sends may be lost, as QoS 0 says, and it keeps nothing.
pub struct Device {
    stream: TcpStream,
}

impl Device {
    /// Connects to the broker at `url` with a clean session.
    ///
    /// # Panics
    /// When it is not let in.
    pub fn connect(url: &str, client_id: &str) -> Self {
        let url: Url = url.parse().expect("a URL");
        let host = url.host_str().expect("a host").to_owned();
        let stream = TcpStream::connect((host, url.port().expect("a port"))).expect("the broker is there");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has a timeout");
        let mut device = Self { stream };
        // CONNECT: protocol level 4, clean session, 600 s between signs of life, since it gives none.
        let head = b"\0\x04MQTT\x04\x02\x02\x58";
        device.write(0x10, &[head, text(client_id).as_slice()].concat());
        let (kind, answer) = device.read();
        assert_eq!((kind, answer.as_slice()), (0x20, &[0, 0][..]), "the device is let in");
        device
    }

    /// Announces a participant: `payload` is that of a discovery message.
    pub fn announce(&mut self, payload: &serde_json::Value) {
        let message =
            serde_json::json!({"protocol": "discovery", "command": "participant", "payload": payload});
        self.publish("fbp", message.to_string().as_bytes());
    }

    /// Sends a message with QoS 0.
    pub fn publish(&mut self, topic: &str, payload: &[u8]) {
        self.write(0x30, &[text(topic).as_slice(), payload].concat());
    }

    /// Has messages of `topic` sent to it with QoS 0.
    pub fn subscribe(&mut self, topic: &str) {
        self.write(0x82, &[&[0, 1][..], text(topic).as_slice(), &[0]].concat());
        // Retained messages may come before the answer.
        while self.read().0 != 0x90 {}
    }

    /// The topic and the payload of the next message.
    pub fn receive(&mut self) -> (String, Vec<u8>) {
        loop {
            let (kind, body) = self.read();
            if kind & 0xF0 == 0x30 {
                let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
                let topic = String::from_utf8(body[2..2 + length].to_vec()).expect("a topic is text");
                return (topic, body[2 + length..].to_vec());
            }
        }
    }

    fn write(&mut self, kind: u8, body: &[u8]) {
        let mut packet = vec![kind];
        let mut length = body.len();
        loop {
            let low = u8::try_from(length & 0x7F).expect("seven bits");
            length >>= 7;
            packet.push(low | u8::from(length > 0) << 7);
            if length == 0 {
                break;
            }
        }
        packet.extend_from_slice(body);
        self.stream.write_all(&packet).expect("the broker reads");
    }

    fn read(&mut self) -> (u8, Vec<u8>) {
        let mut byte = [0];
        let mut next = |stream: &mut TcpStream| {
            stream.read_exact(&mut byte).expect("the broker answers");
            byte[0]
        };
        let kind = next(&mut self.stream);
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = next(&mut self.stream);
            length |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("the broker answers");
        (kind, body)
    }
}

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short text");
    [&length.to_be_bytes()[..], text.as_bytes()].concat()
}
