//! What can go wrong with participants, and with which exit status it ends a program.

use std::process::ExitCode;

use msgflo_core::{PortName, Role};

use crate::failure::chain;

pub use msgflo_core::BoxError;

/// Why participants could not start, send or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line cannot be understood, or asks for the help text.
    #[error(transparent)]
    Usage(#[from] Box<clap::Error>),
    /// Everything that is wrong with the settings and the declarations.
    #[error("{}", problems.join("\n"))]
    Config {
        /// One problem each, with what to do.
        problems: Vec<String>,
    },
    /// The broker cannot be used at all.
    #[error("cannot connect; give the broker's URL with --broker or MSGFLO_BROKER")]
    Connect {
        /// Why.
        source: msgflo_core::Error,
    },
    /// A port cannot be made or listened to.
    #[error("role `{role}` cannot have its port `{port}`")]
    Port {
        /// The role.
        role: Role,
        /// The port.
        port: PortName,
        /// Why.
        source: msgflo_core::Error,
    },
    /// A participant could not announce itself.
    #[error("role `{role}` cannot announce itself")]
    Announce {
        /// The role.
        role: Role,
        /// Why.
        source: msgflo_core::Error,
    },
    /// The messages of an inport ended without anybody asking for it.
    #[error("role `{role}` gets no more messages on `{port}`: the connection to the broker was given up")]
    Lost {
        /// The role.
        role: Role,
        /// The inport.
        port: PortName,
    },
    /// A value cannot be a payload.
    #[error("the value for port `{port}` cannot be encoded")]
    Encode {
        /// The port.
        port: PortName,
        /// Why.
        source: BoxError,
    },
    /// The participant of the port does not run yet.
    #[error("port `{port}` belongs to a participant that does not run: start it first")]
    NotRunning {
        /// The port.
        port: PortName,
    },
    /// A result was sent after its handler had ended.
    #[error("the handler has ended: what it sends on `{port}` now would be lost")]
    HandlerEnded {
        /// The port.
        port: PortName,
    },
    /// The broker did not confirm a message.
    #[error("the message on port `{port}` was not confirmed")]
    Send {
        /// The port.
        port: PortName,
        /// Why.
        source: msgflo_core::Error,
    },
    /// The connection could not be closed in order.
    #[error("cannot leave the broker in order")]
    Close {
        /// Why.
        source: msgflo_core::Error,
    },
    /// A task of our own ended in a way that it never should.
    #[error("an internal task ended unexpectedly")]
    Internal {
        /// How.
        source: BoxError,
    },
}

/// Exit statuses as of BSD's `sysexits.h`, and 2 as clap's.
const USAGE: u8 = 2;
const INTERNAL: u8 = 70;
const CONFIG: u8 = 78;

impl Error {
    /// The exit status of a program that ends with this error: 2 when it was called wrongly, 78 when settings or the broker's
    /// contents must change first, else 70; 0 after a help text.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.status())
    }

    fn status(&self) -> u8 {
        use msgflo_core::Error as Broker;
        match self {
            Self::Usage(error) => u8::try_from(error.exit_code()).unwrap_or(USAGE),
            Self::Config { .. }
            | Self::Connect {
                source:
                    Broker::InvalidUrl { .. } | Broker::UnknownScheme { .. } | Broker::AccessRefused { .. },
            }
            | Self::Port { source: Broker::Mismatch { .. } | Broker::AccessRefused { .. }, .. } => CONFIG,
            _ => INTERNAL,
        }
    }

    /// Tells the error on stderr (a help text on stdout), and returns the exit status for it.
    pub fn report(&self) -> ExitCode {
        match self {
            // Nobody is left to tell if that fails.
            Self::Usage(error) => drop(error.print()),
            error => eprintln!("error: {}", chain(error)),
        }
        self.exit_code()
    }
}
