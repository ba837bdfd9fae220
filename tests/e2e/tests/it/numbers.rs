//! Messages with numbers, sent at a rate, so that it is seen whether one is lost, doubled or overtaken.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use msgflo_core::{Client, Error, Message};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

/// The number of the last message, after which nothing comes.
pub(crate) const END: u64 = u64::MAX;
/// How many wait for their confirmation at most: a broker on a busy machine takes its time.
const UNCONFIRMED: usize = 1000;

async fn numbered(client: &dyn Client, number: u64) -> (u64, Result<(), Error>) {
    let message = Message::json(&number).expect("it is JSON");
    (number, client.send(&"source.OUT".into(), message).await)
}

/// Sends numbers from 0 on to `source.OUT`, so many a second, until `stop`, and then [`END`]; which of them were sent, and
/// which of these the broker has confirmed.
pub(crate) fn send(
    client: Arc<dyn Client>,
    per_second: u32,
    stop: Arc<AtomicBool>,
) -> JoinHandle<(u64, BTreeSet<u64>)> {
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (mut number, mut confirmed, mut waiting) = (0, BTreeSet::new(), FuturesUnordered::new());
        while !stop.load(Ordering::SeqCst) {
            tokio::select! {
                _ = ticks.tick(), if waiting.len() < UNCONFIRMED => {
                    let mut sending = Box::pin(numbered(&*client, number));
                    // Handed over now, in the order of the numbers; only the confirmation is waited for later.
                    match futures_util::poll!(&mut sending) {
                        std::task::Poll::Ready((number, Ok(()))) => drop(confirmed.insert(number)),
                        // What was not confirmed may have come or not. It is not sent once more: the number would be there twice.
                        std::task::Poll::Ready((_, Err(_))) => {}
                        std::task::Poll::Pending => waiting.push(sending),
                    }
                    number += 1;
                }
                Some((number, sent)) = waiting.next() => {
                    if sent.is_ok() {
                        confirmed.insert(number);
                    }
                }
            }
        }
        while let Some((number, sent)) = waiting.next().await {
            if sent.is_ok() {
                confirmed.insert(number);
            }
        }
        numbered(&*client, END).await.1.expect("the last is confirmed");
        (number, confirmed)
    })
}
