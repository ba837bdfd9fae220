//! One job: from a delivery to its answer.
//!
//! Invariant: a message is acknowledged only after the broker has confirmed all that it caused, and refused only after
//! the broker has confirmed its failure on the error port. When the broker does not confirm, the message goes back to its
//! queue, so it may be worked on twice, but is never lost. When the broker will never take a result, as one that is too large, the
//! job has failed: it would be worked on for ever.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::try_join_all;
use msgflo_core::{Delivery, JobCompleted, Outcome, PortName, Timestamp};
use tokio::time::Instant;

use crate::Error;
use crate::context::{Context, Job, Names};
use crate::failure::{Failure, chain};
use crate::inport::Work;
use crate::outport::{Outgoing, Outlet};

/// How long a message whose results could not be sent is held before it goes back, so that it does not come again at once.
const GIVE_BACK_AFTER: Duration = Duration::from_secs(1);

/// What is the same for all jobs of an inport.
pub(crate) struct Processor {
    pub(crate) names: Arc<Names>,
    pub(crate) work: Work,
    pub(crate) timeout: Option<Duration>,
    pub(crate) error_port: Option<Arc<Outlet>>,
}

impl Processor {
    /// Works on `delivery` and answers for it.
    pub(crate) async fn process(&self, mut delivery: Delivery) -> JobCompleted {
        let started = Instant::now();
        let message = std::mem::take(&mut delivery.message);
        let now = Timestamp::from(SystemTime::now());
        let waiting = message.timestamp.map(|sent| sent.elapsed_at(now).as_secs_f64());
        let job = Arc::new(Job::new(message, Arc::clone(&self.names)));

        let worked = self.attempt(Context::new(Arc::clone(&job))).await;
        let results = job.close();
        let failure = match worked {
            Ok(()) => {
                let outport = first(&results);
                match send(results, &job).await {
                    Ok(()) => {
                        delivery.ack();
                        return completed(outport, waiting, started, Outcome::Completed);
                    }
                    Err(error) if is_hopeless(&error) => Failure::Unsendable(error),
                    Err(error) => {
                        self.give_back(delivery, &error).await;
                        return completed(outport, waiting, started, Outcome::Failed);
                    }
                }
            }
            Err(failure) => failure,
        };
        let told = self.failed(&job, &failure);
        let outport = first(&told);
        let outcome = match send(told, &job).await {
            Ok(()) => {
                delivery.nack();
                failure.outcome()
            }
            Err(error) if is_hopeless(&error) => {
                let Names { role, inport } = self.names.as_ref();
                tracing::error!(%role, %inport, error = chain(&error), "the failure of a job cannot be told");
                delivery.nack();
                failure.outcome()
            }
            Err(error) => {
                self.give_back(delivery, &error).await;
                Outcome::Failed
            }
        };
        completed(outport, waiting, started, outcome)
    }

    /// Does the work: however it goes wrong, it is a failure of this job only.
    async fn attempt(&self, context: Context) -> Result<(), Failure> {
        // The closure is called inside, since it may panic before it returns its future. Nothing of the handler's is used
        // after a panic but what it shares itself, which is its own to keep sound.
        let work = AssertUnwindSafe(async { (self.work)(context).await }).catch_unwind();
        let ended = match self.timeout {
            Some(limit) => tokio::time::timeout(limit, work).await.map_err(|_| Failure::TimedOut(limit))?,
            None => work.await,
        };
        ended.unwrap_or_else(|panic| Err(Failure::panicked(panic.as_ref())))
    }

    /// What the error port gets.
    fn failed(&self, job: &Job, failure: &Failure) -> Vec<Outgoing> {
        let Names { role, inport } = self.names.as_ref();
        tracing::warn!(%role, %inport, error = failure.message(), "a job failed");
        let told = self.error_port.as_ref().map(|port| Outgoing {
            outlet: Arc::clone(port),
            payload: failure.payload(&job.message.payload, jiff::Timestamp::now()),
        });
        told.into_iter().collect()
    }

    /// Lets the message go back to its queue, after a while.
    async fn give_back(&self, delivery: Delivery, error: &Error) {
        let Names { role, inport } = self.names.as_ref();
        tracing::error!(%role, %inport, error = chain(error), "what a job caused could not be sent; its message goes back");
        tokio::time::sleep(GIVE_BACK_AFTER).await;
        drop(delivery);
    }
}

/// Whether the broker will never take a message, however often it is sent. A port that is not there is no fault of the message's:
/// somebody may make it again.
fn is_hopeless(error: &Error) -> bool {
    use msgflo_core::Error as Broker;
    matches!(error, Error::Send { source, .. } if !source.is_transient() && !matches!(source, Broker::NotFound { .. }))
}

fn first(outgoing: &[Outgoing]) -> Option<PortName> {
    outgoing.first().map(|outgoing| outgoing.outlet.name.clone())
}

/// Sends all at once, in their order, and waits until all are confirmed.
async fn send(outgoing: Vec<Outgoing>, job: &Job) -> Result<(), Error> {
    let publish = |outgoing: Outgoing| async move {
        let outlet = Arc::clone(&outgoing.outlet);
        outlet.publish(outgoing.stamped(job.span, Some(&job.message))).await
    };
    let mut outgoing = outgoing.into_iter();
    match (outgoing.next(), outgoing.len()) {
        (None, _) => Ok(()),
        (Some(only), 0) => publish(only).await,
        (Some(first), _) => try_join_all(std::iter::once(first).chain(outgoing).map(publish)).await.map(drop),
    }
}

fn completed(
    outport: Option<PortName>,
    waiting: Option<f64>,
    started: Instant,
    outcome: Outcome,
) -> JobCompleted {
    JobCompleted { outport, waiting, processing: started.elapsed().as_secs_f64(), outcome }
}
