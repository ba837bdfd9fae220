//! What the broker is started with, and why it may not start.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use thiserror::Error;
use tokio_util::sync::CancellationToken;

/// The port that AMQP clients try first.
pub(crate) const DEFAULT_PORT: u16 = 5672;

/// How to start the broker.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes any free port. Default: 127.0.0.1:5672.
    pub listen: SocketAddr,
    /// Take any free port if the given one is in use. Default: false.
    pub any_port_if_busy: bool,
    /// Who may connect. Default: guest with the password guest.
    pub credentials: Credentials,
    /// Stops the broker when it is cancelled. Default: a token of its own.
    pub stop: CancellationToken,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, DEFAULT_PORT).into(),
            any_port_if_busy: false,
            credentials: Credentials::default(),
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
    /// Anybody could connect: the address is reachable from other machines, and the password is the well-known one.
    #[error(
        "will not listen on {address} with the password that everybody knows; set credentials, or use 127.0.0.1"
    )]
    Unprotected {
        /// The address asked for.
        address: SocketAddr,
    },
}
