//! An embedded MQTT broker for one machine: the crate `mqtt5`, started as our other embedded broker is.
//!
//! Job: whoever has the binary has a broker for devices, of versions 3.1.1 and 5 on one port. Moving to Mosquitto changes one
//! URL.
//!
//! Invariants: it listens on this machine's own addresses only, since it lets everybody in; without a folder it writes
//! nothing to the disk.
//!
//! What it does not do: users, TLS, clusters. That is what a broker of one's own is for.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use mqtt5::MqttError;
use mqtt5::broker::config::{StorageBackend, StorageConfig};
use mqtt5::broker::{BrokerConfig, BrokerShutdownHandle, MqttBroker};
use tokio::task::JoinHandle;

/// The port that MQTT clients try first.
const PORT: u16 = 1883;
/// The most bytes of a packet. Some clients take MQTT's own limit, which is four times as much, for an error.
const MAX_PACKET: usize = 64 << 20;
/// The most messages that are sent to a client unacknowledged, and the most that wait for one that is away.
const IN_FLIGHT: u16 = 1024;
const QUEUED: usize = 100_000;
/// The most connections.
const CLIENTS: usize = 10_000;
/// How long connections may take to end, before they are cut.
const ENDING: Duration = Duration::from_secs(5);

/// How to start the broker.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen, on loopback; port 0 takes any free port. Default: 127.0.0.1:1883.
    pub listen: SocketAddr,
    /// Take any free port if the given one is in use. Default: false.
    pub any_port_if_busy: bool,
    /// The folder in which retained messages, sessions and what waits for them are kept. Default: none, they end with the
    /// process.
    pub folder: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { listen: (Ipv4Addr::LOCALHOST, PORT).into(), any_port_if_busy: false, folder: None }
    }
}

/// Why the broker could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is in use, or is none of this machine.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the library said.
        source: MqttError,
    },
    /// Everybody of the network could connect.
    #[error(
        "the embedded MQTT broker lets everybody in, and so listens on this machine only, not on {address}"
    )]
    Exposed {
        /// The address asked for.
        address: SocketAddr,
    },
    /// It ended before it served.
    #[error("the embedded MQTT broker ended at its start")]
    Ended,
}

/// The broker.
pub struct Server;

impl Server {
    /// Starts the broker. Returns when it serves.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub async fn start(options: Options) -> Result<Handle, Error> {
        let asked = options.listen;
        if !asked.ip().is_loopback() {
            return Err(Error::Exposed { address: asked });
        }
        let bound = MqttBroker::with_config(config(&options, asked)).await;
        let mut broker = match bound {
            Err(_) if options.any_port_if_busy => {
                let any = SocketAddr::new(asked.ip(), 0);
                MqttBroker::with_config(config(&options, any)).await
            }
            bound => bound,
        }
        .map_err(|source| Error::Listen { address: asked, source })?;
        let address = broker.local_addr().ok_or(Error::Ended)?;
        let (mut ready, shutdown) = (broker.ready_receiver(), broker.shutdown_handle());
        let task = tokio::spawn(async move {
            if let Err(error) = broker.run().await {
                tracing::error!(%error, "the embedded MQTT broker has ended");
            }
        });
        ready.wait_for(|ready| *ready).await.map_err(|_| Error::Ended)?;
        Ok(Handle { address, shutdown, task: Some(task) })
    }
}

fn config(options: &Options, listen: SocketAddr) -> BrokerConfig {
    let storage = match &options.folder {
        Some(folder) => StorageConfig::new().with_backend(StorageBackend::File).with_base_dir(folder.clone()),
        None => StorageConfig::new().with_backend(StorageBackend::Memory),
    };
    BrokerConfig::new()
        .with_bind_address(listen)
        .with_max_clients(CLIENTS)
        .with_max_packet_size(MAX_PACKET)
        .with_max_outbound_inflight(IN_FLIGHT)
        .with_sys_topics_enabled(false)
        .with_storage(storage.with_max_queued_messages_per_client(QUEUED))
}

/// A running broker. Dropped, it ends at once.
pub struct Handle {
    address: SocketAddr,
    shutdown: BrokerShutdownHandle,
    task: Option<JoinHandle<()>>,
}

impl Handle {
    /// The URL that clients connect to.
    pub fn url(&self) -> String {
        format!("mqtt://{}", self.address)
    }

    /// Ends it in order.
    pub async fn shutdown(mut self) {
        self.shutdown.shutdown();
        if let Some(mut task) = self.task.take()
            && tokio::time::timeout(ENDING, &mut task).await.is_err()
        {
            tracing::debug!("connections to the embedded MQTT broker were cut");
            task.abort();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            self.shutdown.shutdown();
            task.abort();
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("address", &self.address).finish_non_exhaustive()
    }
}
