//! What became of jobs, as participants report it.
//!
//! A participant that works on messages sends a [`JobReport`], as JSON, to the fanout exchange [`EXCHANGE`]: soon after it took or
//! finished a job (gathered over some 100 ms, so that reports cost little beside the jobs), and every few seconds while
//! it has jobs in hand. Reports are for watching and scaling; nothing is lost when one is.

use serde::{Deserialize, Serialize};

use crate::{ComponentName, ParticipantId, PortName, QueueName, Role};

/// The fanout exchange to which reports go.
pub const EXCHANGE: &str = "msgflo.jobs";

/// What one participant did since its last report, and has in hand now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobReport {
    /// Who reports.
    pub id: ParticipantId,
    /// The role it plays.
    pub role: Role,
    /// What it runs.
    pub component: ComponentName,
    /// The inport's queue that these jobs come from.
    pub queue: QueueName,
    /// The inport.
    pub inport: PortName,
    /// Jobs started and not finished now. Zero in a participant's last report.
    pub in_flight: u32,
    /// The jobs that it finished since its last report.
    pub completed: Vec<JobCompleted>,
}

/// One finished job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobCompleted {
    /// The port that its result went to, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outport: Option<PortName>,
    /// Seconds from the message's timestamp to the start of the work. Unknown without a timestamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<f64>,
    /// Seconds from the start of the work to the confirmed result.
    pub processing: f64,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Done, and acknowledged.
    Completed,
    /// The work failed; the message was refused.
    Failed,
    /// The work took longer than its limit; the message was refused.
    TimedOut,
}
