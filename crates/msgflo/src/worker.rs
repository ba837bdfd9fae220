//! The task behind an inport: takes messages, has them worked on, reports, and leaves in order.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use msgflo_core::{Deliveries, Delivery, JobCompleted};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::job::Processor;
use crate::reports::{Reporter, Reports};
use crate::tally::Tally;

/// How long a worker's last report may wait for its place.
const LAST_REPORT: Duration = Duration::from_secs(1);

/// An inport at work.
///
/// Each job is a task of its own, so that handlers that compute use all cores; there are never more than `prefetch` of them.
/// Everything else is in this one task, so that nothing needs a lock.
pub(crate) struct Worker {
    pub(crate) processor: Arc<Processor>,
    pub(crate) prefetch: u16,
    pub(crate) reporter: Reporter,
    pub(crate) reports: Reports,
    /// How long jobs in hand may take once `stop` is cancelled.
    pub(crate) grace: Duration,
    pub(crate) stop: CancellationToken,
}

impl Worker {
    /// Works until `stop` is cancelled, then finishes what is in hand.
    ///
    /// # Errors
    /// [`Error::Lost`] when the deliveries end by themselves.
    pub(crate) async fn run(self, mut deliveries: Deliveries) -> Result<(), Error> {
        let mut jobs = JoinSet::new();
        let mut tally = Tally::new();
        let ended = self.take(&mut deliveries, &mut jobs, &mut tally).await;
        // What was delivered and not started goes back to the queue.
        drop(deliveries);
        self.finish(&mut jobs, &mut tally).await;
        ended
    }

    async fn take(
        &self,
        deliveries: &mut Deliveries,
        jobs: &mut JoinSet<JobCompleted>,
        tally: &mut Tally,
    ) -> Result<(), Error> {
        let stopped = self.stop.cancelled();
        tokio::pin!(stopped);
        let alarm = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(alarm);
        loop {
            let due = tally.due();
            if let Some(due) = due.filter(|due| *due != alarm.deadline()) {
                alarm.as_mut().reset(due);
            }
            tokio::select! {
                biased;
                () = &mut stopped => return Ok(()),
                Some(job) = jobs.join_next() => tally.ended(finished(job), Instant::now()),
                () = &mut alarm, if due.is_some() => self.report(tally),
                delivery = deliveries.next(), if jobs.len() < usize::from(self.prefetch) => {
                    let Some(delivery) = delivery else {
                        return Err(self.lost());
                    };
                    tally.started(Instant::now());
                    jobs.spawn(process(Arc::clone(&self.processor), delivery));
                }
            }
        }
    }

    /// Waits for the jobs in hand, as long as they may take; the messages of those that take longer go back to the queue.
    async fn finish(&self, jobs: &mut JoinSet<JobCompleted>, tally: &mut Tally) {
        let all = async {
            while let Some(job) = jobs.join_next().await {
                tally.ended(finished(job), Instant::now());
            }
        };
        if tokio::time::timeout(self.grace, all).await.is_err() {
            let names = &self.reporter.names;
            tracing::warn!(role = %names.role, inport = %names.inport, jobs = jobs.len(),
                "jobs take too long to wait for; their messages go back");
            jobs.abort_all();
            while let Some(job) = jobs.join_next().await {
                tally.ended(finished(job), Instant::now());
            }
        }
        let report = self.reporter.report(tally.take(Instant::now()));
        // Too slow: then this report is lost, as reports may be.
        drop(self.reports.send_timeout(report, LAST_REPORT).await);
    }

    /// Sends a report, unless too many wait already: then it is tried again with the next change.
    fn report(&self, tally: &mut Tally) {
        match self.reports.try_reserve() {
            Ok(place) => place.send(self.reporter.report(tally.take(Instant::now()))),
            Err(_) => tally.postpone(Instant::now()),
        }
    }

    fn lost(&self) -> Error {
        let names = &self.reporter.names;
        Error::Lost { role: names.role.clone(), port: names.inport.clone() }
    }
}

async fn process(processor: Arc<Processor>, delivery: Delivery) -> JobCompleted {
    processor.process(delivery).await
}

/// What became of a job. `None` if it was aborted: then its message goes back.
fn finished(job: Result<JobCompleted, JoinError>) -> Option<JobCompleted> {
    match job {
        Ok(job) => Some(job),
        Err(error) => {
            if error.is_panic() {
                tracing::error!(%error, "a job ended unexpectedly; its message goes back");
            }
            None
        }
    }
}
