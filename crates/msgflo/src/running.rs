//! Participants that run, until they leave.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use msgflo_core::Client;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::signals::Signals;

/// How long the broker may take for our last words, and as long again for the end of the connection.
const LEAVING: Duration = Duration::from_secs(10);

/// Participants that run. Dropping it ends them at once: what they had in hand goes back to its queues.
pub struct Running {
    client: Arc<dyn Client>,
    tasks: Tasks,
    reporting: JoinHandle<()>,
}

/// The tasks of running participants. When one of them ends, all are told to stop.
pub(crate) struct Tasks {
    set: JoinSet<Result<(), Error>>,
    pub(crate) stop: CancellationToken,
}

impl Tasks {
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Self { set: JoinSet::new(), stop }
    }

    pub(crate) fn spawn(&mut self, task: impl Future<Output = Result<(), Error>> + Send + 'static) {
        let guard = self.stop.clone().drop_guard();
        self.set.spawn(async move {
            let _guard = guard;
            task.await
        });
    }

    /// Waits until all have ended.
    ///
    /// # Errors
    /// The first of theirs.
    async fn join(&mut self) -> Result<(), Error> {
        let mut first = Ok(());
        while let Some(ended) = self.set.join_next().await {
            first = first.and(ended.unwrap_or_else(|error| Err(Error::Internal { source: error.into() })));
        }
        first
    }
}

impl Running {
    pub(crate) fn new(client: Arc<dyn Client>, tasks: Tasks, reporting: JoinHandle<()>) -> Self {
        Self { client, tasks, reporting }
    }

    /// Has SIGTERM and SIGINT stop the participants, as [`cancelled`](Self::cancelled) then tells.
    ///
    /// # Errors
    /// When the system does not let us hear signals.
    pub fn stop_on_signals(mut self) -> Result<Self, Error> {
        let mut signals = Signals::new()?;
        let stop = self.tasks.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                _ = signals.next() => {}
                () = stop.cancelled() => {}
            }
            Ok(())
        });
        Ok(self)
    }

    /// Resolves when the participants stop taking messages: somebody asked for it, or something failed, which
    /// [`shutdown`](Self::shutdown) then tells. Outports can be used until then.
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + use<> {
        self.tasks.stop.clone().cancelled_owned()
    }

    /// Leaves in order: stops taking messages, finishes what is in hand, as long as that may take, and closes the connection.
    ///
    /// # Errors
    /// What made the participants stop, if that was a failure; else what went wrong in leaving.
    pub async fn shutdown(mut self) -> Result<(), Error> {
        self.tasks.stop.cancel();
        let ended = self.tasks.join().await;
        if tokio::time::timeout(LEAVING, &mut self.reporting).await.is_err() {
            tracing::debug!("the last job reports were lost: the broker took too long");
        }
        let closed = match tokio::time::timeout(LEAVING, self.client.close()).await {
            Ok(closed) => closed,
            Err(_) => {
                Err(msgflo_core::Error::Timeout { doing: "closing the connection".into(), after: LEAVING })
            }
        };
        ended.and(closed.map_err(|source| Error::Close { source }))
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("tasks", &self.tasks.set.len()).finish_non_exhaustive()
    }
}
