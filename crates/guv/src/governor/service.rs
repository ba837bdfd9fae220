//! The task: cycles, commands, and telling everybody what happened.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use guv_model::{Config, QueueSample, Timestamp, WorkerCount};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::apply::{Wanted, apply};
use super::clock::Clock;
use super::fleet::{Counted, Fleet, Group};
use super::{Error, Options, Snapshot};
use crate::record::with_causes;
use crate::{ActuatorError, Outcome, Record, Registry, Role, SourceError};

/// What a handle can ask for.
pub(super) enum Command {
    Reload { config: Box<Config>, reply: oneshot::Sender<Result<(), Error>> },
    Wake,
}

pub(super) struct Service {
    fleet: Fleet,
    registry: Registry,
    options: Options,
    clock: Clock,
    cycle: u64,
    records: broadcast::Sender<Arc<Record>>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    /// The error of each role that has been logged, so that one that lasts is logged once.
    logged: HashMap<Role, String>,
}

/// What was seen in a cycle, by the index of the member.
struct Seen {
    samples: Vec<Result<QueueSample, String>>,
    counts: Vec<Result<Counted, ActuatorError>>,
}

impl Service {
    pub(super) fn new(
        fleet: Fleet,
        registry: Registry,
        options: Options,
        records: broadcast::Sender<Arc<Record>>,
        snapshots: watch::Sender<Arc<Snapshot>>,
    ) -> Self {
        let clock = Clock::start();
        Self { fleet, registry, options, clock, cycle: 0, records, snapshots, logged: HashMap::new() }
    }

    /// Runs until cancelled, or for one cycle.
    pub(super) async fn run(
        mut self,
        poll_interval: Duration,
        mut commands: mpsc::Receiver<Command>,
        cancel: CancellationToken,
    ) {
        let mut ticks = ticks(poll_interval);
        loop {
            // Every branch is cancel-safe: a tick or a command that is not taken now is there the next time.
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                Some(command) = commands.recv() => match command {
                    Command::Wake => ticks.reset(),
                    Command::Reload { config, reply } => {
                        let outcome = self.fleet.reconfigure(*config, &self.registry);
                        let refused = outcome.is_err();
                        // Whoever asked may have gone; the configuration is in force all the same.
                        let _ = reply.send(outcome);
                        if refused {
                            continue;
                        }
                        ticks = self::ticks(self.fleet.poll_interval);
                        ticks.reset();
                    }
                },
                _ = ticks.tick() => {}
            }
            let Some(seen) = cancel.run_until_cancelled(self.look()).await else { break };
            // From here on to the end of the cycle nothing is interrupted: what is changed is also recorded.
            let records = self.act(seen).await;
            self.tell(records).await;
            if self.options.oneshot {
                break;
            }
        }
        self.snapshots.send_modify(|snapshot| Arc::make_mut(snapshot).ended = true);
    }

    /// Asks all sources and actuators, side by side.
    async fn look(&self) -> Seen {
        let (samples, counts) = tokio::join!(self.sample(), self.count());
        Seen { samples, counts }
    }

    async fn sample(&self) -> Vec<Result<QueueSample, String>> {
        let mut by_source: HashMap<usize, Vec<usize>> = HashMap::new();
        for (index, member) in self.fleet.members.iter().enumerate() {
            by_source.entry(member.assignment.source).or_default().push(index);
        }
        let patience = self.options.patience;
        let calls = by_source.into_iter().map(|(source, indices)| async move {
            let roles: Vec<_> = indices.iter().map(|i| &self.fleet.members[*i].config).collect();
            let mut answers = timeout(patience, self.registry.source(source).sample(&roles)).await;
            let answer = |role: &Role| match &mut answers {
                Ok(answers) => answers.remove(role).unwrap_or(Err(SourceError::NoAnswer)),
                Err(_) => {
                    let what = format!("the source did not answer within {} s", patience.as_secs_f64());
                    Err(SourceError::Unreachable { what, source: None })
                }
            };
            let answers: Vec<_> = roles.iter().map(|role| &role.role).map(answer).collect();
            indices.into_iter().zip(answers).collect::<Vec<_>>()
        });
        let mut samples: Vec<_> = self.fleet.members.iter().map(|_| Err(String::new())).collect();
        for (index, answer) in join_all(calls).await.into_iter().flatten() {
            samples[index] = answer.map_err(|error| with_causes(&error));
        }
        samples
    }

    async fn count(&self) -> Vec<Result<Counted, ActuatorError>> {
        let patience = self.options.patience;
        let now = self.clock.now();
        let calls = self.fleet.groups().into_iter().map(|(group, indices)| async move {
            let roles: Vec<_> = indices.iter().map(|i| &self.fleet.members[*i].config).collect();
            let mut answers = match self.fleet.paused(&group, now) {
                Some(left) => Err(format!(
                    "the platform wants to be left alone for {} s more",
                    left.as_millis().div_ceil(1000)
                )),
                None => timeout(
                    patience,
                    self.registry.actuator(group.actuator).count(group.app.as_ref(), &roles),
                )
                .await
                .map_err(|_| format!("no answer within {} s", patience.as_secs_f64())),
            };
            let answer = |role: &Role| match &mut answers {
                Ok(answers) => answers.remove(role).unwrap_or(Err(ActuatorError::NoAnswer)),
                Err(what) => Err(ActuatorError::retry(what.clone())),
            };
            let answers: Vec<_> = roles.iter().map(|role| &role.role).map(answer).collect();
            indices.into_iter().zip(answers).collect::<Vec<_>>()
        });
        let mut counts: Vec<_> = self.fleet.members.iter().map(|_| Ok(Counted::Nobody)).collect();
        for (index, answer) in join_all(calls).await.into_iter().flatten() {
            counts[index] = answer.map(Counted::Known);
        }
        counts
    }

    /// Decides for every role and has the changes applied.
    async fn act(&mut self, seen: Seen) -> Vec<Arc<Record>> {
        let now = self.clock.now();
        self.cycle += 1;
        let mut records: Vec<Record> = Vec::with_capacity(self.fleet.members.len());
        let mut pauses: Vec<(Group, Duration)> = Vec::new();
        for ((member, sample), count) in self.fleet.members.iter_mut().zip(seen.samples).zip(seen.counts) {
            let (sample, blind) = split(sample);
            let (counted, uncounted) = match count {
                Ok(counted) => (counted, None),
                Err(error) => {
                    if let ActuatorError::Retry { after: Some(after), .. } = &error {
                        pauses.extend(member.group().map(|group| (group, *after)));
                    }
                    (Counted::Failed, Some(with_causes(&error)))
                }
            };
            let decision = member.decide(sample, &counted, now);
            let current = decision.inputs.observation.workers.map(|workers: WorkerCount| workers.current);
            let outcome = match (blind, uncounted, decision.target.filter(|target| Some(*target) != current))
            {
                (Some(error), _, _) => Outcome::Blind { error },
                (None, Some(error), _) => Outcome::Failed { error },
                (None, None, Some(workers)) => Outcome::Planned { workers },
                (None, None, None) => Outcome::Unchanged,
            };
            let config = &member.config;
            records.push(Record {
                cycle: self.cycle,
                at: now,
                role: config.role.clone(),
                app: config.app.clone(),
                decision,
                outcome,
            });
        }
        for (group, after) in pauses {
            self.fleet.pause(&group, now + after);
        }
        if !self.options.dry_run {
            self.apply(&mut records, now).await;
        }
        records.into_iter().map(Arc::new).collect()
    }

    /// Has what is planned applied, group by group.
    async fn apply(&mut self, records: &mut [Record], now: Timestamp) {
        for (group, indices) in self.fleet.groups() {
            let wanted: Vec<_> =
                indices.into_iter().filter_map(|index| wanted(index, &records[index])).collect();
            if wanted.is_empty() {
                continue;
            }
            let actuator = self.registry.actuator(group.actuator).clone();
            let outcomes =
                apply(&mut self.fleet, &group, actuator.as_ref(), wanted, self.options.patience, now).await;
            for (index, outcome) in outcomes {
                records[index].outcome = outcome;
            }
        }
    }

    /// Tells the log, the recorders, the subscribers and the snapshot.
    async fn tell(&mut self, records: Vec<Arc<Record>>) {
        for record in &records {
            self.log(record);
            // Nobody may be listening.
            let _ = self.records.send(record.clone());
        }
        for recorder in &self.options.recorders {
            match timeout(self.options.patience, recorder.record(&records)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::error!(error = with_causes(&error), "decisions could not be recorded")
                }
                Err(_) => tracing::error!("decisions could not be recorded in time"),
            }
        }
        let snapshot = Snapshot {
            cycle: self.cycle,
            at: Some(self.clock.now()),
            dry_run: self.options.dry_run,
            ended: false,
            roles: records,
        };
        self.snapshots.send_replace(Arc::new(snapshot));
    }

    fn log(&mut self, record: &Record) {
        let role = record.role.as_str();
        match record.outcome.error() {
            Some(error) => {
                let before = self.logged.insert(record.role.clone(), error.to_owned());
                if before.as_deref() != Some(error) {
                    tracing::warn!(role, error, "the number of workers is left as it is");
                }
            }
            None => {
                if self.logged.remove(&record.role).is_some() {
                    tracing::info!(role, "the role is governed again");
                }
            }
        }
        if let Outcome::Applied { workers } = record.outcome {
            tracing::info!(role, workers, why = %record.decision, "the number of workers is changed");
        }
    }
}

fn ticks(period: Duration) -> Interval {
    let mut ticks = interval(period);
    // A cycle that took longer than the interval must not be followed by a burst of them.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn split<T, E>(result: Result<T, E>) -> (Option<T>, Option<E>) {
    match result {
        Ok(value) => (Some(value), None),
        Err(error) => (None, Some(error)),
    }
}

fn wanted(index: usize, record: &Record) -> Option<Wanted> {
    match record.outcome {
        Outcome::Planned { workers } => Some(Wanted {
            index,
            current: record.decision.inputs.observation.workers.map(|workers| workers.current),
            target: workers,
        }),
        _ => None,
    }
}
