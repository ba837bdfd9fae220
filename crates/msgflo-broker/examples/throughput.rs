//! Messages per second through a broker: publishers with confirms, consumers that acknowledge every message.
//!
//! `cargo run --release -p msgflo-broker --example throughput -- [PAIRS] [SECONDS] [BODY]`
//!
//! Measures the embedded broker in this process, or the one at AMQP_ADDR (host:port, guest/guest). The client is made
//! of prepared bytes, so that what is measured is mostly the broker.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, gen_frame};
use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::protocol::{AMQPClass, basic, channel, confirm, connection, queue};
use amq_protocol::types::FieldTable;
use msgflo_broker::{Options, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Publishes that may wait for their confirm, and the consumers' prefetch.
const WINDOW: u64 = 1000;
/// Messages per write.
const BATCH: u64 = 50;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn encode(frame: &AMQPFrame) -> Result<Vec<u8>, Failure> {
    Ok(gen_frame(frame)(Vec::new().into()).map_err(|error| error.to_string())?.into_inner().0)
}

struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut client = Self { stream, buffer: Vec::new() };
        client.stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
        client.skip(1).await?;
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

    async fn send(&mut self, channel: u16, class: AMQPClass) -> Result<(), Failure> {
        self.stream.write_all(&encode(&AMQPFrame::Method(channel, class))?).await?;
        Ok(())
    }

    async fn call(&mut self, channel: u16, class: AMQPClass) -> Result<(), Failure> {
        self.send(channel, class).await?;
        self.skip(1).await
    }

    async fn skip(&mut self, frames: usize) -> Result<(), Failure> {
        let mut seen = 0;
        while seen < frames {
            self.fill().await?;
            self.frames(|_, _| seen += 1);
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<(), Failure> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err("the broker closed the connection".into());
        }
        Ok(())
    }

    /// Calls back with kind and payload of every complete frame.
    fn frames(&mut self, mut each: impl FnMut(u8, &[u8])) {
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
}

/// The delivery tag and the flag after it, of basic.ack.
fn acknowledged(payload: &[u8]) -> Option<u64> {
    let tag = payload.strip_prefix(&[0, 60, 0, 80])?.first_chunk::<8>()?;
    Some(u64::from_be_bytes(*tag))
}

async fn produce(
    address: SocketAddr,
    queue: String,
    body: usize,
    delivery_mode: u8,
    stop: Arc<AtomicBool>,
) -> Result<(), Failure> {
    let mut client = Client::open(address).await?;
    let select = confirm::Select { nowait: false };
    client.call(1, AMQPClass::Confirm(confirm::AMQPMethod::Select(select))).await?;
    let publish =
        basic::Publish { exchange: "".into(), routing_key: queue.into(), mandatory: false, immediate: false };
    let properties = AMQPProperties::default().with_delivery_mode(delivery_mode);
    let mut message = encode(&AMQPFrame::Method(1, AMQPClass::Basic(basic::AMQPMethod::Publish(publish))))?;
    let header = AMQPContentHeader { class_id: 60, body_size: body as u64, properties };
    message.extend(encode(&AMQPFrame::Header(1, header))?);
    message.extend(encode(&AMQPFrame::Body(1, vec![b'x'; body]))?);
    let batch = message.repeat(usize::try_from(BATCH)?);
    let (mut published, mut confirmed) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        while published + BATCH <= confirmed + WINDOW {
            client.stream.write_all(&batch).await?;
            published += BATCH;
        }
        client.fill().await?;
        client.frames(|_, payload| confirmed = acknowledged(payload).unwrap_or(confirmed));
    }
    Ok(())
}

async fn work(address: SocketAddr, queue: String, done: Arc<AtomicU64>) -> Result<(), Failure> {
    let mut client = Client::open(address).await?;
    let qos = basic::Qos { prefetch_count: u16::try_from(WINDOW)?, global: false };
    client.call(1, AMQPClass::Basic(basic::AMQPMethod::Qos(qos))).await?;
    let consume = basic::Consume {
        queue: queue.into(),
        consumer_tag: "c".into(),
        no_local: false,
        no_ack: false,
        exclusive: false,
        nowait: false,
        arguments: FieldTable::default(),
    };
    client.send(1, AMQPClass::Basic(basic::AMQPMethod::Consume(consume))).await?;
    let mut acks = Vec::new();
    loop {
        client.fill().await?;
        let mut count = 0;
        client.frames(|_, payload| {
            // basic.deliver: consumer tag "c", then the delivery tag.
            if let Some(rest) = payload.strip_prefix(&[0, 60, 0, 60, 1, b'c']) {
                acks.extend_from_slice(&[1, 0, 1, 0, 0, 0, 13, 0, 60, 0, 80]);
                acks.extend_from_slice(&rest[..8]);
                acks.extend_from_slice(&[0, 0xce]);
                count += 1;
            }
        });
        client.stream.write_all(&acks).await?;
        acks.clear();
        done.fetch_add(count, Ordering::Relaxed);
    }
}

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let pairs: usize = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let seconds: u64 = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let body: usize = arguments.next().map_or(Ok(256), |text| text.parse())?;
    let (broker, address) = match std::env::var("AMQP_ADDR") {
        Ok(address) => (None, address.parse()?),
        Err(_) => {
            let options = Options { listen: ([127, 0, 0, 1], 0).into(), ..Options::default() };
            let broker = Server::start(options).await?;
            let address = broker.addr();
            (Some(broker), address)
        }
    };
    let done = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let mut declarer = Client::open(address).await?;
    for index in 0..pairs {
        let queue = format!("throughput-{index}");
        let declare = queue::Declare {
            queue: queue.clone().into(),
            passive: false,
            durable: false,
            exclusive: false,
            auto_delete: true,
            nowait: false,
            arguments: FieldTable::default(),
        };
        declarer.call(1, AMQPClass::Queue(queue::AMQPMethod::Declare(declare))).await?;
        tokio::spawn(work(address, queue.clone(), done.clone()));
        tokio::spawn(produce(address, queue, body, 1, stop.clone()));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (before, start) = (done.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let rate = (done.load(Ordering::Relaxed) - before) as f64 / start.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    println!("{pairs} publishers, {pairs} consumers, {body} B: {rate:.0} messages/s");
    if let Some(broker) = broker {
        broker.shutdown().await;
    }
    Ok(())
}
