//! Tells coordinators that the participants are there, again and again.

use std::sync::Arc;
use std::time::Duration;

use msgflo_core::{Client, Participant};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::failure::chain;

/// Announces participants every so often, and after every reconnection.
pub(crate) struct Announcer {
    pub(crate) client: Arc<dyn Client>,
    pub(crate) announced: Vec<Participant>,
    pub(crate) every: Duration,
}

impl Announcer {
    /// Announces every participant once.
    ///
    /// # Errors
    /// When the broker refuses the first announcement, or those after it.
    pub(crate) async fn announce(&self) -> Result<(), Error> {
        for participant in &self.announced {
            let announced = self.client.announce(participant).await;
            announced.map_err(|source| Error::Announce { role: participant.role.clone(), source })?;
        }
        Ok(())
    }

    /// Announces until `stop` is cancelled. A failure is told; the next time may do better.
    ///
    /// # Errors
    /// None.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        // Kept from one round to the next, so that no reconnection is missed between two.
        let mut reconnected = self.client.reconnected();
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = &mut reconnected => reconnected = self.client.reconnected(),
                () = tokio::time::sleep(self.every) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                announced = self.announce() => if let Err(error) = announced {
                    tracing::warn!(error = chain(&error), "cannot announce; trying again later");
                },
            }
        }
    }
}
