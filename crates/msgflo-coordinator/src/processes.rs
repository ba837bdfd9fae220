//! How many processes of each kind run, and which state each is in. Pure: it says what to do and is told what happened.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::desired::UnitName;

/// How long a process may take to end after SIGTERM before it is killed.
pub(crate) const GRACE: Duration = Duration::from_secs(15);
/// A process that lived this long did not fail to start: it is started again at once.
const STABLE: Duration = Duration::from_secs(5);
/// A process that replaces another and has lived this long counts as up, though nobody has heard a new participant: some keep
/// the id of their predecessor.
const ARRIVAL: Duration = Duration::from_secs(10);
/// The pause after the first of several failures in a row, doubled with each further one, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// One process of a kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instance {
    /// Its kind.
    pub unit: UnitName,
    /// Its number among those of its kind, from 1; reused when free.
    pub number: u32,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exit {
    /// `exit status 1`, `signal 9`, or why it did not start.
    pub status: String,
    /// The last lines that it wrote.
    pub output: Vec<String>,
}

/// As `exit status 1: the last line that it wrote`.
impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.status)?;
        self.output.last().map_or(Ok(()), |line| write!(f, ": {line}"))
    }
}

/// A process ended, and nobody had asked it to. It is started again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub instance: Instance,
    /// How.
    pub status: String,
    /// After which pause another one is started in its place.
    pub pause: Duration,
    /// How often one of its kind has ended so.
    pub times: u64,
}

/// The state of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Will be started. Entered when one more is wanted, and after an exit that nobody asked for; left at `at`.
    Waiting { at: Instant },
    /// Asked to start. Left when it is known to run, or not to.
    Starting,
    /// Runs. Left by its exit, or when it is one too many.
    Running { pid: u32, since: Instant },
    /// Was told to stop. Left by its exit; killed at `kill_at`, once.
    Stopping { pid: u32, kill_at: Option<Instant> },
    /// Ended by itself after `lived`, and left others of its group, which were told to stop. Left when they are gone, or when
    /// it is one too many; they are killed at `kill_at`, once.
    Leaderless { pid: u32, lived: Duration, kill_at: Option<Instant> },
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) phase: Phase,
    /// Failures in a row.
    failures: u32,
    /// Of which generation of its kind it is.
    generation: u64,
    /// Whether a participant has announced itself since it was started.
    announced: bool,
}

/// The processes of one kind.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    pub(crate) slots: BTreeMap<u32, Slot>,
    /// Processes of an earlier generation are replaced, one after the other.
    generation: u64,
    /// How often one was started again.
    pub(crate) restarts: u64,
    /// The last exit that nobody asked for.
    pub(crate) last_exit: Option<Exit>,
}

/// What to do with a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Spawn(Instance),
    Terminate(Instance),
    Kill(Instance),
}

/// Every process of ours.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    units: BTreeMap<UnitName, Slots>,
}

impl Processes {
    pub(crate) fn unit(&self, unit: &UnitName) -> Option<&Slots> {
        self.units.get(unit)
    }

    /// The kinds that there are, or were.
    pub(crate) fn units(&self) -> impl Iterator<Item = &UnitName> {
        self.units.keys()
    }

    /// Whether no process runs, or will.
    pub(crate) fn are_gone(&self) -> bool {
        self.units.values().all(|slots| slots.slots.is_empty())
    }

    /// Brings the number of processes of `unit` closer to `wanted`.
    pub(crate) fn plan(&mut self, unit: &UnitName, wanted: u32, now: Instant) -> Vec<Step> {
        let slots = self.units.entry(unit.clone()).or_default();
        let instance = |number| Instance { unit: unit.clone(), number };
        let mut steps = Vec::new();
        slots.adopt_those_that_do_not_run();
        slots.notice_arrivals(now);
        for _ in slots.staying()..wanted {
            slots.add(now);
        }
        // One more than wanted runs while a successor introduces itself.
        let (outdated, mut arriving) = (slots.outdated(), slots.arriving());
        if outdated > 0 && arriving == 0 && wanted > 0 && slots.staying() <= wanted {
            slots.add(now);
            arriving = 1;
        }
        let spare = if outdated > 0 { arriving.min(1) } else { 0 };
        let mut excess = slots.staying().saturating_sub(wanted + spare);
        // Those of an earlier generation go first, then the newest: they are the least likely to be warm, and those that do
        // not run yet cost nothing.
        let mut numbers: Vec<(u64, u32)> =
            slots.slots.iter().rev().map(|(number, slot)| (slot.generation, *number)).collect();
        numbers.sort_by_key(|(generation, _)| *generation);
        for (_, number) in numbers {
            let Some(slot) = slots.slots.get_mut(&number) else { continue };
            match slot.phase {
                Phase::Waiting { .. } if excess > 0 => {
                    slots.slots.remove(&number);
                    excess -= 1;
                }
                Phase::Running { pid, .. } if excess > 0 => {
                    slot.phase = Phase::Stopping { pid, kill_at: Some(now + GRACE) };
                    steps.push(Step::Terminate(instance(number)));
                    excess -= 1;
                }
                Phase::Leaderless { pid, kill_at, .. } if excess > 0 => {
                    slot.phase = Phase::Stopping { pid, kill_at };
                    excess -= 1;
                }
                // Too many, but it cannot be stopped before it is known to run.
                Phase::Starting if excess > 0 => excess -= 1,
                Phase::Waiting { at } if at <= now => {
                    slot.phase = Phase::Starting;
                    slot.announced = false;
                    steps.push(Step::Spawn(instance(number)));
                }
                Phase::Stopping { pid, kill_at: Some(at) } if at <= now => {
                    slot.phase = Phase::Stopping { pid, kill_at: None };
                    steps.push(Step::Kill(instance(number)));
                }
                Phase::Leaderless { pid, lived, kill_at: Some(at) } if at <= now => {
                    slot.phase = Phase::Leaderless { pid, lived, kill_at: None };
                    steps.push(Step::Kill(instance(number)));
                }
                _ => {}
            }
        }
        steps
    }

    /// Has every process of `unit` replaced by a new one.
    pub(crate) fn replace(&mut self, unit: &UnitName) {
        if let Some(slots) = self.units.get_mut(unit) {
            slots.generation += 1;
        }
    }

    /// A participant that `unit` serves has announced itself for the first time. Which process it lives in is not known;
    /// the one that waits the longest to be heard is taken for it.
    pub(crate) fn announced(&mut self, unit: &UnitName) {
        let Some(slots) = self.units.get_mut(unit) else { return };
        let silent = slots.slots.values_mut().filter(|slot| !slot.announced);
        let running = silent.filter_map(|slot| match slot.phase {
            Phase::Running { since, .. } => Some((since, slot)),
            _ => None,
        });
        if let Some((_, slot)) = running.min_by_key(|(since, _)| *since) {
            slot.announced = true;
        }
    }

    pub(crate) fn started(&mut self, instance: &Instance, pid: u32, now: Instant) {
        if let Some(slot) = self.slot(instance) {
            slot.phase = Phase::Running { pid, since: now };
        }
    }

    /// A process ended, and others of its group are left. Whether nobody had asked it to end: then those are to be told to
    /// stop.
    pub(crate) fn leader_ended(&mut self, instance: &Instance, now: Instant) -> bool {
        let Some(slot) = self.slot(instance) else { return false };
        let Phase::Running { pid, since } = slot.phase else { return false };
        let lived = now.saturating_duration_since(since);
        slot.phase = Phase::Leaderless { pid, lived, kill_at: Some(now + GRACE) };
        true
    }

    /// A process ended with all of its group, or could not be started. What there is to say, if nobody had asked it to end.
    pub(crate) fn exited(&mut self, instance: &Instance, exit: Exit, now: Instant) -> Option<Ended> {
        let slots = self.units.get_mut(&instance.unit)?;
        let slot = slots.slots.get_mut(&instance.number)?;
        let lived = match slot.phase {
            Phase::Stopping { .. } => {
                slots.slots.remove(&instance.number);
                return None;
            }
            Phase::Running { since, .. } => now.saturating_duration_since(since),
            Phase::Leaderless { lived, .. } => lived,
            Phase::Starting | Phase::Waiting { .. } => Duration::ZERO,
        };
        slot.failures = if lived >= STABLE { 0 } else { slot.failures + 1 };
        let pause = pause(slot.failures);
        slot.phase = Phase::Waiting { at: now + pause };
        slots.restarts += 1;
        let status = exit.status.clone();
        slots.last_exit = Some(exit);
        Some(Ended { instance: instance.clone(), status, pause, times: slots.restarts })
    }

    /// When there is something to do next, unless something happens before.
    pub(crate) fn wake(&self) -> Option<Instant> {
        let slots = self.units.values().flat_map(|slots| slots.slots.values());
        let due = slots.filter_map(|slot| match slot.phase {
            Phase::Waiting { at } => Some(at),
            Phase::Stopping { kill_at, .. } | Phase::Leaderless { kill_at, .. } => kill_at,
            Phase::Starting | Phase::Running { .. } => None,
        });
        due.chain(self.units.values().filter_map(Slots::next_arrival)).min()
    }

    fn slot(&mut self, instance: &Instance) -> Option<&mut Slot> {
        self.units.get_mut(&instance.unit)?.slots.get_mut(&instance.number)
    }
}

impl Slots {
    fn add(&mut self, now: Instant) {
        let free =
            (1..).find(|number| !self.slots.contains_key(number)).expect("there are more numbers than slots");
        let phase = Phase::Waiting { at: now };
        self.slots.insert(free, Slot { phase, failures: 0, generation: self.generation, announced: false });
    }

    /// What has not been started, or will be again, will be of the present generation.
    fn adopt_those_that_do_not_run(&mut self) {
        let will_start =
            |slot: &&mut Slot| matches!(slot.phase, Phase::Waiting { .. } | Phase::Leaderless { .. });
        for slot in self.slots.values_mut().filter(will_start) {
            slot.generation = self.generation;
        }
    }

    /// Those that have lived long enough have arrived.
    fn notice_arrivals(&mut self, now: Instant) {
        for slot in self.slots.values_mut() {
            if let Phase::Running { since, .. } = slot.phase {
                slot.announced |= since + ARRIVAL <= now;
            }
        }
    }

    /// When the next process that replaces another has lived long enough.
    fn next_arrival(&self) -> Option<Instant> {
        let is_replacing = |slot: &&Slot| slot.generation == self.generation && !slot.announced;
        let running = self.slots.values().filter(is_replacing).filter_map(|slot| match slot.phase {
            Phase::Running { since, .. } => Some(since + ARRIVAL),
            _ => None,
        });
        running.min().filter(|_| self.outdated() > 0)
    }

    /// How many of an earlier generation were not told to stop.
    fn outdated(&self) -> u32 {
        let is_outdated =
            |slot: &&Slot| slot.generation < self.generation && !matches!(slot.phase, Phase::Stopping { .. });
        u32::try_from(self.slots.values().filter(is_outdated).count()).unwrap_or(u32::MAX)
    }

    /// How many of the present generation have not announced themselves.
    fn arriving(&self) -> u32 {
        let is_arriving = |slot: &&Slot| {
            slot.generation == self.generation
                && !slot.announced
                && !matches!(slot.phase, Phase::Stopping { .. })
        };
        u32::try_from(self.slots.values().filter(is_arriving).count()).unwrap_or(u32::MAX)
    }

    /// How many are there and were not told to stop.
    pub(crate) fn staying(&self) -> u32 {
        self.count(|phase| !matches!(phase, Phase::Stopping { .. }))
    }

    /// How many run and were not told to stop.
    pub(crate) fn running(&self) -> u32 {
        self.count(|phase| matches!(phase, Phase::Running { .. }))
    }

    /// How many were told to stop and have not ended, with those that have left something behind.
    pub(crate) fn stopping(&self) -> u32 {
        self.count(|phase| matches!(phase, Phase::Stopping { .. } | Phase::Leaderless { .. }))
    }

    /// How many wait after a failure.
    pub(crate) fn failing(&self) -> u32 {
        let failing = |slot: &&Slot| slot.failures > 0 && matches!(slot.phase, Phase::Waiting { .. });
        u32::try_from(self.slots.values().filter(failing).count()).unwrap_or(u32::MAX)
    }

    /// The process ids of those that run.
    pub(crate) fn pids(&self) -> impl Iterator<Item = u32> {
        self.slots.values().filter_map(|slot| match slot.phase {
            Phase::Running { pid, .. } => Some(pid),
            _ => None,
        })
    }

    /// Since when they run.
    pub(crate) fn since(&self) -> impl Iterator<Item = Instant> {
        self.slots.values().filter_map(|slot| match slot.phase {
            Phase::Running { since, .. } => Some(since),
            _ => None,
        })
    }

    fn count(&self, which: impl Fn(&Phase) -> bool) -> u32 {
        u32::try_from(self.slots.values().filter(|slot| which(&slot.phase)).count()).unwrap_or(u32::MAX)
    }
}

/// The pause before a process is started again after that many failures in a row.
fn pause(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        failures => PAUSES.0.saturating_mul(1 << (failures - 1).min(16)).min(PAUSES.1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unit() -> UnitName {
        UnitName("resize".into())
    }

    fn instance(number: u32) -> Instance {
        Instance { unit: unit(), number }
    }

    fn exit() -> Exit {
        Exit { status: "signal 9".into(), output: vec![] }
    }

    #[test]
    fn the_newest_stop_first_and_are_killed_when_they_do_not() {
        let (mut processes, now) = (Processes::default(), Instant::now());
        assert_eq!(processes.plan(&unit(), 2, now).len(), 2);
        processes.started(&instance(1), 11, now);
        processes.started(&instance(2), 12, now);
        assert_eq!(processes.plan(&unit(), 1, now), [Step::Terminate(instance(2))]);
        assert_eq!(processes.plan(&unit(), 1, now), [], "once");
        assert_eq!(processes.wake(), Some(now + GRACE));
        assert_eq!(processes.plan(&unit(), 1, now + GRACE), [Step::Kill(instance(2))]);
        assert_eq!(processes.exited(&instance(2), exit(), now + GRACE), None, "it was asked to");
        assert_eq!(processes.unit(&unit()).map(Slots::staying), Some(1));
        assert_eq!(processes.wake(), None);
    }

    #[test]
    fn one_that_fails_at_once_is_tried_with_growing_pauses() {
        let (mut processes, mut now) = (Processes::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..8 {
            assert_eq!(processes.plan(&unit(), 1, now), [Step::Spawn(instance(1))]);
            processes.exited(&instance(1), exit(), now);
            let next = processes.wake().unwrap();
            pauses.push((next - now).as_millis());
            now = next;
        }
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
    }

    #[test]
    fn one_that_was_killed_after_a_while_comes_back_at_once() {
        let (mut processes, now) = (Processes::default(), Instant::now());
        processes.plan(&unit(), 1, now);
        processes.started(&instance(1), 11, now);
        let later = now + STABLE;
        let ended = processes.exited(&instance(1), exit(), later).expect("nobody asked it to end");
        assert_eq!((ended.status.as_str(), ended.pause, ended.times), ("signal 9", Duration::ZERO, 1));
        assert_eq!(processes.plan(&unit(), 1, later), [Step::Spawn(instance(1))]);
        assert_eq!(processes.unit(&unit()).unwrap().restarts, 1);
    }

    #[test]
    fn what_one_has_left_behind_ends_before_it_is_started_again() {
        let (mut processes, now) = (Processes::default(), Instant::now());
        processes.plan(&unit(), 1, now);
        processes.started(&instance(1), 11, now);
        assert!(processes.leader_ended(&instance(1), now), "nobody had asked for it");
        let slots = processes.unit(&unit()).unwrap();
        assert_eq!((slots.running(), slots.stopping(), slots.staying()), (0, 1, 1));
        assert_eq!((processes.plan(&unit(), 1, now), processes.wake()), (vec![], Some(now + GRACE)));
        assert_eq!(processes.plan(&unit(), 1, now + GRACE), [Step::Kill(instance(1))]);
        assert_eq!((processes.plan(&unit(), 1, now + GRACE), processes.wake()), (vec![], None), "once");
        let ended = processes.exited(&instance(1), exit(), now + GRACE).expect("nobody had asked for it");
        assert_eq!(ended.pause, PAUSES.0, "it had not lived long, whatever its group has");
        let at = processes.wake().unwrap();
        assert_eq!(processes.plan(&unit(), 1, at), [Step::Spawn(instance(1))]);
    }

    #[test]
    fn what_one_that_is_not_wanted_any_more_has_left_behind_is_told_once() {
        let (mut processes, now) = (Processes::default(), Instant::now());
        processes.plan(&unit(), 2, now);
        for number in [1, 2] {
            processes.started(&instance(number), 10 + number, now);
        }
        assert!(processes.leader_ended(&instance(2), now));
        assert_eq!(processes.plan(&unit(), 1, now), [], "the first one runs on");
        assert_eq!(processes.plan(&unit(), 0, now), [Step::Terminate(instance(1))]);
        assert!(!processes.leader_ended(&instance(1), now), "it was told to stop, with all of its group");
        assert_eq!(processes.wake(), Some(now + GRACE));
        for number in [1, 2] {
            assert_eq!(processes.exited(&instance(number), exit(), now), None);
        }
        assert!(processes.are_gone());
    }

    #[test]
    fn processes_are_replaced_one_after_the_other() {
        let (mut processes, mut now) = (Processes::default(), Instant::now());
        processes.plan(&unit(), 2, now);
        for number in [1, 2] {
            processes.started(&instance(number), 10 + number, now);
        }
        processes.replace(&unit());
        assert_eq!(processes.plan(&unit(), 2, now), [Step::Spawn(instance(3))]);
        processes.started(&instance(3), 13, now);
        assert_eq!(processes.plan(&unit(), 2, now), [], "both old ones stay until it is up");
        processes.announced(&unit());
        processes.announced(&unit());
        processes.announced(&unit());
        assert_eq!(processes.plan(&unit(), 2, now), [Step::Terminate(instance(2))]);
        assert_eq!(processes.plan(&unit(), 2, now), [Step::Spawn(instance(4))]);
        processes.started(&instance(4), 14, now);
        assert_eq!(processes.plan(&unit(), 2, now), []);
        now = processes.wake().expect("one that nobody hears counts after a while");
        assert_eq!(processes.plan(&unit(), 2, now), [Step::Terminate(instance(1))]);
    }

    proptest! {
        /// Whatever happens in whatever order, no two processes have one number, and in the end there are as many as wanted.
        #[test]
        fn it_settles_at_what_is_wanted(wishes in prop::collection::vec((0..6u32, 0..4usize), 1..30)) {
            let (mut processes, mut now) = (Processes::default(), Instant::now());
            let mut alive: Vec<(Instance, bool)> = Vec::new();
            let mut pid = 100;
            let wanted = wishes.last().map_or(0, |wish| wish.0);
            let calm = std::iter::repeat_n((wanted, 9), 20);
            for (wanted, event) in wishes.iter().copied().chain(calm) {
                for step in processes.plan(&unit(), wanted, now) {
                    match step {
                        Step::Spawn(instance) => {
                            prop_assert!(alive.iter().all(|(other, _)| *other != instance));
                            pid += 1;
                            processes.started(&instance, pid, now);
                            alive.push((instance, false));
                        }
                        Step::Terminate(instance) | Step::Kill(instance) => {
                            let told = alive.iter_mut().find(|(other, _)| *other == instance);
                            told.expect("only what runs is stopped").1 = true;
                        }
                    }
                }
                // A process dies by itself, or one that was told to stop does.
                let died = if event == 9 { alive.iter().position(|(_, told)| *told) } else { (event < alive.len()).then_some(event) };
                if let Some(index) = died {
                    let (instance, _) = alive.remove(index);
                    processes.exited(&instance, exit(), now);
                }
                now += PAUSES.1;
            }
            prop_assert_eq!(alive.len(), wanted as usize);
            prop_assert_eq!(processes.unit(&unit()).map(Slots::running), Some(wanted));
        }
    }
}
