//! All roles with what is remembered of them, and the decision for each: no I/O.

use std::collections::HashMap;
use std::time::Duration;

use guv_model::{
    AppName, Config, Decision, Observation, QueueSample, RoleConfig, RoleState, Timestamp, WorkerCount,
};

use super::Error;
use crate::Registry;
use crate::registry::Assignment;

/// How long a limit that the platform has named is believed: plans are changed, and then somebody has to find out.
const LIMIT_BELIEVED: Duration = Duration::from_secs(15 * 60);

/// The roles of one application on one actuator: they are counted and changed together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Group {
    pub(super) actuator: usize,
    pub(super) app: Option<AppName>,
}

/// A role, and what is remembered of it.
pub(super) struct Member {
    pub(super) config: RoleConfig,
    pub(super) assignment: Assignment,
    state: RoleState,
    /// What was seen, or set, last.
    workers: Option<WorkerCount>,
    limit: Option<LearntLimit>,
}

#[derive(Clone, Copy)]
struct LearntLimit {
    workers: u32,
    until: Timestamp,
}

/// What an actuator said about the workers of a role.
pub(super) enum Counted {
    Known(WorkerCount),
    /// The count failed; the last one known stands in for it.
    Failed,
    /// There is no actuator.
    Nobody,
}

/// All roles.
pub(super) struct Fleet {
    pub(super) poll_interval: Duration,
    pub(super) members: Vec<Member>,
    dry_run: bool,
    /// Applications that are to be left alone, and until when.
    paused: HashMap<Group, Timestamp>,
}

impl Fleet {
    pub(super) fn new(config: Config, registry: &Registry, dry_run: bool) -> Result<Self, Error> {
        let mut fleet = Self {
            poll_interval: config.poll_interval,
            members: Vec::new(),
            dry_run,
            paused: HashMap::new(),
        };
        fleet.reconfigure(config, registry)?;
        Ok(fleet)
    }

    /// Takes a configuration into force, or leaves everything as it is.
    pub(super) fn reconfigure(&mut self, config: Config, registry: &Registry) -> Result<(), Error> {
        let window = config.window();
        let (assignments, unserved): (Vec<_>, Vec<_>) =
            config.roles.iter().map(|role| registry.assign(role, self.dry_run)).partition(Result::is_ok);
        let unserved: Vec<_> = unserved.into_iter().filter_map(Result::err).collect();
        if !unserved.is_empty() {
            return Err(Error::Unserved(unserved));
        }
        let mut known: HashMap<_, _> = self.members.drain(..).map(|m| (m.config.role.clone(), m)).collect();
        let assignments = assignments.into_iter().filter_map(Result::ok);
        self.members = config
            .roles
            .into_iter()
            .zip(assignments)
            .map(|(config, assignment)| match known.remove(&config.role) {
                Some(mut member) => {
                    member.state.reconfigure(window, config.limits);
                    Member { config, assignment, limit: None, ..member }
                }
                None => {
                    Member { config, assignment, state: RoleState::new(window), workers: None, limit: None }
                }
            })
            .collect();
        self.poll_interval = config.poll_interval;
        self.paused.clear();
        Ok(())
    }

    /// The groups, each with the indices of its members.
    pub(super) fn groups(&self) -> HashMap<Group, Vec<usize>> {
        let mut groups: HashMap<Group, Vec<usize>> = HashMap::new();
        for (index, member) in self.members.iter().enumerate() {
            if let Some(group) = member.group() {
                groups.entry(group).or_default().push(index);
            }
        }
        groups
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
}

impl Member {
    /// The group that the role is counted and changed with; `None` without an actuator.
    pub(super) fn group(&self) -> Option<Group> {
        let actuator = self.assignment.actuator?;
        Some(Group { actuator, app: self.config.app.clone() })
    }

    /// Decides for the role. Without a sample nothing is remembered.
    pub(super) fn decide(
        &mut self,
        sample: Option<QueueSample>,
        counted: &Counted,
        now: Timestamp,
    ) -> Decision {
        match counted {
            Counted::Known(workers) => self.workers = Some(*workers),
            Counted::Failed => {}
            Counted::Nobody => self.workers = None,
        }
        self.limit = self.limit.filter(|limit| limit.until > now);
        let observation = Observation {
            queue: sample.unwrap_or_default(),
            workers: self.workers,
            platform_limit: self.limit.map(|limit| limit.workers),
            manual: None,
        };
        self.state.step(&self.config, &observation, now)
    }

    /// Remembers what the platform has accepted, until it is counted again.
    pub(super) fn accepted(&mut self, target: u32) {
        let workers = self.workers.get_or_insert(WorkerCount::running(target));
        workers.current = target;
    }

    /// Remembers how many workers the platform runs at most.
    pub(super) fn learn_limit(&mut self, workers: u32, now: Timestamp) {
        self.limit = Some(LearntLimit { workers, until: now + LIMIT_BELIEVED });
    }
}
