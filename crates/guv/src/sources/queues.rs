//! What all sources have in common: roles are grouped by the place that holds their queues, each place is asked
//! once for all of them, and a role with several queues gets their sum.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use futures_util::stream::BoxStream;
use guv_model::{QueueName, QueueSample, RoleConfig};
use tokio::time::timeout;

use super::failure::Failure;
use super::watch;
use crate::{Answers, Source, SourceError, Wake};

/// How long one place may take to answer, unless the role says otherwise (`timeout`).
const TIMEOUT: Duration = Duration::from_secs(10);
/// None may take longer: a governor gives up on all of a round that does.
const LONGEST: Duration = Duration::from_secs(18);

/// What was seen of each queue asked for.
pub(super) type Looks = HashMap<QueueName, Result<QueueSample, Failure>>;

/// A system that keeps queues, in one or more places.
#[async_trait]
pub(super) trait Queues: Send + Sync {
    /// Where queues are: an address, and whatever else tells how they are read there.
    type Place: Clone + Eq + Hash + Send + Sync;

    /// The time between two glances at a place that gives no signs of change.
    const GLANCE: Duration = Duration::from_millis(250);

    /// Where the queues of this role are.
    ///
    /// # Errors
    /// What is missing in its configuration, and what to do.
    fn place(&self, role: &RoleConfig) -> Result<Self::Place, String>;

    /// Looks at these queues; no name comes twice.
    async fn look(&self, place: &Self::Place, queues: &[QueueName]) -> Result<Looks, Failure>;

    /// Looks at the queues of a place that is watched: less may be told, but it must be cheap and fresh.
    async fn glance(&self, place: &Self::Place, queues: &[QueueName]) -> Result<Looks, Failure> {
        self.look(place, queues).await
    }

    /// Signs of change, which are followed by a glance; the stream ends when no more can be had.
    async fn signs(&self, place: &Self::Place, queues: &[QueueName]) -> Result<Signs, Failure> {
        let _ = (place, queues);
        Ok(Signs::None)
    }
}

/// What a place does by itself to tell of changes.
pub(super) enum Signs {
    /// Nothing: it is glanced at all the time.
    None,
    /// Something for each change of whether jobs wait; ends of jobs may be missing. Glances can be rare.
    #[cfg(any(feature = "postgres", feature = "redis"))]
    Stream(BoxStream<'static, ()>),
    /// Something for changes of other kinds, which are worth a glance at once.
    #[cfg(feature = "amqp")]
    Besides(BoxStream<'static, ()>),
}

/// A [`Source`] for a kind of queue system.
pub(super) struct ByPlace<Q> {
    queues: Q,
}

/// The queues of one place that are asked for together.
struct Ask<P> {
    place: P,
    patience: Duration,
    queues: Vec<QueueName>,
}

impl<Q: Queues> ByPlace<Q> {
    pub(super) fn new(queues: Q) -> Self {
        Self { queues }
    }

    /// The places of these roles, and which queues are of interest in each. Roles without a place are left out:
    /// they are not accepted.
    fn asks<'a>(&self, roles: impl IntoIterator<Item = &'a RoleConfig>) -> Vec<Ask<Q::Place>> {
        let mut asks: HashMap<Q::Place, Ask<Q::Place>> = HashMap::new();
        for role in roles {
            let Ok(place) = self.queues.place(role) else { continue };
            let ask = asks.entry(place.clone()).or_insert(Ask {
                place,
                patience: Duration::ZERO,
                queues: Vec::new(),
            });
            let patience = role.source.as_ref().and_then(|source| source.seconds("timeout").copied());
            ask.patience = ask.patience.max(patience.unwrap_or(TIMEOUT)).min(LONGEST);
            ask.queues.extend(role.queues.iter().cloned());
        }
        let mut asks: Vec<_> = asks.into_values().collect();
        for ask in &mut asks {
            ask.queues.sort();
            ask.queues.dedup();
        }
        asks
    }

    async fn look(&self, ask: Ask<Q::Place>) -> (Q::Place, Result<Looks, Failure>) {
        let looks = timeout(ask.patience, self.queues.look(&ask.place, &ask.queues)).await;
        let late =
            |_| Err(Failure::Unreachable(format!("no answer within {} s", ask.patience.as_secs_f64())));
        (ask.place, looks.unwrap_or_else(late))
    }
}

#[async_trait]
impl<Q: Queues> Source for ByPlace<Q> {
    fn accepts(&self, role: &RoleConfig) -> Result<(), String> {
        self.queues.place(role).map(drop)
    }

    async fn sample(&self, roles: &[&RoleConfig]) -> Answers<QueueSample, SourceError> {
        let asks = self.asks(roles.iter().copied());
        let looks: HashMap<_, _> =
            join_all(asks.into_iter().map(|ask| self.look(ask))).await.into_iter().collect();
        let answer = |role: &RoleConfig| {
            let place = self.queues.place(role).map_err(|what| SourceError::Refused { what })?;
            total(role, looks.get(&place).ok_or(SourceError::NoAnswer)?)
        };
        roles.iter().map(|role| (role.role.clone(), answer(role))).collect()
    }

    async fn watch(&self, roles: &[RoleConfig], wake: &Wake) -> Result<(), SourceError> {
        let changed = |place: &Q::Place, queue: &QueueName| {
            for role in roles {
                if role.queues.iter().any(|name| name == queue)
                    && self.queues.place(role).is_ok_and(|own| own == *place)
                {
                    wake.role(&role.role);
                }
            }
        };
        let watches = self.asks(roles).into_iter().map(|ask| {
            let changed = &changed;
            async move {
                watch::watch(&self.queues, &ask.place, &ask.queues, |queue| changed(&ask.place, queue)).await
            }
        });
        join_all(watches).await;
        Ok(())
    }
}

/// The sample of a role: that of all its queues together.
fn total(role: &RoleConfig, looks: &Result<Looks, Failure>) -> Result<QueueSample, SourceError> {
    let first = role.queues.first();
    let looks = looks.as_ref().map_err(|failure| failure.clone().of(first))?;
    let samples = role.queues.iter().map(|queue| match looks.get(queue) {
        Some(look) => look.clone().map_err(|failure| failure.of(queue)),
        None => Err(SourceError::NoAnswer),
    });
    QueueSample::sum(samples.collect::<Result<Vec<_>, _>>()?).ok_or(SourceError::NoAnswer)
}
