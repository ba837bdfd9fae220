//! The AMQP transport, on RabbitMQ and on the embedded broker, and the MQTT transport, on Mosquitto.

mod embedded;
mod embedded_mqtt;
mod mosquitto;
mod rabbitmq;

/// The transport asks a broker's management API by HTTP, and leaves it to the program which TLS it uses.
fn provide_tls() {
    // An error says that another test of this process has done it.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
