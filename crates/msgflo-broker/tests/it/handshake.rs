//! The beginning and the end of connections.

use amq_protocol::protocol::{AMQPClass, connection};
use amq_protocol::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};
use msgflo_broker::{Credentials, Error, Options, Server};

use crate::raw::{RawClient, open, start_ok, tune_ok};
use crate::support::{broker, channel, code, connect};

#[tokio::test]
async fn a_wrong_password_is_refused_with_a_reason() {
    let broker = broker().await;
    let url = format!("amqp://guest:wrong@{}", broker.addr());
    assert_eq!(code(Connection::connect(&url, ConnectionProperties::default()).await), 403);
}

#[tokio::test]
async fn own_credentials_replace_the_known_ones() {
    let credentials = Credentials { user: "me".to_owned(), password: "s3cret".to_owned() };
    let options = Options { listen: ([127, 0, 0, 1], 0).into(), credentials, ..Options::default() };
    assert!(!format!("{options:?}").contains("s3cret"));
    let broker = Server::start(options).await.unwrap();
    assert_eq!(code(Connection::connect(&broker.url(), ConnectionProperties::default()).await), 403);
    let url = format!("amqp://me:s3cret@{}", broker.addr());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
    assert!(connection.status().connected());
}

#[tokio::test]
async fn a_client_that_knows_no_reasons_is_just_cut_off() {
    let broker = broker().await;
    let mut client = RawClient::started(&broker).await;
    client.send(0, start_ok("PLAIN", "\0guest\0wrong")).await;
    client.at_end().await;
}

#[tokio::test]
async fn amqplain_is_understood() {
    let broker = broker().await;
    let mut client = RawClient::started(&broker).await;
    let mut login = vec![5];
    login.extend_from_slice(b"LOGINS\0\0\0\x05guest\x08PASSWORDS\0\0\0\x05guest");
    let AMQPClass::Connection(connection::AMQPMethod::StartOk(mut ok)) = start_ok("AMQPLAIN", "") else {
        unreachable!("start_ok makes start-ok")
    };
    ok.response = login.into();
    client.send(0, AMQPClass::Connection(connection::AMQPMethod::StartOk(ok))).await;
    assert!(matches!(client.method().await, AMQPClass::Connection(connection::AMQPMethod::Tune(_))));
}

#[tokio::test]
async fn the_server_says_what_it_is() {
    let broker = broker().await;
    let mut client = RawClient::socket(&broker).await;
    client.send_bytes(b"AMQP\x00\x00\x09\x01").await;
    let AMQPClass::Connection(connection::AMQPMethod::Start(start)) = client.method().await else {
        panic!("expected connection.start")
    };
    let properties = start.server_properties.inner();
    assert_eq!(properties.get("product"), Some(&AMQPValue::LongString("msgflo".into())));
    let Some(AMQPValue::FieldTable(capabilities)) = properties.get("capabilities") else {
        panic!("{properties:?}")
    };
    assert_eq!(capabilities.inner().get("publisher_confirms"), Some(&AMQPValue::Boolean(true)));
}

#[tokio::test]
async fn an_unknown_virtual_host_is_refused() {
    let broker = broker().await;
    let url = format!("{}/elsewhere", broker.url());
    assert_eq!(code(Connection::connect(&url, ConnectionProperties::default()).await), 530);
}

#[tokio::test]
async fn another_protocol_is_told_which_one_is_spoken() {
    let broker = broker().await;
    let mut client = RawClient::socket(&broker).await;
    client.send_bytes(b"AMQP\x01\x01\x00\x0a").await;
    let answer = client.frame().await;
    let version = amq_protocol::frame::ProtocolVersion::amqp_0_9_1();
    assert_eq!(answer, Some(amq_protocol::frame::AMQPFrame::ProtocolHeader(version)));
    client.at_end().await;
}

#[tokio::test]
async fn impossible_limits_are_refused() {
    let broker = broker().await;
    for (channel_max, frame_max) in [(0, 100), (0, 200_000), (5_000, 131_072)] {
        let mut client = RawClient::started(&broker).await;
        client.send(0, start_ok("PLAIN", "\0guest\0guest")).await;
        client.method().await;
        client.send(0, tune_ok(channel_max, frame_max)).await;
        let AMQPClass::Connection(connection::AMQPMethod::Close(close)) = client.method().await else {
            panic!("expected connection.close")
        };
        assert_eq!(close.reply_code, 530);
    }
}

#[tokio::test]
async fn opening_before_tuning_is_refused() {
    let broker = broker().await;
    let mut client = RawClient::started(&broker).await;
    client.send(0, open("/")).await;
    let AMQPClass::Connection(connection::AMQPMethod::Close(close)) = client.method().await else {
        panic!("expected connection.close")
    };
    assert_eq!(close.reply_code, 503);
}

#[tokio::test]
async fn many_channels_share_a_connection() {
    let broker = broker().await;
    let (connection, _channel) = channel(&broker).await;
    let mut channels = Vec::new();
    for _ in 0..200 {
        channels.push(connection.create_channel().await.unwrap());
    }
    for channel in &channels {
        channel.queue_declare("".into(), Default::default(), FieldTable::default()).await.unwrap();
    }
    assert_eq!(broker.queues().len(), 200);
    connection.close(200, "".into()).await.unwrap();
}

#[tokio::test]
async fn the_secret_can_be_updated() {
    let broker = broker().await;
    let connection = connect(&broker).await;
    connection.update_secret("new".into(), "rotation".into()).await.unwrap();
}

#[tokio::test]
async fn a_stopping_broker_says_so() {
    let broker = broker().await;
    let mut client = RawClient::open(&broker).await;
    let stopping = tokio::spawn({
        let broker = broker.clone();
        async move { broker.shutdown().await }
    });
    assert_eq!(client.connection_close().await, 320);
    stopping.await.unwrap();
    assert!(tokio::net::TcpStream::connect(broker.addr()).await.is_err());
}

#[tokio::test]
async fn cancelling_the_token_stops_it() {
    let options = Options { listen: ([127, 0, 0, 1], 0).into(), ..Options::default() };
    let stop = options.stop.clone();
    let broker = Server::start(options).await.unwrap();
    stop.cancel();
    broker.stopped().await;
    assert!(tokio::net::TcpStream::connect(broker.addr()).await.is_err());
}

#[tokio::test]
async fn a_busy_port_is_an_error_or_passed_over() {
    let first = broker().await;
    let options = Options { listen: first.addr(), ..Options::default() };
    let refused = Server::start(options.clone()).await.unwrap_err();
    assert!(matches!(refused, Error::Listen { address, .. } if address == first.addr()), "{refused:?}");
    let second = Server::start(Options { any_port_if_busy: true, ..options }).await.unwrap();
    assert_ne!(first.addr().port(), second.addr().port());
    connect(&second).await;
}

#[tokio::test]
async fn it_does_not_listen_beyond_this_machine_with_the_known_password() {
    let options = Options { listen: ([0, 0, 0, 0], 0).into(), ..Options::default() };
    assert!(matches!(Server::start(options).await, Err(Error::Unprotected { .. })));
}
