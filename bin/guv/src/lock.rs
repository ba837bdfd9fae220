//! A lock on a file, so that of several guv on one machine, or on one shared file system, one governs.

use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::outcome::{Failure, Stop};
use crate::signals::{Asked, Signals};

/// Time between two attempts.
const AGAIN: Duration = Duration::from_secs(1);

/// How long those who ask for the state are waited for, when there is more to tell.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Holds the lock until it is dropped, or the process ends in whatever way.
pub(crate) struct Lock(#[expect(dead_code, reason = "the lock lives as long as the file is open")] File);

/// Tells the state at the address of the interface, while that waits for the lock.
struct Standby {
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl Standby {
    /// `None` where the address cannot be had: who has the lock may have it, too.
    async fn start(address: SocketAddr) -> Option<Self> {
        let listener = match guv::service::listen(address).await {
            Ok(listener) => listener,
            Err(error) => {
                tracing::info!(%error, "the state is not told while waiting");
                return None;
            }
        };
        let cancel = CancellationToken::new();
        let task = tokio::spawn(guv::service::stand_by(listener, cancel.clone()));
        Some(Self { cancel, task })
    }

    /// Frees the address.
    async fn end(self) {
        let Self { cancel, mut task } = self;
        cancel.cancel();
        if timeout(LAST_ANSWERS, &mut task).await.is_err() {
            task.abort();
            // Its end, aborted or not, frees the address.
            let _ = task.await;
        }
    }
}

/// Waits for the lock; `None` when asked to end meanwhile. Who asks at the address is told that it waits.
pub(crate) async fn take(
    path: &Path,
    address: Option<SocketAddr>,
    signals: &mut Signals,
) -> Result<Option<Lock>, Stop> {
    let failed = |error: std::io::Error| {
        let message = format!("{} cannot be locked: {error}", path.display());
        Stop::config(Failure::new(message, "name a file in a folder that is there and writable"))
    };
    let file = File::options().create(true).append(true).open(path).map_err(failed)?;
    let mut waiting = false;
    let mut standby: Option<Standby> = None;
    loop {
        match file.try_lock() {
            Ok(()) => {
                if let Some(standby) = standby {
                    standby.end().await;
                }
                if waiting {
                    tracing::info!("the lock is ours now");
                }
                return Ok(Some(Lock(file)));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => {}
        }
        if !waiting {
            tracing::info!(lock = %path.display(), "another guv governs; waiting for it to end");
            waiting = true;
            if let Some(address) = address {
                standby = Standby::start(address).await;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            asked = signals.next() => if asked != Asked::Reload { return Ok(None) },
        }
    }
}
