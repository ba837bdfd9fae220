//! The task: when rounds begin, and what follows from what they find.
//!
//! A round of a partition is a chain of futures that own what they need: look, then (here, without waiting) decide,
//! then apply, then record. While one is under way, what concerns its partition waits; all other partitions go on.
//! Cancelling drops whoever only looks. What is being changed is changed and recorded first.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use guv_model::{Config, Manual, Occasion, Timestamp};
use tokio::sync::{mpsc, oneshot, watch as latest};
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::fleet::{Counted, Fleet, Group, Member};
use super::job::{Count, Counts, Job, Seen, Step, Waiting, Wanted, apply, look, record};
use super::journal::{Journal, left_alone};
use super::recall::recall;
use super::settle::{ATTEMPTS, Settled, settle};
use super::{Error, Options, watch};
use crate::record::with_causes;
use crate::{ActuatorError, Answers, Outcome, Record, Registry, Role, SourceError, Wake};

/// Events are gathered for so long after a round that was caused by one.
const EVENT_GAP: Duration = Duration::from_millis(100);

/// What a handle can ask for.
pub(super) enum Command {
    Reload { config: Box<Config>, reply: oneshot::Sender<Result<(), Error>> },
    Manual { role: Role, manual: Option<Manual>, reply: oneshot::Sender<Result<(), Error>> },
    Pause { role: Role, until: Option<Timestamp>, reply: oneshot::Sender<Result<(), Error>> },
    Wake,
}

pub(super) struct Service {
    fleet: Fleet,
    registry: Registry,
    options: Options,
    clock: Clock,
    wake: Wake,
    journal: Journal,
    configs: latest::Sender<Arc<Config>>,
    /// The number of the poll that began last.
    cycle: u64,
    /// Rounds that each cycle still waits for.
    outstanding: HashMap<u64, usize>,
    looks: FuturesUnordered<BoxFuture<'static, Step>>,
    acts: FuturesUnordered<BoxFuture<'static, Step>>,
    /// What waits for the partitions that are busy, by partition.
    busy: HashMap<usize, Waiting>,
    watches: JoinSet<()>,
}

impl Service {
    pub(super) fn new(
        fleet: Fleet,
        registry: Registry,
        options: Options,
        clock: Clock,
        wake: Wake,
        journal: Journal,
        configs: latest::Sender<Arc<Config>>,
    ) -> Self {
        Self {
            fleet,
            registry,
            options,
            clock,
            wake,
            journal,
            configs,
            cycle: 0,
            outstanding: HashMap::new(),
            looks: FuturesUnordered::new(),
            acts: FuturesUnordered::new(),
            busy: HashMap::new(),
            watches: JoinSet::new(),
        }
    }

    /// Runs until cancelled, or for one cycle.
    pub(super) async fn run(
        mut self,
        poll_interval: Duration,
        mut commands: mpsc::Receiver<Command>,
        cancel: CancellationToken,
    ) {
        let mut ticks = ticks(poll_interval);
        let mut gap = Instant::now();
        // Who looks once has no past to go by.
        if !self.options.oneshot {
            let config = self.configs.borrow().clone();
            let recorders = self.options.recorders.clone();
            self.fleet.remember(recall(config, recorders, self.clock.now()).await);
            self.watches = watch::watch(&self.fleet, &self.registry, &self.wake);
        }
        let wake = self.wake.clone();
        loop {
            let next_look = self.fleet.next_look();
            // Every branch is cancel-safe: what is not taken now is there the next time.
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                Some(step) = self.acts.next() => self.advance(step),
                Some(step) = self.looks.next() => self.advance(step),
                Some(command) = commands.recv() => {
                    if self.command(command, &mut ticks).await {
                        ticks.reset();
                        self.poll();
                    }
                }
                roles = async { sleep_until(gap).await; wake.woken().await } => {
                    gap = Instant::now() + EVENT_GAP;
                    self.look_at(roles);
                }
                () = async { sleep_until(next_look.expect("checked")).await }, if next_look.is_some() => {
                    let due = self.fleet.due(Instant::now());
                    self.look_at(due);
                }
                _ = ticks.tick(), if !(self.options.oneshot && self.cycle > 0) => self.poll(),
            }
            // Whoever has waited for a budget to be known is looked at once more.
            let ended = self.outstanding.is_empty() && !self.fleet.is_held();
            if self.options.oneshot && self.cycle > 0 && ended {
                break;
            }
        }
        self.watches.abort_all();
        self.finish_acts().await;
        self.journal.end();
    }

    /// Carries out a command; `true` when a cycle is to begin.
    async fn command(&mut self, command: Command, ticks: &mut Interval) -> bool {
        match command {
            Command::Wake => true,
            Command::Manual { role, manual, reply } => {
                // Whoever asked may have gone; it is so all the same.
                let _ = reply.send(self.change(role, |member| member.manual = manual));
                false
            }
            Command::Pause { role, until, reply } => {
                let _ = reply.send(self.change(role, |member| member.paused = until));
                false
            }
            Command::Reload { config, reply } => {
                // Indices are about to change: whoever looks begins anew, whoever changes something ends first.
                self.looks.clear();
                self.finish_acts().await;
                let outcome = self.fleet.reconfigure((*config).clone(), &self.registry);
                let taken = outcome.is_ok();
                let _ = reply.send(outcome);
                self.busy.clear();
                self.outstanding.clear();
                if taken {
                    let config = Arc::new(*config);
                    self.options.recorders.iter().for_each(|recorder| recorder.configured(&config));
                    self.configs.send_replace(config);
                    self.journal.reorder(|role| self.fleet.index(role));
                    *ticks = self::ticks(self.fleet.poll_interval);
                    self.watches = watch::watch(&self.fleet, &self.registry, &self.wake);
                    if !self.options.dry_run {
                        self.tell_actuators().await;
                    }
                }
                true
            }
        }
    }

    /// Tells every actuator which roles it has now.
    async fn tell_actuators(&mut self) {
        for (index, actuator) in self.registry.actuators().enumerate() {
            let roles = self.fleet.served_by(index);
            if timeout(self.options.patience, actuator.configured(&roles)).await.is_err() {
                tracing::warn!("workers of roles that are not governed any more could not be ended in time");
            }
        }
    }

    /// Changes what somebody has set of a role, and looks at it at once.
    fn change(&mut self, role: Role, change: impl FnOnce(&mut Member)) -> Result<(), Error> {
        let Some(index) = self.fleet.index(&role) else { return Err(Error::UnknownRole(role)) };
        change(&mut self.fleet.members[index]);
        self.look_at([role]);
        Ok(())
    }

    async fn finish_acts(&mut self) {
        self.looks.clear();
        while let Some(step) = self.acts.next().await {
            self.advance(step);
            // A round that has been recorded lets the next one begin; not now.
            self.looks.clear();
        }
    }

    /// Begins a cycle: a round of every partition.
    fn poll(&mut self) {
        self.cycle += 1;
        self.outstanding.insert(self.cycle, self.fleet.partitions.len());
        for partition in 0..self.fleet.partitions.len() {
            let members = self.fleet.partitions[partition].members.clone();
            let cycle = Some(self.cycle);
            self.begin(Job { partition, members, occasion: Occasion::Poll, cycle });
        }
    }

    /// Begins a round of the partitions of some roles, between two polls.
    fn look_at(&mut self, roles: impl IntoIterator<Item = Role>) {
        let mut by_partition: HashMap<usize, Vec<usize>> = HashMap::new();
        for index in roles.into_iter().filter_map(|role| self.fleet.index(&role)) {
            by_partition.entry(self.fleet.partition_of(index)).or_default().push(index);
        }
        for (partition, members) in by_partition {
            self.begin(Job { partition, members, occasion: Occasion::Event, cycle: None });
        }
    }

    /// Begins a round, or puts it off until the one under way has ended.
    fn begin(&mut self, job: Job) {
        if let Some(waiting) = self.busy.get_mut(&job.partition) {
            for member in job.members {
                let occasion = waiting.members.entry(member).or_insert(job.occasion);
                if job.occasion == Occasion::Poll {
                    *occasion = Occasion::Poll;
                }
            }
            waiting.cycles.extend(job.cycle);
            return;
        }
        self.busy.insert(job.partition, Waiting::default());
        let partition = &self.fleet.partitions[job.partition];
        let now = self.clock.now();
        let count = match &partition.group {
            None => Count::Nobody,
            Some(group) => match self.fleet.paused(group, now) {
                Some(left) => Count::Paused(left),
                None if !self.fleet.worth_counting(group, &job, now) => Count::Spared,
                None => Count::Ask(self.registry.actuator(group.actuator).clone(), group.app.clone()),
            },
        };
        let roles = job.members.iter().map(|index| self.fleet.members[*index].config.clone()).collect();
        let source = self.registry.source(partition.source).clone();
        self.looks.push(look(job, roles, source, count, self.options.patience));
    }

    fn advance(&mut self, step: Step) {
        match step {
            Step::Looked { job, seen } => self.decide(job, seen),
            Step::Applied { job, records, wanted, answers, attempt } => {
                self.settle(job, records, wanted, answers, attempt)
            }
            Step::Recorded { job, records } => self.end(job, &records),
        }
    }

    /// Decides for every member of the round, and has the changes applied.
    fn decide(&mut self, job: Job, seen: Seen) {
        let now = self.clock.now();
        let Seen { mut samples, counts } = seen;
        let group = self.fleet.partitions[job.partition].group.clone();
        let mut counts = self.counts(group.as_ref(), counts, &job, now);
        let mut errors = HashMap::new();
        let (mut observed, mut back) = (Vec::new(), Vec::new());
        for index in &job.members {
            let sample =
                samples.remove(&self.fleet.members[*index].config.role).unwrap_or(Err(SourceError::NoAnswer));
            let member = &mut self.fleet.members[*index];
            member.absent = !member.seen && matches!(sample, Err(SourceError::Missing { .. }));
            let away = matches!(&sample, Err(error) if !matches!(error, SourceError::Missing { .. }));
            if std::mem::replace(&mut member.source_away, away) && !away {
                back.push(member.config.clone());
            }
            let (sample, blind) = split(sample.map_err(|error| with_causes(&error)));
            let (counted, uncounted) = split(counts.remove(index).unwrap_or(Ok(Counted::Nobody)));
            errors.insert(*index, (blind, uncounted));
            observed.push((*index, sample, counted.unwrap_or(Counted::Remembered)));
        }
        if let (Some(group), false, false) = (&group, back.is_empty(), self.options.dry_run) {
            let back: Vec<_> = back.iter().map(|role| &**role).collect();
            self.registry.actuator(group.actuator).source_is_back(&back);
        }
        let decisions = self.fleet.decide(job.occasion, observed, now, self.clock.set_to());
        let mut records = Vec::with_capacity(decisions.len());
        let mut wanted = Vec::new();
        for (index, decision) in decisions {
            let (blind, uncounted) = errors.remove(&index).unwrap_or_default();
            let current = decision.current();
            let change = decision.target.filter(|target| Some(*target) != current);
            let outcome = match (blind, uncounted, change) {
                (Some(error), _, None) => Outcome::Blind { error },
                (_, Some(error), _) => Outcome::Failed { error },
                (_, None, Some(workers)) => Outcome::Planned { workers },
                (None, None, None) => match self.fleet.members[index].failing.clone() {
                    Some(error) => Outcome::Failed { error },
                    None => Outcome::Unchanged,
                },
            };
            if let Outcome::Planned { workers } = outcome {
                wanted.push(Wanted { index, current, target: workers });
            }
            let config = &self.fleet.members[index].config;
            records.push(Record {
                cycle: self.cycle,
                at: now,
                role: config.role.clone(),
                app: config.app.clone(),
                decision,
                outcome,
            });
        }
        match group {
            Some(group) if !wanted.is_empty() && !self.options.dry_run => {
                self.apply(job, records, wanted, &group, 1)
            }
            _ => self.record(job, records),
        }
    }

    /// What counting came to, by member.
    fn counts(
        &mut self,
        group: Option<&Group>,
        counts: Counts,
        job: &Job,
        now: Timestamp,
    ) -> HashMap<usize, Result<Counted, String>> {
        let (mut answers, mut failing, quota) = match (counts, group) {
            (Counts::Made { answers, failing, quota }, Some(group)) => {
                self.fleet.note_count(group, quota, now);
                (answers, failing, quota)
            }
            (Counts::Spared, _) => {
                return job.members.iter().map(|index| (*index, Ok(Counted::Remembered))).collect();
            }
            (Counts::Paused(left), _) => {
                let error = left_alone(left);
                return job.members.iter().map(|index| (*index, Err(error.clone()))).collect();
            }
            (Counts::Nobody | Counts::Made { .. }, _) => return HashMap::new(),
        };
        if let Some(quota) = quota {
            tracing::debug!(remaining = quota.remaining, "requests left at the platform");
        }
        let mut counts = HashMap::new();
        for index in &job.members {
            let member = &mut self.fleet.members[*index];
            member.failing = failing.remove(&member.config.role);
            let answer = answers.remove(&member.config.role).unwrap_or(Err(ActuatorError::NoAnswer));
            member.counted = answer.is_ok().then_some(now);
            let count = match answer {
                Ok(Some(workers)) => Ok(Counted::Known(workers)),
                Ok(None) => Ok(Counted::Remembered),
                Err(error) => {
                    if let (ActuatorError::Retry { after: Some(after), .. }, Some(group)) = (&error, group) {
                        self.fleet.pause(group, now + *after);
                    }
                    Err(with_causes(&error))
                }
            };
            counts.insert(*index, count);
        }
        counts
    }

    fn apply(&mut self, job: Job, records: Vec<Record>, wanted: Vec<Wanted>, group: &Group, attempt: usize) {
        for Wanted { index, target, .. } in &wanted {
            self.fleet.members[*index].asked = Some(*target);
        }
        let wanted = wanted
            .into_iter()
            .map(|wanted| (wanted, self.fleet.members[wanted.index].config.clone()))
            .collect();
        let actuator = self.registry.actuator(group.actuator).clone();
        let patience = self.options.patience;
        self.acts.push(apply(job, records, wanted, actuator, group.app.clone(), patience, attempt));
    }

    /// Takes in the platform's answers; what is to be sent again is.
    fn settle(
        &mut self,
        job: Job,
        mut records: Vec<Record>,
        wanted: Vec<Wanted>,
        mut answers: Answers<(), ActuatorError>,
        attempt: usize,
    ) {
        let now = self.clock.now();
        let Some(group) = self.fleet.partitions[job.partition].group.clone() else {
            return self.record(job, records);
        };
        let places: HashMap<Role, usize> =
            records.iter().enumerate().map(|(at, record)| (record.role.clone(), at)).collect();
        let mut again = Vec::new();
        for wanted in wanted {
            self.fleet.members[wanted.index].asked = None;
            let role = self.fleet.members[wanted.index].config.role.clone();
            let answer = answers.remove(&role).unwrap_or(Err(ActuatorError::NoAnswer));
            let outcome = match settle(&mut self.fleet, &group, wanted, answer, now) {
                Settled::Done(outcome) => outcome,
                Settled::Again { error, .. } if attempt == ATTEMPTS => error,
                Settled::Again { wanted, error } => {
                    again.push(wanted);
                    error
                }
            };
            if let Some(at) = places.get(&role) {
                records[*at].outcome = outcome;
            }
        }
        if again.is_empty() {
            self.record(job, records);
        } else {
            self.apply(job, records, again, &group, attempt + 1);
        }
    }

    fn record(&mut self, job: Job, records: Vec<Record>) {
        let records: Vec<_> = records.into_iter().map(Arc::new).collect();
        let mut kept = Vec::with_capacity(records.len());
        for record in &records {
            let member = self.fleet.index(&record.role).map(|index| &mut self.fleet.members[index]);
            self.journal.log(record, member.as_ref().is_some_and(|member| member.absent));
            if member.is_none_or(|member| member.is_to_keep(record, job.occasion)) {
                kept.push(record.clone());
            }
        }
        let recorders = if kept.is_empty() { Vec::new() } else { self.options.recorders.clone() };
        self.acts.push(record(job, records, kept, recorders, self.options.patience));
    }

    /// Ends a round: tells of it, and begins what has waited for it.
    fn end(&mut self, job: Job, records: &[Arc<Record>]) {
        let completed = job.cycle.filter(|cycle| self.complete(*cycle));
        let indexed = |record: &Arc<Record>| Some((self.fleet.index(&record.role)?, record.clone()));
        let records: Vec<_> = records.iter().filter_map(indexed).collect();
        self.journal.publish(&records, completed, self.clock.now());
        let Some(Waiting { members, cycles }) = self.busy.remove(&job.partition) else { return };
        if members.is_empty() {
            return;
        }
        let poll = members.values().any(|occasion| *occasion == Occasion::Poll);
        // Several polls that have waited are one; all but the last are complete without it.
        let (last, earlier) = match cycles.split_last() {
            Some((last, earlier)) => (Some(*last), earlier),
            None => (None, [].as_slice()),
        };
        earlier.iter().for_each(|cycle| {
            self.complete(*cycle);
        });
        let mut members: Vec<_> = members.into_keys().collect();
        members.sort_unstable();
        let occasion = if poll { Occasion::Poll } else { Occasion::Event };
        self.begin(Job { partition: job.partition, members, occasion, cycle: last });
    }

    /// One round of a cycle has ended; `true` when it was the last.
    fn complete(&mut self, cycle: u64) -> bool {
        let Some(left) = self.outstanding.get_mut(&cycle) else { return false };
        *left -= 1;
        let done = *left == 0;
        if done {
            self.outstanding.remove(&cycle);
        }
        done
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
