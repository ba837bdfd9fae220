//! All roles with what is remembered of them, how they are grouped, and the decision for each: no I/O.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use guv_model::{
    Action, AppName, Budget, Config, Decision, Limit, Manual, Observation, Occasion, QueueSample, Role,
    RoleConfig, RoleState, Timestamp, WorkerCount,
};
use tokio::time::Instant;
use url::Url;

use super::Error;
use super::job::Job;
use crate::registry::Assignment;
use crate::{Outcome, Quota, Record, Registry};

/// How long a limit that the platform has named is believed: plans are changed, and then somebody has to find out.
const LIMIT_BELIEVED: Duration = Duration::from_secs(15 * 60);

/// Between two polls what was counted, or recorded, so long ago is new enough: a queue may wake a role many times a second.
const NEW_ENOUGH: Duration = Duration::from_secs(1);

/// The roles of one application at one place of an actuator: they are counted and changed together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Group {
    pub(super) actuator: usize,
    pub(super) app: Option<AppName>,
    /// Where they are, as the actuator says.
    pub(super) place: Option<Url>,
}

/// The roles of a group whose queues the same source looks at: nothing that happens to other partitions delays them.
pub(super) struct Partition {
    pub(super) source: usize,
    /// `None` without an actuator.
    pub(super) group: Option<Group>,
    /// Indices of members.
    pub(super) members: Vec<usize>,
}

/// A role, and what is remembered of it.
pub(super) struct Member {
    pub(super) config: Arc<RoleConfig>,
    assignment: Assignment,
    /// Where the workers are.
    place: Option<Url>,
    partition: usize,
    state: RoleState,
    /// What was seen, or set, last.
    workers: Option<WorkerCount>,
    /// When they were counted last; `None` where that failed.
    pub(super) counted: Option<Timestamp>,
    /// When something was recorded last, and what had become of it.
    recorded: Option<(Timestamp, Outcome)>,
    /// What the platform is being asked for: for budgets it is there already.
    pub(super) asked: Option<u32>,
    limit: Option<LearntLimit>,
    pub(super) manual: Option<Manual>,
    /// Until when somebody has paused it.
    pub(super) paused: Option<Timestamp>,
    /// The queue has been there at least once.
    pub(super) seen: bool,
    /// The queue is not there, and never was.
    pub(super) absent: bool,
    /// The source could not be read the last time.
    pub(super) source_away: bool,
    /// What is wrong with its workers, though they can be counted and changed.
    pub(super) failing: Option<String>,
    /// When to look again though nothing happens.
    pub(super) look_again: Option<Instant>,
    /// The last decision, for budgets, and the number of workers that it wanted before they cut it. `None` until the end of
    /// the first look: how many workers it has is not known.
    decision: Option<(Decision, Option<u32>)>,
    /// It wants more workers, and has to wait for the first look at another member of its budget.
    held: bool,
}

#[derive(Clone, Copy)]
struct LearntLimit {
    workers: u32,
    until: Timestamp,
}

/// What an actuator said about the workers of a role.
#[derive(Clone, Copy)]
pub(super) enum Counted {
    Known(WorkerCount),
    /// The count failed, was not made so as to save requests, or is nothing that the platform can tell; the last one
    /// known, or accepted, stands in for it.
    Remembered,
    /// There is no actuator.
    Nobody,
}

/// All roles.
pub(super) struct Fleet {
    pub(super) poll_interval: Duration,
    pub(super) members: Vec<Member>,
    pub(super) partitions: Vec<Partition>,
    budgets: Vec<Budget>,
    index: HashMap<Role, usize>,
    dry_run: bool,
    oneshot: bool,
    /// Applications that are to be left alone, and until when.
    paused: HashMap<Group, Timestamp>,
    /// When each application was counted last, and what was left of its requests then.
    counted: HashMap<Group, (Timestamp, Option<Quota>)>,
}

impl Fleet {
    pub(super) fn new(
        config: Config,
        registry: &Registry,
        dry_run: bool,
        oneshot: bool,
    ) -> Result<Self, Error> {
        let mut fleet = Self {
            poll_interval: config.poll_interval,
            members: Vec::new(),
            partitions: Vec::new(),
            budgets: Vec::new(),
            index: HashMap::new(),
            dry_run,
            oneshot,
            paused: HashMap::new(),
            counted: HashMap::new(),
        };
        fleet.reconfigure(config, registry)?;
        Ok(fleet)
    }

    /// What was known of the roles before.
    pub(super) fn remember(&mut self, mut states: HashMap<Role, RoleState>) {
        for member in &mut self.members {
            if let Some(state) = states.remove(&member.config.role) {
                member.state = state;
            }
        }
    }

    /// Takes a configuration into force, or leaves everything as it is.
    pub(super) fn reconfigure(&mut self, config: Config, registry: &Registry) -> Result<(), Error> {
        // Who looks once has no past to go by.
        let window = if self.oneshot { 0 } else { config.window() };
        let assignments = registry.assign_all(&config.roles, self.dry_run).map_err(Error::Unserved)?;
        let mut known: HashMap<_, _> = self.members.drain(..).map(|m| (m.config.role.clone(), m)).collect();
        self.members = config
            .roles
            .into_iter()
            .zip(assignments)
            .map(|(config, assignment)| match known.remove(&config.role) {
                Some(mut member) => {
                    member.state.reconfigure(window, config.limits);
                    let place = place(registry, assignment, &config);
                    let config = Arc::new(config);
                    Member { config, assignment, place, limit: None, failing: None, ..member }
                }
                None => {
                    let place = place(registry, assignment, &config);
                    Member::new(config, assignment, place, window)
                }
            })
            .collect();
        for role in known.into_keys() {
            tracing::warn!(%role, "it is not governed any more; workers that a platform runs are left as they are");
        }
        self.index = self.members.iter().enumerate().map(|(i, m)| (m.config.role.clone(), i)).collect();
        self.partitions = partitions(&mut self.members);
        self.budgets = config.budgets;
        self.poll_interval = config.poll_interval;
        self.paused.clear();
        self.counted.clear();
        Ok(())
    }

    /// The roles that an actuator serves.
    pub(super) fn served_by(&self, actuator: usize) -> Vec<&RoleConfig> {
        let members = self.members.iter().filter(|member| member.assignment.actuator == Some(actuator));
        members.map(|member| &*member.config).collect()
    }

    /// The index of a role.
    pub(super) fn index(&self, role: &Role) -> Option<usize> {
        self.index.get(role).copied()
    }

    /// The partition that a member belongs to.
    pub(super) fn partition_of(&self, member: usize) -> usize {
        self.members[member].partition
    }

    /// Leaves an application alone for some time.
    pub(super) fn pause(&mut self, group: &Group, until: Timestamp) {
        self.paused.insert(group.clone(), until);
    }

    /// How long an application is still to be left alone.
    pub(super) fn paused(&self, group: &Group, now: Timestamp) -> Option<Duration> {
        let until = *self.paused.get(group)?;
        (until > now).then(|| until.saturating_since(now))
    }

    /// Whether to ask for the workers of these members now, or go by what was last known, to save requests.
    pub(super) fn worth_counting(&self, group: &Group, job: &Job, now: Timestamp) -> bool {
        let Some((at, quota)) = self.counted.get(group) else { return true };
        let mut members = job.members.iter().map(|index| &self.members[*index]);
        if job.occasion == Occasion::Event && members.clone().all(|member| is_new(member.counted, now)) {
            return false;
        }
        let known = members.all(|member| member.workers.is_some());
        !known || now.saturating_since(*at) >= quota.map_or(Duration::ZERO, pause_between_counts)
    }

    /// An application was counted.
    pub(super) fn note_count(&mut self, group: &Group, quota: Option<Quota>, now: Timestamp) {
        self.counted.insert(group.clone(), (now, quota));
    }

    /// Decides for several members at once, within the budgets; `clock` is what the machine's says, if it was set.
    pub(super) fn decide(
        &mut self,
        occasion: Occasion,
        seen: Vec<(usize, Option<QueueSample>, Counted)>,
        now: Timestamp,
        clock: Option<Timestamp>,
    ) -> Vec<(usize, Decision)> {
        let decided: Vec<_> = seen
            .into_iter()
            .map(|(index, sample, counted)| {
                (index, self.members[index].decide(occasion, sample, counted, now, clock))
            })
            .collect();
        let mut decided: HashMap<_, _> = decided.into_iter().collect();
        let wishes: HashMap<_, _> =
            decided.iter().map(|(index, decision): (&usize, &Decision)| (*index, decision.target)).collect();
        let mut held = HashSet::new();
        for budget in &self.budgets {
            // Of the others what is known last stands for what they want.
            let (mut whose, mut configs, mut decisions) = (Vec::new(), Vec::new(), Vec::new());
            let mut is_known = true;
            for (index, member) in self.members.iter().enumerate() {
                let own = decided.remove(&index);
                let fresh = own.is_some();
                let Some(decision) = own.or_else(|| member.standing()) else {
                    is_known &= !budget.roles.contains(&member.config.role);
                    continue;
                };
                whose.push((index, fresh));
                configs.push(&*member.config);
                decisions.push(decision);
            }
            budget.share(&configs, &mut decisions);
            for ((index, fresh), mut decision) in whose.into_iter().zip(decisions) {
                let is_member = budget.roles.contains(&decision.role);
                if fresh && is_member && !is_known && hold(&mut decision) {
                    held.insert(index);
                }
                if fresh {
                    decided.insert(index, decision);
                }
            }
        }
        let are_new = decided.keys().any(|index| self.members[*index].decision.is_none());
        for (index, decision) in &decided {
            let member = &mut self.members[*index];
            member.look_again = decision.look_again.map(|after| Instant::now() + after);
            member.decision = Some((decision.clone(), wishes.get(index).copied().flatten()));
            member.held = held.contains(index);
        }
        if are_new {
            self.release();
        }
        let mut decided: Vec<_> = decided.into_iter().collect();
        decided.sort_by_key(|(index, _)| *index);
        decided
    }

    /// Has those looked at that have waited until it was known what is left of their budgets.
    fn release(&mut self) {
        let unknown = self.members.iter().filter(|member| member.decision.is_none());
        let unknown: HashSet<_> = unknown.map(|member| member.config.role.clone()).collect();
        for member in self.members.iter_mut().filter(|member| member.held) {
            let waits = |budget: &Budget| {
                budget.roles.contains(&member.config.role)
                    && budget.roles.iter().any(|role| unknown.contains(role))
            };
            if !self.budgets.iter().any(waits) {
                member.look_again = Some(Instant::now());
            }
        }
    }

    /// Whether a member waits until it is known what is left of its budget.
    pub(super) fn is_held(&self) -> bool {
        self.members.iter().any(|member| member.held)
    }

    /// When the next member wants to be looked at, though nothing happens.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.members.iter().filter_map(|member| member.look_again).min()
    }

    /// The members that want to be looked at now; they are not told again.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Role> {
        let due = self.members.iter_mut().filter(|member| member.look_again.is_some_and(|at| at <= now));
        due.map(|member| {
            member.look_again = None;
            member.config.role.clone()
        })
        .collect()
    }
}

/// Takes back a decision for more workers; `true` if it is one.
fn hold(decision: &mut Decision) -> bool {
    let current = decision.current();
    if decision.target.is_none_or(|target| current.is_some_and(|current| target <= current)) {
        return false;
    }
    decision.limits.retain(|limit| !matches!(limit, Limit::Budget { .. }));
    decision.limits.push(Limit::Budget { workers: current.unwrap_or(0) });
    decision.action = if current.is_some() { Action::Keep } else { Action::Hold };
    decision.target = None;
    true
}

fn is_new(at: Option<Timestamp>, now: Timestamp) -> bool {
    at.is_some_and(|at| now.saturating_since(at) < NEW_ENOUGH)
}

fn place(registry: &Registry, assignment: Assignment, role: &RoleConfig) -> Option<Url> {
    registry.actuator(assignment.actuator?).place(role)
}

/// The less is left, the longer: most of what is given back is saved for changes.
fn pause_between_counts(quota: Quota) -> Duration {
    let requests = match quota.remaining {
        0..50 => 100,
        50..500 => 20,
        _ => 4,
    };
    quota.per_request * requests
}

fn partitions(members: &mut [Member]) -> Vec<Partition> {
    let mut partitions: Vec<Partition> = Vec::new();
    let mut by_key: HashMap<(usize, Option<Group>), usize> = HashMap::new();
    for (index, member) in members.iter_mut().enumerate() {
        let key = (member.assignment.source, member.group());
        let at = *by_key.entry(key).or_insert_with_key(|(source, group)| {
            partitions.push(Partition { source: *source, group: group.clone(), members: Vec::new() });
            partitions.len() - 1
        });
        partitions[at].members.push(index);
        member.partition = at;
    }
    partitions
}

impl Member {
    fn new(config: RoleConfig, assignment: Assignment, place: Option<Url>, window: usize) -> Self {
        Self {
            config: Arc::new(config),
            assignment,
            place,
            partition: 0,
            state: RoleState::new(window),
            workers: None,
            counted: None,
            recorded: None,
            asked: None,
            limit: None,
            manual: None,
            paused: None,
            seen: false,
            absent: false,
            source_away: false,
            failing: None,
            look_again: None,
            decision: None,
            held: false,
        }
    }

    /// The group that the role is counted and changed with; `None` without an actuator.
    fn group(&self) -> Option<Group> {
        let actuator = self.assignment.actuator?;
        Some(Group { actuator, app: self.config.app.clone(), place: self.place.clone() })
    }

    /// Decides for the role. Without a sample nothing is remembered.
    fn decide(
        &mut self,
        occasion: Occasion,
        sample: Option<QueueSample>,
        counted: Counted,
        now: Timestamp,
        clock: Option<Timestamp>,
    ) -> Decision {
        match counted {
            Counted::Known(workers) => self.workers = Some(workers),
            Counted::Remembered => {}
            Counted::Nobody => self.workers = None,
        }
        self.seen |= sample.is_some();
        self.limit = self.limit.filter(|limit| limit.until > now);
        self.manual = self.manual.filter(|manual| manual.until > now);
        self.paused = self.paused.filter(|until| *until > now);
        let observation = Observation {
            queue: sample.unwrap_or_default(),
            workers: self.workers,
            platform_limit: self.limit.map(|limit| limit.workers),
            manual: self.manual,
            paused: self.paused,
            clock,
        };
        self.state.step_on(occasion, &self.config, &observation, now)
    }

    /// The last decision as it stands now: with the workers that there are, and what it still wants.
    fn standing(&self) -> Option<Decision> {
        let (mut decision, wish) = self.decision.clone()?;
        decision.inputs.observation.workers = match (self.workers, self.asked) {
            (Some(workers), Some(asked)) => {
                Some(WorkerCount { current: workers.current.max(asked), ..workers })
            }
            (workers, asked) => workers.or(asked.map(WorkerCount::running)),
        };
        decision.target = wish;
        Some(decision)
    }

    /// Whether a record is to be kept, which is remembered. Between two polls one that only repeats that nothing changes is
    /// kept once a second.
    pub(super) fn is_to_keep(&mut self, record: &Record, occasion: Occasion) -> bool {
        let before = self.recorded.as_ref();
        let repeats = before.is_some_and(|(at, outcome)| {
            is_new(Some(*at), record.at)
                && *outcome == record.outcome
                && !matches!(outcome, Outcome::Applied { .. })
        });
        if occasion == Occasion::Event && repeats {
            return false;
        }
        self.recorded = Some((record.at, record.outcome.clone()));
        true
    }

    /// Remembers what the platform has accepted, until it is counted again.
    pub(super) fn accepted(&mut self, target: u32, now: Timestamp) {
        let workers = self.workers.get_or_insert(WorkerCount::running(target));
        let (more, fewer) = (target.saturating_sub(workers.current), workers.current.saturating_sub(target));
        workers.current = target;
        // Whoever is new boots, and the newest are stopped first.
        workers.booting = workers.booting.map(|booting| booting.saturating_add(more).saturating_sub(fewer));
        workers.draining = workers.draining.map(|draining| draining.saturating_add(fewer));
        self.state.accepted(target, now);
    }

    /// Remembers how many workers the platform runs at most.
    pub(super) fn learn_limit(&mut self, workers: u32, now: Timestamp) {
        self.limit = Some(LearntLimit { workers, until: now + LIMIT_BELIEVED });
    }
}
