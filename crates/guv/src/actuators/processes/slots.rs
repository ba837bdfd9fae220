//! Which processes of one kind there are to be, and which state each is in. Pure: it says what to do and is told what
//! happened.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use guv_model::WorkerCount;

/// A process that lived this long did not fail to start: it is started again at once.
const STABLE: Duration = Duration::from_secs(5);
/// The pause after the first of several failures in a row, doubled with each further one, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Processes of one kind that are started at a time: what is wanted may change before the next ones.
pub(super) const AT_ONCE: usize = 16;

/// The number of a process among those of its kind, from 1; reused when free.
pub(super) type Number = u32;

/// The state of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Will be started. Entered when one more is wanted, and after an exit that nobody asked for; left at `at`.
    Waiting { at: Instant },
    /// Runs. Left by its exit, or when it is one too many.
    Running { since: Instant },
    /// Was told to stop. Left by its exit; killed at `kill_at`, once.
    Stopping { kill_at: Option<Instant> },
    /// Ended by itself after `lived`, and left others of its group, which were told to stop. Left when they are gone, or when
    /// it is one too many; they are killed at `kill_at`, once.
    Leaderless { lived: Duration, kill_at: Option<Instant> },
}

#[derive(Debug)]
struct Slot {
    phase: Phase,
    /// Failures in a row.
    failures: u32,
}

/// What to do with a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// To be followed by [`Slots::exited`] when it fails.
    Spawn(Number),
    Terminate(Number),
    Kill(Number),
}

/// The processes of one kind.
#[derive(Debug, Default)]
pub(super) struct Slots {
    wanted: u32,
    /// How long one may take to end after SIGTERM.
    grace: Duration,
    slots: BTreeMap<Number, Slot>,
}

impl Slots {
    pub(super) fn want(&mut self, wanted: u32, grace: Duration) {
        self.wanted = wanted;
        self.grace = grace;
    }

    /// What is to be done now to come closer to what is wanted. What it says is taken as done. It starts [`AT_ONCE`]; the
    /// next ones come when it is asked again, which [`Slots::wake`] tells.
    pub(super) fn plan(&mut self, now: Instant) -> Vec<Step> {
        let mut excess = self.staying().saturating_sub(self.wanted);
        let missing = self.wanted.saturating_sub(self.staying());
        let slots = &self.slots;
        let free = (1..).filter(|number| !slots.contains_key(number)).take(missing as usize);
        for number in free.collect::<Vec<_>>() {
            self.slots.insert(number, Slot { phase: Phase::Waiting { at: now }, failures: 0 });
        }
        let mut steps = Vec::new();
        let mut spawns = AT_ONCE;
        // The newest go first, and those that do not run or end anyhow before all others: they cost nothing.
        let mut numbers: Vec<_> = self.slots.keys().rev().copied().collect();
        numbers.sort_by_key(|number| matches!(self.slots[number].phase, Phase::Running { .. }));
        for number in numbers {
            let Some(slot) = self.slots.get_mut(&number) else { continue };
            match slot.phase {
                Phase::Waiting { .. } if excess > 0 => {
                    self.slots.remove(&number);
                    excess -= 1;
                }
                Phase::Leaderless { kill_at, .. } if excess > 0 => {
                    slot.phase = Phase::Stopping { kill_at };
                    excess -= 1;
                }
                Phase::Running { .. } if excess > 0 => {
                    slot.phase = Phase::Stopping { kill_at: Some(now + self.grace) };
                    steps.push(Step::Terminate(number));
                    excess -= 1;
                }
                Phase::Waiting { at } if at <= now && spawns > 0 => {
                    spawns -= 1;
                    slot.phase = Phase::Running { since: now };
                    steps.push(Step::Spawn(number));
                }
                Phase::Stopping { kill_at: Some(at) } if at <= now => {
                    slot.phase = Phase::Stopping { kill_at: None };
                    steps.push(Step::Kill(number));
                }
                Phase::Leaderless { lived, kill_at: Some(at) } if at <= now => {
                    slot.phase = Phase::Leaderless { lived, kill_at: None };
                    steps.push(Step::Kill(number));
                }
                _ => {}
            }
        }
        steps
    }

    /// A process has ended, and others of its group are left. Whether nobody had asked for that: then those are to be told to
    /// stop.
    pub(super) fn leader_ended(&mut self, number: Number, now: Instant) -> bool {
        let Some(slot) = self.slots.get_mut(&number) else { return false };
        let Phase::Running { since } = slot.phase else { return false };
        let lived = now.saturating_duration_since(since);
        slot.phase = Phase::Leaderless { lived, kill_at: Some(now + self.grace) };
        true
    }

    /// A process has ended with all of its group, or could not be started. When nobody had asked for that: the pause before it
    /// is started again.
    pub(super) fn exited(&mut self, number: Number, now: Instant) -> Option<Duration> {
        let slot = self.slots.get_mut(&number)?;
        let lived = match slot.phase {
            Phase::Stopping { .. } => {
                self.slots.remove(&number);
                return None;
            }
            Phase::Waiting { .. } => return None,
            Phase::Running { since } => now.saturating_duration_since(since),
            Phase::Leaderless { lived, .. } => lived,
        };
        slot.failures = if lived >= STABLE { 0 } else { slot.failures + 1 };
        let pause = pause(slot.failures);
        slot.phase = Phase::Waiting { at: now + pause };
        Some(pause)
    }

    /// What made them fail may be over: nobody waits any longer, and the next pauses are short again.
    pub(super) fn retry(&mut self, now: Instant) {
        for slot in self.slots.values_mut() {
            slot.failures = slot.failures.min(1);
            if let Phase::Waiting { at } = &mut slot.phase {
                *at = now.min(*at);
            }
        }
    }

    /// When there is something to do next, unless something happens before.
    pub(super) fn wake(&self) -> Option<Instant> {
        let next = |slot: &Slot| match slot.phase {
            Phase::Waiting { at } => Some(at),
            Phase::Stopping { kill_at } | Phase::Leaderless { kill_at, .. } => kill_at,
            Phase::Running { .. } => None,
        };
        self.slots.values().filter_map(next).min()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Those that wait to be started count as wanted, but not as up; nor does one that has had less than `boot`, nor one
    /// that has failed, until it has stayed. What a process has left behind drains, while another one is wanted in its place.
    pub(super) fn count(&self, boot: Duration, now: Instant) -> WorkerCount {
        let drains = |slot: &Slot| matches!(slot.phase, Phase::Stopping { .. } | Phase::Leaderless { .. });
        WorkerCount {
            booting: Some(self.number_of(|slot| slot.is_booting(boot, now) || slot.is_failing(now))),
            draining: Some(self.number_of(drains)),
            drains: true,
            ..WorkerCount::running(self.staying())
        }
    }

    /// How many have ended soon after their start, and have not stayed up since.
    pub(super) fn failing(&self, now: Instant) -> u32 {
        self.number_of(|slot| slot.is_failing(now))
    }

    /// How many there are, or are to be, that were not told to stop.
    pub(super) fn staying(&self) -> u32 {
        self.number_of(|slot| !matches!(slot.phase, Phase::Stopping { .. }))
    }

    fn number_of(&self, which: impl Fn(&Slot) -> bool) -> u32 {
        u32::try_from(self.slots.values().filter(|slot| which(slot)).count()).unwrap_or(u32::MAX)
    }
}

impl Slot {
    /// A process says nothing when it is ready: it is taken to be so when it has had the time.
    fn is_booting(&self, boot: Duration, now: Instant) -> bool {
        match self.phase {
            Phase::Waiting { .. } | Phase::Leaderless { .. } => true,
            Phase::Running { since } => now.saturating_duration_since(since) < boot,
            Phase::Stopping { .. } => false,
        }
    }

    fn is_failing(&self, now: Instant) -> bool {
        let stays = match self.phase {
            Phase::Waiting { .. } | Phase::Leaderless { .. } => false,
            Phase::Running { since } => is_stable(since, now),
            Phase::Stopping { .. } => true,
        };
        self.failures > 0 && !stays
    }
}

fn is_stable(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) >= STABLE
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
    use super::*;

    const GRACE: Duration = Duration::from_secs(15);
    const BOOT: Duration = Duration::from_secs(1);

    fn wanting(wanted: u32, now: Instant) -> (Slots, Vec<Step>) {
        let mut slots = Slots::default();
        slots.want(wanted, GRACE);
        let steps = slots.plan(now);
        (slots, steps)
    }

    #[test]
    fn the_newest_stop_first_and_are_killed_when_they_do_not() {
        let now = Instant::now();
        let (mut slots, steps) = wanting(2, now);
        assert_eq!(steps.len(), 2);
        slots.want(1, GRACE);
        assert_eq!(slots.plan(now), [Step::Terminate(2)]);
        assert_eq!(slots.plan(now), [], "once");
        assert_eq!((slots.count(BOOT, now).current, slots.count(BOOT, now).draining), (1, Some(1)));
        assert_eq!(slots.wake(), Some(now + GRACE));
        assert_eq!(slots.plan(now + GRACE), [Step::Kill(2)]);
        assert_eq!(slots.exited(2, now + GRACE), None);
        assert_eq!((slots.wake(), slots.count(BOOT, now).draining), (None, Some(0)));
    }

    #[test]
    fn one_that_fails_at_once_is_tried_with_growing_pauses() {
        let mut now = Instant::now();
        let (mut slots, steps) = wanting(1, now);
        assert_eq!(steps, [Step::Spawn(1)]);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let pause = slots.exited(1, now);
            assert_eq!(slots.failing(now), 1);
            assert_eq!(
                slots.count(BOOT, now),
                WorkerCount { booting: Some(1), draining: Some(0), drains: true, ..WorkerCount::running(1) }
            );
            let next = slots.wake().unwrap();
            assert_eq!(pause, Some(next - now));
            pauses.push((next - now).as_millis());
            now = next;
            assert_eq!(slots.plan(now), [Step::Spawn(1)]);
            assert_eq!(
                (slots.failing(now), slots.count(BOOT, now).booting),
                (1, Some(1)),
                "it has not stayed yet"
            );
        }
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        let now = now + STABLE;
        assert_eq!((slots.failing(now), slots.count(BOOT, now).booting), (0, Some(0)), "it has stayed");
        assert_eq!(slots.exited(1, now), Some(Duration::ZERO));
        assert_eq!(slots.plan(now), [Step::Spawn(1)], "it lived a while");
    }

    #[test]
    fn those_that_run_boot_until_they_have_had_the_time() {
        let now = Instant::now();
        let (mut slots, _) = wanting(3, now);
        let booting = |slots: &Slots, after| slots.count(BOOT, now + after).booting;
        assert_eq!(booting(&slots, BOOT / 2), Some(3));
        slots.want(5, GRACE);
        slots.plan(now + BOOT / 2);
        assert_eq!((booting(&slots, BOOT), booting(&slots, BOOT * 3 / 2)), (Some(2), Some(0)));
        slots.exited(1, now + STABLE);
        slots.plan(now + STABLE);
        assert_eq!(booting(&slots, STABLE), Some(1), "the one that takes the place of another boots, too");
    }

    #[test]
    fn when_the_cause_may_be_over_nobody_waits() {
        let mut now = Instant::now();
        let (mut slots, _) = wanting(1, now);
        for _ in 0..6 {
            slots.exited(1, now);
            now = slots.wake().unwrap();
            slots.plan(now);
        }
        slots.exited(1, now);
        assert_eq!(slots.plan(now), []);
        slots.retry(now);
        assert_eq!(slots.plan(now), [Step::Spawn(1)]);
        assert_eq!(slots.failing(now), 1, "until it has stayed");
        assert_eq!(slots.exited(1, now), Some(Duration::from_secs(1)));
    }

    #[test]
    fn one_that_waits_is_given_up_before_one_that_runs() {
        let now = Instant::now();
        let (mut slots, _) = wanting(2, now);
        slots.exited(1, now);
        slots.want(1, GRACE);
        assert_eq!(slots.plan(now), [], "the second one runs on");
        slots.want(0, GRACE);
        assert_eq!(slots.plan(now), [Step::Terminate(2)]);
        slots.exited(2, now);
        assert!(slots.is_empty());
    }

    #[test]
    fn many_are_started_bit_by_bit_and_those_that_wait_are_given_up() {
        let now = Instant::now();
        let (mut slots, steps) = wanting(100_000, now);
        assert_eq!(steps.len(), AT_ONCE);
        assert_eq!((slots.count(BOOT, now).current, slots.wake()), (100_000, Some(now)));
        assert_eq!(slots.plan(now).len(), AT_ONCE);
        slots.want(0, GRACE);
        assert_eq!(slots.plan(now).len(), 2 * AT_ONCE, "those that run are told to end");
        assert_eq!(slots.count(BOOT, now).booting, Some(0));
    }

    #[test]
    fn what_one_has_left_behind_ends_before_it_is_started_again() {
        let now = Instant::now();
        let (mut slots, _) = wanting(1, now);
        assert!(slots.leader_ended(1, now), "nobody had asked for it");
        let count = slots.count(BOOT, now);
        assert_eq!((count.current, count.booting, count.draining), (1, Some(1), Some(1)));
        assert_eq!((slots.plan(now), slots.wake()), (vec![], Some(now + GRACE)));
        assert_eq!(slots.plan(now + GRACE), [Step::Kill(1)]);
        assert_eq!((slots.plan(now + GRACE), slots.wake()), (vec![], None), "once");
        assert_eq!(
            slots.exited(1, now + GRACE),
            Some(PAUSES.0),
            "it had not lived long, whatever its group has"
        );
        assert_eq!(slots.count(BOOT, now).draining, Some(0));
        assert_eq!(slots.plan(now + GRACE + PAUSES.0), [Step::Spawn(1)]);
    }

    #[test]
    fn what_one_that_is_not_wanted_any_more_has_left_behind_is_told_once() {
        let now = Instant::now();
        let (mut slots, _) = wanting(2, now);
        slots.leader_ended(1, now);
        slots.want(1, GRACE);
        assert_eq!(slots.plan(now), [], "the second one runs on");
        slots.want(0, GRACE);
        assert_eq!(slots.plan(now), [Step::Terminate(2)]);
        assert!(!slots.leader_ended(2, now), "it was told to stop, with all of its group");
        assert_eq!((slots.count(BOOT, now).draining, slots.wake()), (Some(2), Some(now + GRACE)));
        assert_eq!(slots.plan(now + GRACE), [Step::Kill(2), Step::Kill(1)]);
        assert_eq!((slots.exited(1, now), slots.exited(2, now)), (None, None));
        assert!(slots.is_empty());
    }

    #[test]
    fn a_new_one_does_not_wait_for_one_that_stops() {
        let now = Instant::now();
        let (mut slots, _) = wanting(1, now);
        slots.want(0, GRACE);
        slots.plan(now);
        slots.want(1, GRACE);
        assert_eq!(slots.plan(now), [Step::Spawn(2)]);
    }
}
