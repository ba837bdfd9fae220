//! A decision in words: what was seen, how the number came about, what it met, and what is to be expected of it.

use std::fmt;

use guv_model::{Decision, InFlight};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{Outcome, Record};

/// What is to be expected of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Expectation {
    /// Workers when it has been carried out.
    pub workers: u32,
    /// Seconds until the jobs at hand are done, counted from the decision.
    pub done_after: f64,
    /// Whether every job at hand is then done within the deadline: the newest, which has waited for no time and is done
    /// last, and the oldest, which is done first.
    pub in_time: bool,
}

/// A line of an explanation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Line {
    /// What it is about, in one word: `seen`, `policy`, `because`, …
    pub label: String,
    /// The words and numbers.
    pub text: String,
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

/// The numbers of a role that decide when its jobs are done, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prospects {
    pub(crate) processing: f64,
    pub(crate) boot: f64,
    pub(crate) deadline: f64,
}

impl Prospects {
    /// What is to be expected of so many turns, when there are `current` workers and will be `after`.
    pub(crate) fn expect(
        &self,
        turns: Option<f64>,
        current: Option<f64>,
        after: Option<f64>,
        waiting: Waiting,
    ) -> Option<Expectation> {
        let (turns, current, workers) = (turns?, current?, after?);
        let jobs = turns * self.processing;
        let done_after = if jobs <= 0.0 {
            0.0
        } else if workers <= 0.0 {
            return None;
        } else if workers > current {
            // Those that are there begin at once, the others when they have booted.
            let before = current * self.boot;
            if jobs <= before { jobs / current } else { self.boot + (jobs - before) / workers }
        } else {
            jobs / workers
        };
        // After these, in their order, waiting falls and what is still to wait rises.
        let last_of_oldest = (done_after * waiting.share_of_oldest()).max(self.processing);
        let oldest = waiting.oldest.map_or(0.0, |waited| waited + last_of_oldest);
        let in_time = done_after.max(oldest) <= self.deadline;
        Some(Expectation { workers: workers as u32, done_after, in_time })
    }
}

/// The jobs that wait.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) ready: Option<f64>,
    /// Jobs that come, per second.
    pub(crate) rate: Option<f64>,
    /// How long the oldest has waited, in seconds.
    pub(crate) oldest: Option<f64>,
}

impl Waiting {
    /// The share of the jobs that came together with the oldest: more wait than can have come since at the rate that there is.
    fn share_of_oldest(self) -> f64 {
        match self {
            Self { ready: Some(ready), rate: Some(rate), oldest: Some(oldest) } if ready > 0.0 => {
                (1.0 - rate * oldest / ready).max(0.0)
            }
            _ => 0.0,
        }
    }
}

fn expectation(record: &Record) -> Option<Expectation> {
    let decision = &record.decision;
    let parameters = &decision.inputs.parameters;
    let current = decision.current()?;
    let after = match record.outcome {
        Outcome::Applied { workers } | Outcome::Planned { workers } => workers,
        _ => current,
    };
    let prospects = Prospects {
        processing: parameters.processing.as_secs_f64(),
        boot: parameters.boot.as_secs_f64(),
        deadline: parameters.deadline.as_secs_f64(),
    };
    let queue = &decision.inputs.observation.queue;
    let waiting = Waiting {
        ready: queue.ready.map(|ready| ready as f64),
        rate: queue.fill_rate,
        oldest: queue.oldest.map(|age| age.as_secs_f64()),
    };
    let turns = decision.estimate.map(|estimate| estimate.turns as f64);
    prospects.expect(turns, Some(current.into()), Some(after.into()), waiting)
}

impl Explanation<'_> {
    /// The explanation, line by line.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut line = |label: &str, text: String| lines.push(Line { label: label.to_owned(), text });
        let Record { role, decision, outcome, .. } = self.record;
        let Decision { inputs, .. } = decision;
        let queue = &inputs.observation.queue;
        line("role", role.to_string());
        line(
            "seen",
            format!(
                "{} ready, {}{} in flight, {} consumers, oldest {}, in {}, out {}",
                known(queue.ready),
                if matches!(inputs.in_flight, InFlight::AtMost(_)) { "at most " } else { "" },
                known(inputs.in_flight.jobs()),
                known(queue.consumers),
                queue.oldest.map_or("not known".to_owned(), |age| format!("{:.1} s", age.as_secs_f64())),
                queue.fill_rate.map_or("not known".to_owned(), |rate| format!("{rate:.2}/s")),
                queue.drain_rate.map_or("not known".to_owned(), |rate| format!("{rate:.2}/s")),
            ),
        );
        line(
            "workers",
            inputs.observation.workers.map_or("not known".to_owned(), |workers| {
                let parts = [
                    (workers.booting, "booting"),
                    (workers.busy, "busy"),
                    (workers.draining, "others stopping"),
                ];
                let parts =
                    parts.iter().filter_map(|(number, word)| Some(format!(", {} {word}", (*number)?)));
                format!("{}{}", workers.current, parts.collect::<String>())
            }),
        );
        let parameters = &inputs.parameters;
        line(
            "policy",
            format!(
                "{}: deadline {} s, processing {} s, target {} s, available {} s, concurrency {}, {} to {} workers",
                inputs.policy.name(),
                parameters.deadline.as_secs_f64(),
                parameters.processing.as_secs_f64(),
                (parameters.target.as_secs_f64() * 1000.0).round() / 1000.0,
                (parameters.available.as_secs_f64() * 1000.0).round() / 1000.0,
                parameters.concurrency,
                parameters.limits.minimum,
                parameters.limits.maximum
            ),
        );
        if !inputs.window.is_empty() {
            line("window", runs(&inputs.window));
        }
        line("decision", self.summary.clone());
        line("because", decision.because());
        for limit in &decision.limits {
            line("limit", limit.to_string());
        }
        line("outcome", outcome.to_string());
        line(
            "expected",
            match self.expected {
                Some(Expectation { workers, done_after, in_time }) => {
                    let late = if in_time { "" } else { ": too late for the deadline" };
                    format!("{workers} workers finish the jobs at hand in {done_after:.0} s{late}")
                }
                None => "nothing can be said".to_owned(),
            },
        );
        lines
    }
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Line { label, text }) in self.lines().iter().enumerate() {
            let end_before = if index == 0 { "" } else { "\n" };
            write!(f, "{end_before}{label:<10} {text}")?;
        }
        Ok(())
    }
}

/// Numbers in their order; one that comes many times in a row is told once, as `6 (×57)`.
fn runs(numbers: &[u32]) -> String {
    const MANY: usize = 4;
    let runs = numbers.chunk_by(|a, b| a == b).map(|run| match run {
        [number, ..] if run.len() >= MANY => format!("{number} (×{})", run.len()),
        run => run.iter().map(u32::to_string).collect::<Vec<_>>().join(" "),
    });
    runs.collect::<Vec<_>>().join(" ")
}

fn known<T: fmt::Display>(value: Option<T>) -> String {
    value.map_or("?".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_window_is_told_shortly() {
        assert_eq!(runs(&[1, 1, 1, 1, 1, 3, 6, 6, 25]), "1 (×5) 3 6 6 25");
        assert_eq!(runs(&[]), "");
    }

    #[test]
    fn the_newest_and_the_oldest_job_decide_what_is_in_time() {
        let prospects = Prospects { processing: 10.0, boot: 30.0, deadline: 60.0 };
        let expect = |turns, workers, oldest| {
            let waiting = Waiting { oldest, ..Waiting::default() };
            prospects.expect(Some(turns), Some(workers), Some(workers), waiting)
        };
        let expected = expect(10.0, 2.0, Some(45.0)).unwrap();
        assert_eq!((expected.done_after, expected.in_time), (50.0, true), "the oldest is done first");
        assert!(!expect(14.0, 2.0, None).unwrap().in_time, "the newest has to wait for 70 s");
        assert!(!expect(1.0, 2.0, Some(55.0)).unwrap().in_time, "the oldest was too late already");
        assert_eq!(expect(1.0, 0.0, None), None);
    }

    #[test]
    fn those_that_came_with_the_oldest_have_waited_as_long() {
        let prospects = Prospects { processing: 1.0, boot: 0.0, deadline: 30.0 };
        let in_time = |oldest, rate| {
            let waiting = Waiting { ready: Some(96.0), rate: Some(rate), oldest: Some(oldest) };
            prospects.expect(Some(96.0), Some(4.0), Some(4.0), waiting).unwrap().in_time
        };
        assert!(!in_time(21.6, 0.0), "a burst: the last of them takes 24 s more");
        assert!(in_time(5.0, 0.0));
        assert!(in_time(24.0, 4.0), "they have come one after the other");
    }
}
