//! The signals that ask a program to leave.

use std::process::ExitCode;

use crate::Error;

/// A request to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGTERM, as from a supervisor.
    Terminate,
    /// SIGINT, as from Ctrl-C.
    Interrupt,
}

impl Signal {
    /// The exit status of a program that left because of it: a supervisor gets what it asked for, a person interrupted.
    pub(crate) fn exit_code(self) -> ExitCode {
        match self {
            Self::Terminate => ExitCode::SUCCESS,
            Self::Interrupt => ExitCode::from(130),
        }
    }
}

/// Hears signals from its creation on.
#[cfg(unix)]
pub(crate) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn new() -> Result<Self, Error> {
        use tokio::signal::unix::{SignalKind, signal};
        let hear = |kind| signal(kind).map_err(|error| Error::Internal { source: error.into() });
        Ok(Self { terminate: hear(SignalKind::terminate())?, interrupt: hear(SignalKind::interrupt())? })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
        }
    }
}

/// Hears Ctrl-C, where there is nothing else.
#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self)
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::Interrupt
    }
}
