//! What the end-to-end tests stand on: our programs as they are built, the peers that they meet, and the brokers between.
//!
//! Everything here panics with the reason, as tests do. What is not there is never a reason to skip a test.

mod device;
mod mosquitto;
mod network;
mod own_broker;
mod own_rabbitmq;
mod peers;
mod programs;
mod rabbitmq;

pub use device::Device;
pub use mosquitto::Mosquitto;
pub use network::Network;
pub use own_broker::OwnBroker;
pub use own_rabbitmq::OwnRabbitMq;
pub use peers::Peers;
pub use programs::Programs;
pub use rabbitmq::{provide_tls, remove_virtual_host, virtual_host};

/// What the test runner tells in the environment.
fn told(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run this by `make test`, which starts and installs what is needed")
    })
}
