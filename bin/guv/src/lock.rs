//! A lock on a file, so that of several guv on one machine, or on one shared file system, one governs.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use crate::outcome::{Failure, Stop};
use crate::signals::{Asked, Signals};

/// Time between two attempts.
const AGAIN: Duration = Duration::from_secs(1);

/// Holds the lock until it is dropped, or the process ends in whatever way.
pub(crate) struct Lock(#[expect(dead_code, reason = "the lock lives as long as the file is open")] File);

/// Waits for the lock; `None` when asked to end meanwhile.
pub(crate) async fn take(path: &Path, signals: &mut Signals) -> Result<Option<Lock>, Stop> {
    let failed = |error: std::io::Error| {
        let message = format!("{} cannot be locked: {error}", path.display());
        Stop::config(Failure::new(message, "name a file in a folder that is there and writable"))
    };
    let file = File::options().create(true).append(true).open(path).map_err(failed)?;
    let mut waiting = false;
    loop {
        match file.try_lock() {
            Ok(()) => {
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
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            asked = signals.next() => if asked != Asked::Reload { return Ok(None) },
        }
    }
}
