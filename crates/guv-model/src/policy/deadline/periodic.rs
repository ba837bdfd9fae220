//! Bursts that come by the clock: what a timer starts every hour, or every night.
//!
//! Nobody who only reacts can do these in time where a start takes longer than jobs may wait. When a burst begins, it is asked whether
//! others began one period ago, two periods ago and so on; if so many did that it is no chance, the next is expected one
//! period later, and workers are started for as many jobs as came in these. When a burst began is known as well as it was looked: somewhere
//! between two looks. The periods are those in which people set timers, and the time since the burst before.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What comes is counted in parts of so many seconds, however often it is looked.
const PART: f64 = 30.0;
/// Of a burst so many parts are remembered at most.
const PARTS: usize = 20;
/// So many parts are looked ahead.
const AHEAD: usize = 7;
/// What comes in a part is a burst if it is so many times what is expected more than that, so many deviations more, and so many jobs.
const MUCH: (f64, f64, f64) = (1.0, 4.0, 5.0);
/// Timers are so exact, seconds.
const JITTER: f64 = 10.0;
/// In which minutes people set timers.
const USUAL: [f64; 16] =
    [5.0, 6.0, 10.0, 12.0, 15.0, 20.0, 30.0, 60.0, 90.0, 120.0, 180.0, 240.0, 360.0, 480.0, 720.0, 1440.0];
/// No shorter period is of use, seconds: the workers of one burst are there for the next.
const SHORTEST: f64 = 240.0;
/// It is no chance that so many bursts follow each other if fewer than this many would, by chance.
const CHANCE: f64 = 0.01;
/// So many bursts are remembered, for so long, seconds: four nights.
const BURSTS: usize = 96;
const REMEMBERED: f64 = 4.0 * 86_400.0;

/// A burst that is expected, or what is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Due {
    /// In so many seconds it begins, or goes on.
    pub within: f64,
    /// The period, seconds.
    pub every: f64,
    /// The jobs that come in each half minute from then on, beside those that come anyway.
    pub jobs: [f64; AHEAD],
}

impl Due {
    /// How many of them come within so many seconds: those of a part all at its beginning, for they may.
    pub(super) fn jobs_within(&self, seconds: f64) -> f64 {
        let begins = (0u32..).map(|part| self.within + f64::from(part) * PART);
        let parts = begins.zip(self.jobs).take_while(|(begins, _)| *begins <= seconds);
        parts.map(|(_, jobs)| jobs).sum()
    }
}

/// When a burst began at the earliest and at the latest, seconds, and the jobs that came in its parts, beside those that come anyway.
#[derive(Clone, Copy, Debug)]
struct Burst {
    from: f64,
    to: f64,
    jobs: [f64; PARTS],
}

impl Burst {
    /// What is left of the time in which this began if the other began this many seconds before it; `None` if it did not.
    fn narrowed(self, other: &Self, before: f64) -> Option<Self> {
        let from = self.from.max(other.from + before - JITTER);
        let to = self.to.min(other.to + before + JITTER);
        (from <= to).then_some(Self { from, to, ..self })
    }

    /// Whether both may be the same burst.
    fn is_same(&self, other: &Self) -> bool {
        self.from <= other.to + JITTER && other.from <= self.to + JITTER
    }
}

/// A burst that is under way.
#[derive(Clone, Copy, Debug)]
struct Under {
    burst: Burst,
    /// So many parts of it are known.
    known: usize,
    /// The rate before it, jobs per second.
    rate: f64,
}

/// One that is expected, and its period.
#[derive(Clone, Copy, Debug)]
struct Next {
    burst: Burst,
    every: f64,
}

impl Next {
    /// How many of its parts have come, if this is what is under way.
    fn known(&self, now: Option<Under>) -> usize {
        now.filter(|now| now.burst.is_same(&self.burst)).map_or(0, |now| now.known)
    }

    /// Whether it has begun, or may still begin.
    fn may_come(&self, now: Option<Under>, at: f64) -> bool {
        at <= self.burst.to + JITTER || self.known(now) > 0
    }
}

/// The part that is under way.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    jobs: f64,
    seconds: f64,
    /// So many more jobs are foreseen in it.
    foreseen: f64,
}

/// What is remembered of bursts and when they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Periodic {
    /// The first look: times are counted from here.
    first: Option<Timestamp>,
    part: Part,
    now: Option<Under>,
    /// Those that were, the oldest first.
    bursts: VecDeque<Burst>,
    /// Those that are expected.
    next: Vec<Next>,
}

impl Periodic {
    /// So many jobs have come in so many seconds until now, beside which so many come in a second: returns how many of them were
    /// foreseen.
    pub(super) fn observe(&mut self, jobs: f64, seconds: f64, rate: f64, now: Timestamp) -> f64 {
        let at = now.saturating_since(*self.first.get_or_insert(now)).as_secs_f64();
        if self.part.seconds == 0.0 {
            self.part.foreseen = self.foreseen(at - seconds);
        }
        let part = &mut self.part;
        let foreseen = (jobs - rate * seconds).clamp(0.0, part.foreseen);
        *part = Part {
            jobs: part.jobs + jobs,
            seconds: part.seconds + seconds,
            foreseen: part.foreseen - foreseen,
        };
        // Looks are not quite as regular as planned.
        if part.seconds >= PART - 0.5 {
            let part = std::mem::take(part);
            self.end(&part, rate, at);
        }
        foreseen
    }

    /// How many jobs are foreseen in the part that begins now.
    fn foreseen(&self, at: f64) -> f64 {
        let next = self.first_within(PART + JITTER, at);
        next.map_or(0.0, |next| next.burst.jobs[next.known(self.now)])
    }

    /// The first burst that begins within so many seconds, or has begun.
    fn first_within(&self, seconds: f64, at: f64) -> Option<&Next> {
        let soon = |next: &&Next| at + seconds >= next.burst.from && next.may_come(self.now, at);
        self.next.iter().filter(soon).min_by(|a, b| a.burst.from.total_cmp(&b.burst.from))
    }

    /// A part has ended.
    fn end(&mut self, part: &Part, rate: f64, at: f64) {
        let Part { jobs, seconds, .. } = *part;
        let under = self.now.take().unwrap_or_else(|| {
            let burst = Burst { from: at - seconds, to: at, jobs: [0.0; PARTS] };
            Under { burst, known: 0, rate }
        });
        let Under { mut burst, known, rate } = under;
        let is_much = is_much(jobs, rate * seconds);
        if is_much {
            burst.jobs[known] = jobs - rate * seconds;
        }
        if is_much && known + 1 < PARTS {
            self.now = Some(Under { burst, known: known + 1, rate });
        } else if known > 0 || is_much {
            self.learn(burst);
        }
        let now = self.now;
        self.next.retain(|next| next.may_come(now, at));
    }

    /// What comes from here on has nothing to do with what was just before.
    pub(super) fn pause(&mut self) {
        (self.part, self.now) = (Part::default(), None);
    }

    fn learn(&mut self, burst: Burst) {
        self.next.retain(|next| !next.burst.is_same(&burst));
        let last = self.bursts.back().map(|before| burst.from - before.from);
        let periods = USUAL.map(|minutes| minutes * 60.0).into_iter().chain(last);
        for every in periods.filter(|every| *every >= SHORTEST) {
            let Some(next) = self.follow(burst, every) else { continue };
            // More than one timer may tell of the same burst: whichever tells of more is taken, or the shorter one.
            let total = |next: &Next| next.burst.jobs.iter().sum::<f64>();
            let is_same = |other: &Next| other.burst.is_same(&next.burst);
            if !self.next.iter().any(|other| is_same(other) && total(other) > total(&next)) {
                self.next.retain(|other| !is_same(other));
                self.next.push(next);
            }
        }
        self.bursts.push_back(burst);
        while self.bursts.len() > BURSTS
            || self.bursts.front().is_some_and(|b| burst.from - b.from > REMEMBERED)
        {
            self.bursts.pop_front();
        }
    }

    /// The burst that follows this one if they come in such a period and that is no chance.
    fn follow(&self, burst: Burst, every: f64) -> Option<Next> {
        let oldest = self.bursts.front()?.from;
        let often = self.bursts.len() as f64 / (burst.from - oldest + every);
        let (mut narrowed, mut jobs, mut found) = (burst, burst.jobs, 1.0);
        // As many as would be found by chance for all periods together.
        let mut by_chance = (USUAL.len() + 1) as f64;
        let mut before = every;
        while by_chance > CHANCE || found < 3.0 {
            let (after, burst) = self
                .bursts
                .iter()
                .rev()
                .find_map(|other| narrowed.narrowed(other, before).map(|narrowed| (narrowed, other)))?;
            by_chance *=
                (often * (burst.to - burst.from + narrowed.to - narrowed.from + 2.0 * JITTER)).min(1.0);
            narrowed = after;
            jobs.iter_mut().zip(burst.jobs).for_each(|(sum, jobs)| *sum += jobs);
            found += 1.0;
            before += every;
        }
        let (from, to) = (narrowed.from + every, narrowed.to + every);
        Some(Next { burst: Burst { from, to, jobs: jobs.map(|sum| sum / found) }, every })
    }

    /// The burst that is due within so many seconds, or what is left of it.
    pub(super) fn due(&self, seconds: f64, now: Timestamp) -> Option<Due> {
        let at = now.saturating_since(self.first?).as_secs_f64();
        let next = self.first_within(seconds, at)?;
        let Next { burst, every } = next;
        let mut jobs = [0.0; AHEAD];
        let to_come = &burst.jobs[next.known(self.now)..];
        jobs.iter_mut().zip(to_come).for_each(|(due, jobs)| *due = *jobs);
        // It may begin at any moment once it might have; and what is left of it goes on.
        (jobs[0] > 0.0).then_some(Due { within: (burst.from - at).max(0.0), every: *every, jobs })
    }
}

/// Whether so many jobs are far more than were expected.
fn is_much(jobs: f64, expected: f64) -> bool {
    jobs - expected > (MUCH.0 * expected).max(MUCH.1 * expected.sqrt()).max(MUCH.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told after so many hours of a job a second where `burst` says how many more come in a second, looked at every 30 s.
    fn after(hours: u64, burst: impl Fn(u64) -> f64) -> Periodic {
        let mut periodic = Periodic::default();
        look(&mut periodic, 0..hours * 3600, burst);
        periodic
    }

    /// The jobs that were foreseen.
    fn look(periodic: &mut Periodic, seconds: std::ops::Range<u64>, burst: impl Fn(u64) -> f64) -> f64 {
        let looks = seconds.step_by(30).map(|from| {
            let jobs = (from..from + 30).map(|second| 1.0 + burst(second)).sum();
            periodic.observe(jobs, 30.0, 1.0, at(from + 30))
        });
        looks.sum()
    }

    fn at(second: u64) -> Timestamp {
        Timestamp::from_unix_seconds(1_000_000 + second)
    }

    /// Two minutes of ten jobs a second, 17 minutes past each hour.
    fn hourly(second: u64) -> f64 {
        if (1020..1140).contains(&(second % 3600)) { 10.0 } else { 0.0 }
    }

    #[test]
    fn what_came_three_times_by_the_clock_is_due() {
        assert_eq!(after(2, hourly).due(3600.0, at(2 * 3600)), None, "twice may be chance");
        let due = after(3, hourly).due(1020.0, at(3 * 3600)).expect("three times is none");
        assert_eq!(due.every, 3600.0);
        assert!((980.0..=1020.0).contains(&due.within), "{due:?}");
        assert_eq!(due.jobs, [300.0, 300.0, 300.0, 300.0, 0.0, 0.0, 0.0]);
        assert_eq!(due.jobs_within(due.within - 1.0), 0.0);
        assert_eq!(due.jobs_within(due.within + 40.0), 600.0);
        assert_eq!(after(3, hourly).due(900.0, at(3 * 3600)), None, "it is too early to start anybody");
    }

    #[test]
    fn it_is_told_what_was_foreseen_and_what_is_left_of_it() {
        let mut periodic = after(3, hourly);
        let start = 3 * 3600;
        assert_eq!(look(&mut periodic, start..start + 1020, hourly), 0.0);
        assert_eq!(look(&mut periodic, start + 1020..start + 1080, hourly), 600.0);
        let left = periodic.due(0.0, at(start + 1080)).expect("half of it is to come");
        assert_eq!((left.within, left.jobs[..3].to_vec()), (0.0, vec![300.0, 300.0, 0.0]));
        assert_eq!(look(&mut periodic, start + 1080..start + 1140, |second| 2.0 * hourly(second)), 600.0);
        look(&mut periodic, start + 1140..start + 1200, hourly);
        assert_eq!(periodic.due(60.0, at(start + 1200)), None, "it is over");
        assert!(periodic.due(3600.0, at(start + 1200)).is_some(), "the next one is in an hour");
    }

    #[test]
    fn one_that_stays_away_is_not_waited_for() {
        let mut periodic = after(3, hourly);
        let start = 3 * 3600;
        look(&mut periodic, start..start + 1080, |_| 0.0);
        assert_eq!(periodic.due(3600.0, at(start + 1080)), None);
    }

    #[test]
    fn two_timers_are_told_apart() {
        let quarter = |second: u64| if second % 900 < 30 { 2.0 } else { 0.0 };
        let periodic = after(5, |second| hourly(second) + quarter(second));
        let due = periodic.due(900.0, at(5 * 3600)).expect("one is due in a minute");
        assert_eq!(due.every, 900.0);
        let mut later = periodic.clone();
        look(&mut later, 5 * 3600..5 * 3600 + 960, quarter);
        let due = later.due(60.0, at(5 * 3600 + 960)).expect("the other is due in a minute");
        assert_eq!((due.every, due.jobs[0]), (3600.0, 300.0));
    }

    /// Bursts at any time, 15 an hour: of a day of them hardly any is foreseen.
    #[test]
    fn bursts_by_chance_are_no_timer() {
        let mut hash = 1_u64;
        let begins: Vec<u64> = (0..360)
            .map(|_| {
                hash = hash.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (hash >> 33) % 86_400
            })
            .collect();
        let burst = |second: u64| {
            if begins.iter().any(|begin| (*begin..begin + 30).contains(&second)) { 5.0 } else { 0.0 }
        };
        let foreseen = look(&mut Periodic::default(), 0..86_400, burst);
        assert!(foreseen < 0.05 * 360.0 * 150.0, "{foreseen}");
    }
}
