//! A decision in words: what was seen, how the number came about, what it met, and what is to be expected of it.

use std::fmt;

use guv_model::Decision;
use serde::Serialize;

use crate::{Outcome, Record};

/// What is to be expected of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Expectation {
    /// Workers when it has been carried out.
    pub workers: u32,
    /// Seconds until the jobs at hand are done, counted from the decision.
    pub done_after: f64,
    /// Whether that is within the deadline of the oldest, less the time that it has waited.
    pub in_time: bool,
}

/// A record with its explanation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation<'r> {
    /// The decision in one line.
    pub summary: String,
    /// `None` where nothing was known, or nobody works.
    pub expected: Option<Expectation>,
    /// All of it.
    pub record: &'r Record,
}

/// Explains a record.
pub fn explain(record: &Record) -> Explanation<'_> {
    Explanation { summary: record.decision.to_string(), expected: expectation(record), record }
}

fn expectation(record: &Record) -> Option<Expectation> {
    let decision = &record.decision;
    let parameters = &decision.inputs.parameters;
    let current = decision.current()?;
    let workers = match record.outcome {
        Outcome::Applied { workers } | Outcome::Planned { workers } => workers,
        _ => current,
    };
    let estimate = decision.estimate?;
    let jobs = estimate.turns as f64 * parameters.processing.as_secs_f64();
    let done_after = match (jobs > 0.0, workers, current) {
        (false, ..) => 0.0,
        (true, 0, _) => return None,
        // Those that are there begin at once, the others when they have booted.
        (true, workers, current) if workers > current => {
            let boot = parameters.boot.as_secs_f64();
            let before = f64::from(current) * boot;
            if jobs <= before {
                jobs / f64::from(current)
            } else {
                boot + (jobs - before) / f64::from(workers)
            }
        }
        (true, workers, _) => jobs / f64::from(workers),
    };
    let waited = decision.inputs.observation.queue.oldest.unwrap_or_default();
    let in_time = done_after + waited.as_secs_f64() <= parameters.deadline.as_secs_f64();
    Some(Expectation { workers, done_after, in_time })
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record { role, decision, outcome, .. } = self.record;
        let Decision { inputs, reason, .. } = decision;
        let queue = &inputs.observation.queue;
        writeln!(f, "role       {role}")?;
        writeln!(
            f,
            "seen       {} ready, {} in flight, {} consumers, oldest {}, in {}, out {}",
            known(queue.ready),
            known(inputs.in_flight.jobs()),
            known(queue.consumers),
            queue.oldest.map_or("not known".to_owned(), |age| format!("{:.1} s", age.as_secs_f64())),
            queue.fill_rate.map_or("not known".to_owned(), |rate| format!("{rate:.2}/s")),
            queue.drain_rate.map_or("not known".to_owned(), |rate| format!("{rate:.2}/s")),
        )?;
        match inputs.observation.workers {
            Some(workers) => writeln!(
                f,
                "workers    {} ({} booting, {} busy), and {} stopping",
                workers.current,
                known(workers.booting),
                known(workers.busy),
                known(workers.draining)
            )?,
            None => writeln!(f, "workers    not known")?,
        }
        let parameters = &inputs.parameters;
        writeln!(
            f,
            "policy     {}: deadline {} s, processing {} s, target {} s, available {} s, concurrency {}, {} to {} workers",
            inputs.policy.name(),
            parameters.deadline.as_secs_f64(),
            parameters.processing.as_secs_f64(),
            (parameters.target.as_secs_f64() * 1000.0).round() / 1000.0,
            (parameters.available.as_secs_f64() * 1000.0).round() / 1000.0,
            parameters.concurrency,
            parameters.limits.minimum,
            parameters.limits.maximum
        )?;
        if !inputs.window.is_empty() {
            let window: Vec<_> = inputs.window.iter().map(u32::to_string).collect();
            writeln!(f, "window     {}", window.join(" "))?;
        }
        writeln!(f, "decision   {}", self.summary)?;
        writeln!(f, "because    {reason}")?;
        for limit in &decision.limits {
            writeln!(f, "limit      {limit}")?;
        }
        writeln!(f, "outcome    {outcome}")?;
        match self.expected {
            Some(Expectation { workers, done_after, in_time }) => write!(
                f,
                "expected   {workers} workers finish the jobs at hand in {done_after:.0} s{}",
                if in_time { "" } else { ": too late for the deadline" }
            ),
            None => write!(f, "expected   nothing can be said"),
        }
    }
}

fn known<T: fmt::Display>(value: Option<T>) -> String {
    value.map_or("?".to_owned(), |value| value.to_string())
}
