//! What the broker is started with, and why it may not start.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::access::User;
use crate::tls::Tls;

/// The port that AMQP clients try first.
pub(crate) const DEFAULT_PORT: u16 = 5672;

/// Memory that messages may take unless something else is said (bytes).
const MEMORY_LIMIT: usize = 512 * 1024 * 1024;

/// How to start the broker.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes any free port. Default: 127.0.0.1:5672.
    pub listen: SocketAddr,
    /// Take any free port if the given one is in use. Default: false.
    pub any_port_if_busy: bool,
    /// Who may connect. Default: guest with the password guest.
    pub credentials: Credentials,
    /// Who may connect instead, if there is anybody. Default: nobody.
    pub users: Vec<User>,
    /// Virtual hosts that are made beside `/`. Default: none.
    pub vhosts: Vec<String>,
    /// Users, virtual hosts, exchanges, queues and bindings that are there from the start, as a JSON document in
    /// RabbitMQ's format of definitions. Its users, if it has any, are those who may connect. Default: none.
    pub definitions: Option<String>,
    /// Where encrypted connections are accepted. Default: nowhere.
    pub tls: Option<Tls>,
    /// Where the management interface listens (HTTP). Default: nowhere.
    pub management: Option<SocketAddr>,
    /// Otherwise it listens where clients look for it, 10000 above [`listen`](Self::listen)'s port (15672 beside 5672), if
    /// that port is free; where any port will do, a pair of free ones is looked for. Default: false.
    pub management_beside: bool,
    /// Where durable queues and persistent messages are kept; made if need be. `None`: everything ends with the broker.
    pub data: Option<PathBuf>,
    /// Memory that messages may take (bytes). Well below it they leave memory for the disk; above it publishers must
    /// wait. Default: 512 MB.
    pub memory_limit: usize,
    /// Stops the broker when it is cancelled. Default: a token of its own.
    pub stop: CancellationToken,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, DEFAULT_PORT).into(),
            any_port_if_busy: false,
            credentials: Credentials::default(),
            users: Vec::new(),
            vhosts: Vec::new(),
            definitions: None,
            tls: None,
            management: None,
            management_beside: false,
            data: None,
            memory_limit: MEMORY_LIMIT,
            stop: CancellationToken::new(),
        }
    }
}

/// A user and its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The password; never shown by `Debug`.
    pub password: String,
}

impl Default for Credentials {
    fn default() -> Self {
        Self { user: "guest".to_owned(), password: "guest".to_owned() }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).field("password", &"…").finish()
    }
}

/// Why the broker could not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is in use, or is none of this machine.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The folder for durable things cannot be used.
    #[error("cannot keep messages in {}", path.display())]
    Storage {
        /// The folder asked for.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The definitions cannot be used.
    #[error("cannot use the definitions: {reason}")]
    Definitions {
        /// What is wrong with them.
        reason: String,
    },
    /// The certificate for encrypted connections cannot be used.
    #[error("cannot use {} for TLS", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Anybody could connect: the address is reachable from other machines, and the password is the well-known one.
    #[error(
        "will not listen on {address} with the password that everybody knows; set credentials, or use 127.0.0.1"
    )]
    Unprotected {
        /// The address asked for.
        address: SocketAddr,
    },
}
