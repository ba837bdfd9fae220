//! What the glances have seen lately: the management API tells of it only when its statistics have caught up.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use guv_model::{QueueName, QueueSample};
use tokio::time::Instant;

use super::Place;
use crate::sources::queues::Looks;

/// RabbitMQ collects its statistics every five seconds, and takes about one more to tell of them.
const CAUGHT_UP: Duration = Duration::from_secs(7);

/// What has been seen lately.
#[derive(Default)]
pub(super) struct Glanced(Mutex<HashMap<Place, HashMap<QueueName, Lately>>>);

/// How many jobs were ready, at the glances that are not older than [`CAUGHT_UP`]: those at which more were ready than at any
/// later one, oldest first. So the first is the most, and the last is the newest.
#[derive(Debug, Default)]
struct Lately(VecDeque<(Instant, u64)>);

impl Glanced {
    pub(super) fn note(&self, place: &Place, looks: &Looks) {
        let now = Instant::now();
        let mut glanced = self.lock();
        let queues = glanced.entry(place.clone()).or_default();
        for (queue, look) in looks {
            if let Some(ready) = look.as_ref().ok().and_then(|sample| sample.ready) {
                queues.entry(queue.clone()).or_default().note(ready, now);
            }
        }
    }

    /// Raises what the API says to what was glanced at.
    pub(super) fn raise(&self, place: &Place, looks: &mut Looks) {
        let mut glanced = self.lock();
        let Some(glanced) = glanced.get_mut(place) else { return };
        for (queue, look) in looks {
            if let (Ok(sample), Some(lately)) = (look, glanced.get_mut(queue)) {
                lately.raise(sample, Instant::now());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, HashMap<QueueName, Lately>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lately {
    fn note(&mut self, ready: u64, now: Instant) {
        self.forget(now);
        self.0.retain(|(_, before)| *before > ready);
        self.0.push_back((now, ready));
    }

    fn forget(&mut self, now: Instant) {
        self.0.retain(|(at, _)| now.duration_since(*at) < CAUGHT_UP);
    }

    /// Where fewer wait than the API says, its number stays, and whoever waited a moment ago is in hand unless the API knows
    /// better: those that have been taken are not among its jobs in flight yet.
    fn raise(&mut self, sample: &mut QueueSample, now: Instant) {
        self.forget(now);
        let (Some((_, most)), Some((_, newest))) = (self.0.front(), self.0.back()) else { return };
        let Some(told) = sample.ready else { return };
        let ready = told.max(*newest);
        sample.ready = Some(ready);
        sample.unacknowledged = sample.unacknowledged.map(|held| held.max(most.saturating_sub(ready)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lately: &mut Lately, ready: u64, held: u64, now: Instant) -> (Option<u64>, Option<u64>) {
        let mut sample =
            QueueSample { ready: Some(ready), unacknowledged: Some(held), ..QueueSample::default() };
        lately.raise(&mut sample, now);
        (sample.ready, sample.unacknowledged)
    }

    #[test]
    fn what_waited_a_moment_ago_and_does_not_any_more_is_in_hand() {
        let (mut lately, start) = (Lately::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(told(&mut lately, 0, 0, start), (Some(0), Some(0)), "nothing was glanced at");
        lately.note(10, at(0));
        assert_eq!(told(&mut lately, 0, 0, at(0)), (Some(10), Some(0)));
        lately.note(6, at(1));
        lately.note(0, at(2));
        assert_eq!(told(&mut lately, 0, 0, at(2)), (Some(0), Some(10)));
        assert_eq!(told(&mut lately, 10, 0, at(2)), (Some(10), Some(0)), "as the API still has it");
        assert_eq!(told(&mut lately, 0, 12, at(2)), (Some(0), Some(12)));
        assert_eq!(told(&mut lately, 0, 3, at(7)), (Some(0), Some(6)), "the ten are told of by now");
        assert_eq!(told(&mut lately, 0, 3, at(9)), (Some(0), Some(3)));
    }

    #[test]
    fn what_is_not_told_is_not_made_up() {
        let (mut lately, now) = (Lately::default(), Instant::now());
        lately.note(10, now);
        let mut sample = QueueSample { ready: Some(0), ..QueueSample::default() };
        lately.raise(&mut sample, now);
        assert_eq!((sample.ready, sample.unacknowledged), (Some(10), None));
        let mut sample = QueueSample::default();
        lately.raise(&mut sample, now);
        assert_eq!(sample, QueueSample::default());
    }
}
