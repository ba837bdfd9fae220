//! How many messages a second flow, asked of the broker while somebody looks.

use std::collections::BTreeMap;
use std::time::Duration;

use msgflo_coordinator::Handle;
use msgflo_core::QueueName;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Messages a second, by exchange or topic.
pub(super) type Rates = BTreeMap<QueueName, f64>;

/// The pause between two questions.
const PAUSE: Duration = Duration::from_secs(5);

/// Asks as long as the first channel says that somebody is interested, and tells by the second what has changed.
pub(super) fn watch(
    coordinator: Handle,
    token: &CancellationToken,
) -> (watch::Sender<bool>, watch::Receiver<Rates>) {
    let (interest, mut interested) = watch::channel(false);
    let (told, rates) = watch::channel(Rates::new());
    let asking = async move {
        loop {
            if interested.wait_for(|is_interested| *is_interested).await.is_err() {
                return;
            }
            let rates = coordinator.traffic().await.rates;
            told.send_if_modified(|known| {
                let is_changed = *known != rates;
                *known = rates;
                is_changed
            });
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::spawn(token.clone().run_until_cancelled_owned(asking));
    (interest, rates)
}
