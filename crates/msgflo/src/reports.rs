//! Sends job reports. They may be lost: nothing waits for them, and what they cost is bounded.

use std::sync::Arc;
use std::time::Duration;

use msgflo_core::{Client, ComponentName, JobReport, Message, ParticipantId, QueueName, job};
use tokio::sync::mpsc;

use crate::context::Names;
use crate::payload::{Encode, Raw};
use crate::tally::Counts;

/// Reports on their way. When so many wait, an inport keeps its report and adds to it.
const WAITING: usize = 64;
/// How long the broker may take for a report before it is dropped.
const PATIENCE: Duration = Duration::from_secs(5);

/// Hands reports to the task that sends them.
pub(crate) type Reports = mpsc::Sender<JobReport>;

/// Who reports, for an inport.
pub(crate) struct Reporter {
    pub(crate) id: ParticipantId,
    pub(crate) component: ComponentName,
    pub(crate) queue: QueueName,
    pub(crate) names: Arc<Names>,
}

impl Reporter {
    pub(crate) fn report(&self, counts: Counts) -> JobReport {
        JobReport {
            id: self.id.clone(),
            role: self.names.role.clone(),
            component: self.component.clone(),
            queue: self.queue.clone(),
            inport: self.names.inport.clone(),
            in_flight: counts.in_flight,
            completed: counts.completed,
        }
    }
}

/// A way to report to `client`, and what does it. That ends when all clones of the way are gone.
pub(crate) fn reports(client: Arc<dyn Client>) -> (Reports, impl Future<Output = ()> + Send + 'static) {
    let (reports, mut waiting) = mpsc::channel::<JobReport>(WAITING);
    let send = async move {
        let exchange = QueueName::from(job::EXCHANGE);
        while let Some(report) = waiting.recv().await {
            let Ok(Raw { bytes, content_type }) = report.encode() else {
                continue;
            };
            let message = Message { content_type, persistent: false, ..Message::new(bytes) };
            match tokio::time::timeout(PATIENCE, client.report(&exchange, message)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "a job report was lost"),
                Err(_) => tracing::debug!("a job report was lost: the broker took too long"),
            }
        }
    };
    (reports, send)
}
