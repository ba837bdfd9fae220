//! A client of prepared bytes, so that what is measured is mostly the broker.

use std::time::Duration;

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, gen_frame};
use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::protocol::{AMQPClass, basic, channel, confirm, connection, queue};
use amq_protocol::types::FieldTable;
use anyhow::{Context, Result, anyhow, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

fn encode(frame: &AMQPFrame) -> Result<Vec<u8>> {
    Ok(gen_frame(frame)(Vec::new().into()).map_err(|error| anyhow!("{error}"))?.into_inner().0)
}

/// Class and method of a method frame's payload, and its arguments.
pub(super) fn method(payload: &[u8]) -> Option<((u16, u16), &[u8])> {
    let (&[c1, c2, m1, m2], arguments) = payload.split_first_chunk::<4>()?;
    Some(((u16::from_be_bytes([c1, c2]), u16::from_be_bytes([m1, m2])), arguments))
}

/// The frames of a message to a queue.
pub(super) fn message(queue: &str, body: &[u8], persistent: bool) -> Result<Vec<u8>> {
    let publish =
        basic::Publish { exchange: "".into(), routing_key: queue.into(), mandatory: false, immediate: false };
    let mut bytes = encode(&AMQPFrame::Method(1, AMQPClass::Basic(basic::AMQPMethod::Publish(publish))))?;
    let properties = AMQPProperties::default().with_delivery_mode(if persistent { 2 } else { 1 });
    let header = AMQPContentHeader { class_id: 60, body_size: body.len() as u64, properties };
    bytes.extend(encode(&AMQPFrame::Header(1, header))?);
    bytes.extend(encode(&AMQPFrame::Body(1, body.to_vec()))?);
    Ok(bytes)
}

/// A connection with channel 1.
pub(super) struct Client {
    pub(super) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// Logs in as guest, at `host:port`.
    pub(super) async fn open(address: &str) -> Result<Self> {
        let stream = timeout(PATIENCE, TcpStream::connect(address)).await?.context("connecting")?;
        stream.set_nodelay(true)?;
        let mut client = Self { stream, buffer: Vec::new() };
        client.stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
        client.answer().await?;
        let start_ok = connection::StartOk {
            client_properties: FieldTable::default(),
            mechanism: "PLAIN".into(),
            response: "\0guest\0guest".into(),
            locale: "en_US".into(),
        };
        client.call(0, AMQPClass::Connection(connection::AMQPMethod::StartOk(start_ok))).await?;
        let tune_ok = connection::TuneOk { channel_max: 10, frame_max: 131_072, heartbeat: 0 };
        client.send(0, AMQPClass::Connection(connection::AMQPMethod::TuneOk(tune_ok))).await?;
        let open = connection::Open { virtual_host: "/".into() };
        client.call(0, AMQPClass::Connection(connection::AMQPMethod::Open(open))).await?;
        client.call(1, AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {}))).await?;
        Ok(client)
    }

    pub(super) async fn send(&mut self, channel: u16, class: AMQPClass) -> Result<()> {
        self.stream.write_all(&encode(&AMQPFrame::Method(channel, class))?).await?;
        Ok(())
    }

    /// Sends a method and waits for its answer, which must not be a refusal.
    pub(super) async fn call(&mut self, channel: u16, class: AMQPClass) -> Result<Vec<u8>> {
        self.send(channel, class).await?;
        self.answer().await
    }

    async fn answer(&mut self) -> Result<Vec<u8>> {
        loop {
            let mut found = None;
            self.frames(|kind, payload| {
                if kind == 1 && found.is_none() {
                    found = Some(payload.to_vec());
                }
            });
            if let Some(payload) = found {
                let refused = matches!(method(&payload), Some(((10, 50) | (20, 40), _)));
                ensure!(!refused, "the broker refuses: {}", String::from_utf8_lossy(&payload));
                return Ok(payload);
            }
            self.fill().await?;
        }
    }

    /// Reads some more.
    pub(super) async fn fill(&mut self) -> Result<()> {
        if timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await?? == 0 {
            bail!("the broker closed the connection");
        }
        Ok(())
    }

    /// Calls back with kind and payload of every complete frame.
    pub(super) fn frames(&mut self, mut each: impl FnMut(u8, &[u8])) {
        let mut at = 0;
        while let Some(head) = self.buffer.get(at..at + 7) {
            let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
            let Some(payload) = self.buffer.get(at + 7..at + 7 + size) else { break };
            if self.buffer.len() < at + 8 + size {
                break;
            }
            each(head[0], payload);
            at += size + 8;
        }
        self.buffer.drain(..at);
    }

    pub(super) async fn declare(&mut self, queue: &str, durable: bool) -> Result<()> {
        let declare = queue::Declare {
            queue: queue.into(),
            passive: false,
            durable,
            exclusive: false,
            auto_delete: false,
            nowait: false,
            arguments: FieldTable::default(),
        };
        self.call(1, AMQPClass::Queue(queue::AMQPMethod::Declare(declare))).await.map(drop)
    }

    pub(super) async fn delete(&mut self, queue: &str) -> Result<()> {
        let delete = queue::Delete { queue: queue.into(), if_unused: false, if_empty: false, nowait: false };
        self.call(1, AMQPClass::Queue(queue::AMQPMethod::Delete(delete))).await.map(drop)
    }

    pub(super) async fn confirms(&mut self) -> Result<()> {
        let select = confirm::AMQPMethod::Select(confirm::Select { nowait: false });
        self.call(1, AMQPClass::Confirm(select)).await.map(drop)
    }

    /// Consumes with the tag `c`.
    pub(super) async fn consume(&mut self, queue: &str, prefetch: u16) -> Result<()> {
        let qos = basic::Qos { prefetch_count: prefetch, global: false };
        self.call(1, AMQPClass::Basic(basic::AMQPMethod::Qos(qos))).await?;
        let consume = basic::Consume {
            queue: queue.into(),
            consumer_tag: "c".into(),
            no_local: false,
            no_ack: false,
            exclusive: false,
            nowait: true,
            arguments: FieldTable::default(),
        };
        self.send(1, AMQPClass::Basic(basic::AMQPMethod::Consume(consume))).await
    }
}

/// The delivery tag of basic.deliver to the consumer `c`.
pub(super) fn delivered(payload: &[u8]) -> Option<&[u8; 8]> {
    payload.strip_prefix(&[0, 60, 0, 60, 1, b'c'])?.first_chunk()
}

/// The delivery tag of basic.ack from the broker.
pub(super) fn confirmed(payload: &[u8]) -> Option<u64> {
    payload.strip_prefix(&[0, 60, 0, 80])?.first_chunk().map(|tag| u64::from_be_bytes(*tag))
}

/// The frame of basic.ack for one delivery.
pub(super) fn append_ack(tag: &[u8; 8], out: &mut Vec<u8>) {
    out.extend_from_slice(&[1, 0, 1, 0, 0, 0, 13, 0, 60, 0, 80]);
    out.extend_from_slice(tag);
    out.extend_from_slice(&[0, 0xce]);
}
