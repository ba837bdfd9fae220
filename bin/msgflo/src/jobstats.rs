//! `msgflo jobstats`: how long jobs take, by role, from what participants report.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures_util::StreamExt;
use msgflo_core::{JobCompleted, Outcome as JobOutcome};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::arguments::BrokerArguments;
use crate::broker;
use crate::outcome::{Outcome, print, print_json};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  msgflo jobstats --seconds 60
  msgflo jobstats --seconds 600 --json > jobstats.json")]
pub(crate) struct JobStats {
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
    /// Listen for so long.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) seconds: u64,
    /// As JSON: an object by role.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The jobs of one role. Times are in seconds, of jobs that were completed.
#[derive(Debug, PartialEq, Serialize)]
struct Statistics {
    completed: usize,
    failed: usize,
    /// The processing time.
    average: f64,
    stddev: f64,
    percentile_50: f64,
    percentile_90: f64,
    percentile_99: f64,
    /// From the message's timestamp to the start of the work, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    average_waiting: Option<f64>,
}

pub(crate) async fn jobstats(arguments: JobStats) -> Outcome {
    let broker = broker::connect_existing(arguments.broker.broker.as_deref()).await?;
    let mut reports = broker.watch_jobs().await?;
    let deadline = Instant::now() + Duration::from_secs(arguments.seconds);
    let mut jobs: BTreeMap<String, Vec<JobCompleted>> = BTreeMap::new();
    while let Ok(Some(report)) = timeout_at(deadline, reports.next()).await {
        jobs.entry(report.role.to_string()).or_default().extend(report.completed);
    }
    broker.close().await?;
    let roles: BTreeMap<&String, Statistics> =
        jobs.iter().filter_map(|(role, jobs)| Some((role, Statistics::of(jobs)?))).collect();
    if arguments.json {
        print_json(&roles)?;
    } else {
        print("ROLE\tJOBS\tFAILED\tAVERAGE\tSTDDEV\tP50\tP90\tP99")?;
        for (role, it) in roles {
            print(format_args!(
                "{role}\t{}\t{}\t{:.3}\t{:.3}\t{:.3}\t{:.3}\t{:.3}",
                it.completed,
                it.failed,
                it.average,
                it.stddev,
                it.percentile_50,
                it.percentile_90,
                it.percentile_99
            ))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Statistics {
    /// `None`: no job was done.
    fn of(jobs: &[JobCompleted]) -> Option<Self> {
        let done = jobs.iter().filter(|job| job.outcome == JobOutcome::Completed);
        let mut times: Vec<f64> = done.clone().map(|job| job.processing).collect();
        if times.is_empty() {
            return None;
        }
        times.sort_by(f64::total_cmp);
        let waiting: Vec<f64> = done.filter_map(|job| job.waiting).collect();
        let average = mean(&times);
        // Of a sample, by Bessel's correction; of one job there is none.
        let squares: f64 = times.iter().map(|time| (time - average).powi(2)).sum();
        let degrees = (times.len().max(2) - 1) as f64;
        Some(Self {
            completed: times.len(),
            failed: jobs.len() - times.len(),
            average,
            stddev: (squares / degrees).sqrt(),
            percentile_50: percentile(&times, 0.50),
            percentile_90: percentile(&times, 0.90),
            percentile_99: percentile(&times, 0.99),
            average_waiting: (!waiting.is_empty()).then(|| mean(&waiting)),
        })
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The smallest of the sorted values that at least that share of them does not exceed (nearest rank).
fn percentile(sorted: &[f64], share: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank is within the length"
    )]
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(processing: f64, outcome: JobOutcome) -> JobCompleted {
        JobCompleted { outport: None, waiting: None, processing, outcome }
    }

    #[test]
    fn statistics_are_of_completed_jobs() {
        let mut jobs: Vec<_> = (1..=10).map(|n| job(f64::from(n), JobOutcome::Completed)).collect();
        jobs.push(job(100.0, JobOutcome::Failed));
        let it = Statistics::of(&jobs).unwrap();
        assert_eq!((it.completed, it.failed, it.average), (10, 1, 5.5));
        assert_eq!((it.percentile_50, it.percentile_90, it.percentile_99), (5.0, 9.0, 10.0));
        assert!((it.stddev - 3.027_650).abs() < 1e-5, "{}", it.stddev);
        assert_eq!(Statistics::of(&[job(1.0, JobOutcome::TimedOut)]), None);
    }
}
