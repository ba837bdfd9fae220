//! Encrypted connections.

use amq_protocol::protocol::{AMQPClass, connection};
use lapin::tcp::OwnedTLSConfig;
use lapin::{Connection, ConnectionProperties};
use msgflo_broker::{Error, Options, Server, Tls};
use tempfile::TempDir;

use crate::support::{confirm_select, declare, drain, publish};

#[tokio::test]
async fn clients_speak_tls_and_trust_the_certificate() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = TempDir::new().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let any = ([127, 0, 0, 1], 0).into();
    let tls = Tls::from_files(any, &certificate, &key).expect("a certificate and its key");
    let broker = Server::start(Options { listen: any, tls: Some(tls), ..Options::default() }).await.unwrap();
    let url = format!("amqps://guest:guest@localhost:{}", broker.tls_addr().expect("amqps").port());
    let trust = OwnedTLSConfig { identity: None, cert_chain: Some(made.cert.pem()) };
    let runtime = lapin::runtime::default_runtime().expect("tokio's");
    let connection = Connection::connect_with_config(&url, ConnectionProperties::default(), trust, runtime)
        .await
        .expect("an encrypted connection");
    let channel = connection.create_channel().await.unwrap();
    declare(&channel, "q").await;
    confirm_select(&channel).await;
    let body = vec![b'x'; 300_000];
    publish(&channel, "q", &body).await;
    assert_eq!(drain(&channel, "q").await, [body]);
    connection.close(200, "".into()).await.unwrap();
    assert!(
        Connection::connect(&url, ConnectionProperties::default()).await.is_err(),
        "an unknown certificate"
    );
    let mut plain = crate::raw::RawClient::started(&broker).await;
    plain.send(0, AMQPClass::Connection(connection::AMQPMethod::CloseOk(connection::CloseOk {}))).await;
}

#[test]
fn files_that_are_no_certificate_are_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("nothing.pem");
    std::fs::write(&path, "nothing").unwrap();
    let error = Tls::from_files(([127, 0, 0, 1], 0).into(), &path, &path).unwrap_err();
    assert!(
        matches!(error, Error::Certificate { .. }) && error.to_string().contains("nothing.pem"),
        "{error}"
    );
}
