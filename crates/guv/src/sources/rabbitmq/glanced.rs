//! What the glances have seen last: the management API tells of it only when its statistics have caught up.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use guv_model::QueueName;
use tokio::time::Instant;

use super::Place;
use crate::sources::queues::Looks;

/// RabbitMQ collects its statistics every five seconds: then they tell of what a glance has seen before.
const CAUGHT_UP: Duration = Duration::from_secs(5);

/// When each queue was glanced at, and what was ready then.
type Seen = HashMap<QueueName, (Instant, u64)>;

/// What has been seen last.
#[derive(Default)]
pub(super) struct Glanced(Mutex<HashMap<Place, Seen>>);

impl Glanced {
    pub(super) fn note(&self, place: &Place, looks: &Looks) {
        let now = Instant::now();
        let ready = |(queue, look): (&QueueName, &Result<_, _>)| {
            let sample: &guv_model::QueueSample = look.as_ref().ok()?;
            Some((queue.clone(), (now, sample.ready?)))
        };
        let seen = looks.iter().filter_map(ready);
        self.lock().entry(place.clone()).or_default().extend(seen);
    }

    /// Raises what the API says to what was glanced at. Where fewer wait than it says, its number stays: those that have
    /// been taken are not among its jobs in flight yet either.
    pub(super) fn raise(&self, place: &Place, looks: &mut Looks) {
        let glanced = self.lock();
        let Some(glanced) = glanced.get(place) else { return };
        for (queue, look) in looks {
            if let (Ok(sample), Some((at, ready))) = (look, glanced.get(queue))
                && at.elapsed() < CAUGHT_UP
            {
                sample.ready = sample.ready.map(|told| told.max(*ready));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
