//! A client without manners: it sends exactly the frames that a test asks for, and can vanish without a word.

use amq_protocol::frame::{AMQPFrame, gen_frame, parse_frame};
use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::protocol::{AMQPClass, basic, channel, connection};
use amq_protocol::types::{AMQPValue, FieldTable};
use msgflo_broker::Handle;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::PATIENCE;

pub(crate) struct RawClient {
    stream: TcpStream,
    received: Vec<u8>,
}

impl RawClient {
    /// A socket and nothing sent yet.
    pub(crate) async fn socket(broker: &Handle) -> Self {
        let stream = TcpStream::connect(broker.addr()).await.expect("the broker listens");
        Self { stream, received: Vec::new() }
    }

    /// Up to and with connection.start.
    pub(crate) async fn started(broker: &Handle) -> Self {
        let mut client = Self::socket(broker).await;
        client.send_bytes(b"AMQP\x00\x00\x09\x01").await;
        let start = client.method().await;
        assert!(matches!(start, AMQPClass::Connection(connection::AMQPMethod::Start(_))), "{start:?}");
        client
    }

    /// Logged in, with channel 1 open.
    pub(crate) async fn open(broker: &Handle) -> Self {
        let mut client = Self::started(broker).await;
        client.send(0, start_ok("PLAIN", "\0guest\0guest")).await;
        let tune = client.method().await;
        assert!(matches!(tune, AMQPClass::Connection(connection::AMQPMethod::Tune(_))), "{tune:?}");
        client.send(0, tune_ok(0, 131_072)).await;
        client.send(0, open("/")).await;
        let opened = client.method().await;
        assert!(matches!(opened, AMQPClass::Connection(connection::AMQPMethod::OpenOk(_))), "{opened:?}");
        client.open_channel(1).await;
        client
    }

    /// The same, for a client that says that it understands something.
    pub(crate) async fn open_understanding(broker: &Handle, capability: &str) -> Self {
        let mut client = Self::started(broker).await;
        let mut capabilities = FieldTable::default();
        capabilities.insert(capability.into(), AMQPValue::Boolean(true));
        let mut properties = FieldTable::default();
        properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
        client.send(0, start_ok_with("PLAIN", "\0guest\0guest", properties)).await;
        client.method().await;
        client.send(0, tune_ok(0, 131_072)).await;
        client.send(0, open("/")).await;
        client.method().await;
        client.open_channel(1).await;
        client
    }

    /// The beginning of a message.
    pub(crate) async fn begin(&mut self, channel: u16, publish: basic::Publish, body_size: u64) {
        self.send(channel, AMQPClass::Basic(basic::AMQPMethod::Publish(publish))).await;
        let properties = AMQPProperties::default();
        let header = amq_protocol::frame::AMQPContentHeader { class_id: 60, body_size, properties };
        self.send_frame(AMQPFrame::Header(channel, header)).await;
    }

    /// A piece of a body. Whether the broker still reads.
    pub(crate) async fn send_body(&mut self, channel: u16, piece: &[u8]) -> bool {
        let frame = AMQPFrame::Body(channel, piece.to_vec());
        let bytes = gen_frame(&frame)(Vec::new().into()).expect("a vector takes everything").into_inner().0;
        self.stream.write_all(&bytes).await.is_ok()
    }

    pub(crate) async fn open_channel(&mut self, id: u16) {
        self.send(id, AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {}))).await;
        let opened = self.method().await;
        assert!(matches!(opened, AMQPClass::Channel(channel::AMQPMethod::OpenOk(_))), "{opened:?}");
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the broker reads");
    }

    pub(crate) async fn send_frame(&mut self, frame: AMQPFrame) {
        let bytes = gen_frame(&frame)(Vec::new().into()).expect("a vector takes everything").into_inner().0;
        self.send_bytes(&bytes).await;
    }

    pub(crate) async fn send(&mut self, channel: u16, class: AMQPClass) {
        self.send_frame(AMQPFrame::Method(channel, class)).await;
    }

    pub(crate) async fn publish(&mut self, channel: u16, publish: basic::Publish, body: &[u8]) {
        self.publish_with(channel, publish, AMQPProperties::default(), body).await;
    }

    pub(crate) async fn publish_with(
        &mut self,
        channel: u16,
        publish: basic::Publish,
        properties: AMQPProperties,
        body: &[u8],
    ) {
        self.send(channel, AMQPClass::Basic(basic::AMQPMethod::Publish(publish))).await;
        let header =
            amq_protocol::frame::AMQPContentHeader { class_id: 60, body_size: body.len() as u64, properties };
        self.send_frame(AMQPFrame::Header(channel, header)).await;
        if !body.is_empty() {
            self.send_frame(AMQPFrame::Body(channel, body.to_vec())).await;
        }
    }

    /// The next frame that is no heartbeat; `None` at the end of the stream.
    pub(crate) async fn frame(&mut self) -> Option<AMQPFrame> {
        loop {
            if let Ok((rest, frame)) = parse_frame(self.received.as_slice()) {
                let taken = self.received.len() - rest.len();
                self.received.drain(..taken);
                if frame != AMQPFrame::Heartbeat {
                    return Some(frame);
                }
                continue;
            }
            let read = self.stream.read_buf(&mut self.received);
            match tokio::time::timeout(PATIENCE, read).await.expect("an answer in time") {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next frame, which must be a method.
    pub(crate) async fn method(&mut self) -> AMQPClass {
        match self.frame().await {
            Some(AMQPFrame::Method(_, class)) => class,
            other => panic!("expected a method, got {other:?}"),
        }
    }

    /// Sends a method and expects the broker to close the channel; answers it and returns the reply code.
    pub(crate) async fn closes_channel(&mut self, class: AMQPClass) -> u16 {
        self.send(1, class).await;
        self.channel_close().await
    }

    pub(crate) async fn channel_close(&mut self) -> u16 {
        match self.method().await {
            AMQPClass::Channel(channel::AMQPMethod::Close(close)) => {
                self.send(1, AMQPClass::Channel(channel::AMQPMethod::CloseOk(channel::CloseOk {}))).await;
                close.reply_code
            }
            other => panic!("expected channel.close, got {other:?}"),
        }
    }

    /// Expects connection.close, answers it and expects the end of the stream; returns the reply code.
    pub(crate) async fn connection_close(&mut self) -> u16 {
        loop {
            match self.frame().await {
                Some(AMQPFrame::Method(_, AMQPClass::Connection(connection::AMQPMethod::Close(close)))) => {
                    let ok = connection::AMQPMethod::CloseOk(connection::CloseOk {});
                    self.send(0, AMQPClass::Connection(ok)).await;
                    self.at_end().await;
                    return close.reply_code;
                }
                Some(_) => {}
                None => panic!("the connection ended without connection.close"),
            }
        }
    }

    /// Expects that nothing more comes.
    pub(crate) async fn at_end(&mut self) {
        let frame = self.frame().await;
        assert!(frame.is_none(), "{frame:?}");
    }
}

pub(crate) fn start_ok(mechanism: &str, response: &str) -> AMQPClass {
    start_ok_with(mechanism, response, FieldTable::default())
}

fn start_ok_with(mechanism: &str, response: &str, client_properties: FieldTable) -> AMQPClass {
    AMQPClass::Connection(connection::AMQPMethod::StartOk(connection::StartOk {
        client_properties,
        mechanism: mechanism.into(),
        response: response.into(),
        locale: "en_US".into(),
    }))
}

pub(crate) fn tune_ok(channel_max: u16, frame_max: u32) -> AMQPClass {
    let tune_ok = connection::TuneOk { channel_max, frame_max, heartbeat: 0 };
    AMQPClass::Connection(connection::AMQPMethod::TuneOk(tune_ok))
}

pub(crate) fn open(vhost: &str) -> AMQPClass {
    AMQPClass::Connection(connection::AMQPMethod::Open(connection::Open { virtual_host: vhost.into() }))
}
