//! Seeing changes between the cycles: a glance after each sign, and now and then without one.
//!
//! The governor is woken when a queue gets its first waiting job, when it has at least doubled, when nothing waits
//! any more, and when the last job is done; not at each job.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use guv_model::{Activity, QueueName};
use tokio::time::{Instant, sleep, timeout};

use super::failure::Failure;
use super::queues::{Looks, Queues, Signs};

/// Between two glances without a sign where there are signs: ends of jobs may give none.
#[cfg(any(feature = "postgres", feature = "redis"))]
const GLANCE_WITH_SIGNS: Duration = Duration::from_millis(1000);
/// Added for each queue, so that a thousand of them are looked at every 2 s and not 4,000 times a second.
const PER_QUEUE: Duration = Duration::from_millis(2);
/// The least time between two glances: a burst of signs is one.
const SETTLE: Duration = Duration::from_millis(20);
/// How long a glance may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause after the first of several failures in a row, doubled with each further one, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// After so long without a failure the next one is a first one.
const STEADY: Duration = Duration::from_secs(30);

/// Watches the queues of one place until it is dropped; `changed` is called for each queue that has changed.
pub(super) async fn watch<Q: Queues>(
    queues: &Q,
    place: &Q::Place,
    names: &[QueueName],
    changed: impl Fn(&QueueName),
) {
    let mut pause = PAUSES.0;
    loop {
        let started = Instant::now();
        let Err(failure) = follow(queues, place, names, &changed).await;
        if started.elapsed() > STEADY {
            pause = PAUSES.0;
        }
        tracing::debug!(%failure, "watching queues was interrupted; they are polled meanwhile");
        sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Watches until something fails.
async fn follow<Q: Queues>(
    queues: &Q,
    place: &Q::Place,
    names: &[QueueName],
    changed: &impl Fn(&QueueName),
) -> Result<std::convert::Infallible, Failure> {
    let late = |_| Failure::Unreachable("no answer to a glance in time".to_owned());
    let signs = timeout(PATIENCE, queues.signs(place, names)).await.map_err(late)??;
    let per_queue = PER_QUEUE * u32::try_from(names.len()).unwrap_or(u32::MAX);
    let (mut signs, pause) = match signs {
        Signs::None => (futures_util::stream::pending().boxed(), Q::GLANCE.max(per_queue)),
        #[cfg(any(feature = "postgres", feature = "redis"))]
        Signs::Stream(signs) => (signs, GLANCE_WITH_SIGNS.max(per_queue)),
        #[cfg(feature = "amqp")]
        Signs::Besides(signs) => (signs, Q::GLANCE.max(per_queue)),
    };
    // Whatever was seen before an interruption: after it the governor looks anew.
    let mut activities = Activities::default();
    loop {
        let looks = timeout(PATIENCE, queues.glance(place, names)).await.map_err(late)??;
        for queue in activities.note(looks) {
            changed(&queue);
        }
        sleep(SETTLE).await;
        tokio::select! {
            sign = signs.next() => match sign {
                // Those that came meanwhile are seen by the same glance.
                Some(()) => while signs.next().now_or_never().flatten().is_some() {},
                None => return Err(Failure::Unreachable("the signs of change have ended".to_owned())),
            },
            () = sleep(pause) => {}
        }
    }
}

/// What was seen of each queue last.
#[derive(Default)]
struct Activities(HashMap<QueueName, Activity>);

impl Activities {
    /// Takes note of what is seen, and gives the queues of which the governor should know. One that is seen for
    /// the first time is among them: it may have changed before.
    fn note(&mut self, looks: Looks) -> Vec<QueueName> {
        let seen = looks.into_iter().filter_map(|(queue, look)| Some((queue, Activity::of(&look.ok()?))));
        let mut changed = Vec::new();
        for (queue, now) in seen {
            let before = self.0.insert(queue.clone(), now);
            if before.is_none_or(|before| now.wakes(before)) {
                changed.push(queue);
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use guv_model::QueueSample;

    use super::*;

    fn woken(activities: &mut Activities, ready: u64, in_flight: u64) -> bool {
        let sample =
            QueueSample { ready: Some(ready), unacknowledged: Some(in_flight), ..QueueSample::default() };
        !activities.note(HashMap::from([(QueueName::new("q"), Ok(sample))])).is_empty()
    }

    #[test]
    fn what_could_not_be_seen_has_not_changed() {
        let mut activities = Activities::default();
        assert!(woken(&mut activities, 5, 0));
        let blind = HashMap::from([(QueueName::new("q"), Err(Failure::Missing))]);
        assert!(activities.note(blind).is_empty());
        assert!(!woken(&mut activities, 5, 0));
    }
}
