//! Signals that ask for an end.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::outcome::Stop;

/// The signals that matter here, heard from [`Signals::listen`] on: none is lost between two waits.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Listens from now on.
    pub(crate) fn listen() -> Result<Self, Stop> {
        let listen = |kind| signal(kind).map_err(Stop::internal);
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Resolves when we are asked to stop. Whether by Ctrl-C. Cancel-safe.
    pub(crate) async fn stop_asked(&mut self) -> bool {
        tokio::select! {
            _ = self.terminate.recv() => false,
            _ = self.interrupt.recv() => true,
        }
    }
}
