//! The run: events in the order of time.
//!
//! First in, first out; a job that was started is not interrupted but by the kill of its worker, after which it goes back to the
//! front. A worker costs from the request for it to its exit.
//!
//! Invariant: every job is in exactly one of: not yet arrived, queue, one worker, finished.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use super::setup::{Platform, Tells, Watch, lies_in};
use super::workload::{Stream, Workload};
use super::{Outcome, Point, Scaler, Woken};
use crate::{Activity, JobReports, Observation, QueueSample, Timestamp, WorkerCount};

/// When simulated time begins, Unix seconds: any will do, but zero is no time to a policy.
const EPOCH: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Ready,
    Finished { job: u32 },
    Exit,
    Kill,
}

/// Something that happens to a worker. Times are non-negative, so that their bits are in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at: u64,
    worker: u32,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Booting,
    Up,
    Draining,
    Gone,
}

#[derive(Clone, Debug)]
struct Worker {
    phase: Phase,
    requested: f64,
    gone: f64,
    jobs: Vec<u32>,
}

pub(super) struct Engine<'a> {
    workload: &'a Workload,
    platform: &'a Platform,
    watch: &'a Watch,
    boots: Pcg64Mcg,
    staleness: Pcg64Mcg,
    failures: Pcg64Mcg,
    events: BinaryHeap<Reverse<Event>>,
    workers: Vec<Worker>,
    /// Those asked for and not told to stop, oldest first.
    current: Vec<u32>,
    /// A worker for each free slot, in the order of getting free; some of them may have been told to stop since.
    free: VecDeque<u32>,
    queue: VecDeque<u32>,
    arrived: usize,
    started: u64,
    finished: Vec<f64>,
    done: u64,
    in_hand: u64,
    killed: u64,
    operations: u64,
    refused: u64,
    last: Looked,
    /// What was last looked at, or is about to be; and when, seconds.
    activity: Activity,
    woken: f64,
    points: Vec<Point>,
}

/// What was counted at the last look.
#[derive(Clone, Copy, Debug, Default)]
struct Looked {
    at: f64,
    arrived: usize,
    done: u64,
}

impl<'a> Engine<'a> {
    pub(super) fn new(workload: &'a Workload, platform: &'a Platform, watch: &'a Watch, seed: u64) -> Self {
        Self {
            workload,
            platform,
            watch,
            boots: Stream::Boots.seeded(seed),
            staleness: Stream::Staleness.seeded(seed),
            failures: Stream::Failures.seeded(seed),
            events: BinaryHeap::new(),
            workers: Vec::new(),
            current: Vec::new(),
            free: VecDeque::new(),
            queue: VecDeque::new(),
            arrived: 0,
            started: 0,
            finished: vec![f64::INFINITY; workload.len()],
            done: 0,
            in_hand: 0,
            killed: 0,
            operations: 0,
            refused: 0,
            last: Looked::default(),
            activity: Activity::default(),
            woken: f64::INFINITY,
            points: Vec::new(),
        }
    }

    /// Runs with `initial` workers that are up at the start, until the trace ends.
    pub(super) fn run(mut self, scaler: &mut dyn Scaler, initial: u32) -> Outcome {
        for _ in 0..initial {
            let worker = self.request(0.0);
            self.ready(worker, 0.0);
        }
        let mut decide = self.watch.interval;
        let mut look = decide - self.watch.age(&mut self.staleness);
        loop {
            self.advance(look.min(self.workload.length));
            let woken = self.woken;
            if woken < look && woken <= self.workload.length {
                self.woken = f64::INFINITY;
                let observation = self.observe(woken);
                let Woken { target, look_again } = scaler.woken(&observation, timestamp(woken));
                if let Some(after) = look_again {
                    self.woken = woken + after.as_secs_f64();
                }
                self.ask(scaler, target, woken);
                continue;
            }
            if decide > self.workload.length {
                break;
            }
            let queue = self.observe(look).queue;
            self.advance(decide);
            let observation =
                Observation { queue, workers: Some(self.count_workers()), ..Observation::default() };
            let target = scaler.decide(&observation, timestamp(decide));
            self.ask(scaler, target, decide);
            decide += self.watch.interval;
            look = decide - self.watch.age(&mut self.staleness);
        }
        self.advance(self.workload.length);
        self.outcome()
    }

    fn ask(&mut self, scaler: &mut dyn Scaler, target: Option<u32>, now: f64) {
        match target.map(|target| target.min(self.platform.limit)) {
            Some(_) if lies_in(self.platform.refuses, now) => self.refused += 1,
            Some(target) => {
                self.scale(target, now);
                scaler.accepted(target, timestamp(now));
            }
            None => {}
        }
        self.note(now);
    }

    /// Lets everything happen up to `until`, or to a look that a change brings about before.
    fn advance(&mut self, until: f64) {
        loop {
            let until = until.min(self.woken);
            let event = self.events.peek().map_or(f64::INFINITY, |event| f64::from_bits(event.0.at));
            let arrival = self.workload.arrivals.get(self.arrived).copied().unwrap_or(f64::INFINITY);
            if event.min(arrival) > until {
                return;
            }
            if arrival < event {
                self.queue.push_back(self.arrived as u32);
                self.arrived += 1;
                self.dispatch(arrival);
            } else if let Some(Reverse(happened)) = self.events.pop() {
                self.happen(happened, event);
            }
            self.wake(event.min(arrival));
        }
    }

    /// Sees to it that a change is looked at.
    fn wake(&mut self, now: f64) {
        let Some(reaction) = self.watch.reaction else { return };
        let activity = Activity::of(&self.jobs());
        if activity.wakes(std::mem::replace(&mut self.activity, activity)) {
            self.woken = self.woken.min(now + reaction);
        }
    }

    fn happen(&mut self, event: Event, now: f64) {
        let index = event.worker as usize;
        match (event.what, self.workers[index].phase) {
            (_, Phase::Gone) => {}
            (What::Ready, Phase::Booting) if self.fails() => {
                self.current.retain(|worker| *worker != event.worker);
                self.leave(event.worker, now);
            }
            (What::Ready, Phase::Booting) => self.ready(event.worker, now),
            (What::Ready, _) => {}
            (What::Finished { job }, phase) => {
                self.workers[index].jobs.retain(|held| *held != job);
                self.finished[job as usize] = now;
                self.done += 1;
                self.in_hand -= 1;
                if phase == Phase::Up {
                    self.free.push_back(event.worker);
                    self.dispatch(now);
                } else if self.workers[index].jobs.is_empty() {
                    self.leave(event.worker, now);
                }
            }
            (What::Exit, _) => self.leave(event.worker, now),
            (What::Kill, _) => {
                let mut jobs = std::mem::take(&mut self.workers[index].jobs);
                self.killed += jobs.len() as u64;
                self.in_hand -= jobs.len() as u64;
                jobs.sort_unstable();
                jobs.iter().rev().for_each(|job| self.queue.push_front(*job));
                self.leave(event.worker, now);
                self.dispatch(now);
            }
        }
    }

    /// Gives waiting jobs to free slots.
    fn dispatch(&mut self, now: f64) {
        while !self.queue.is_empty() {
            let Some(worker) = self.free.pop_front() else { return };
            if self.workers[worker as usize].phase != Phase::Up {
                continue;
            }
            let Some(job) = self.queue.pop_front() else { return };
            self.workers[worker as usize].jobs.push(job);
            self.started += 1;
            self.in_hand += 1;
            self.schedule(now + self.workload.services[job as usize], worker, What::Finished { job });
        }
    }

    fn schedule(&mut self, at: f64, worker: u32, what: What) {
        self.events.push(Reverse(Event { at: at.to_bits(), worker, what }));
    }

    fn request(&mut self, now: f64) -> u32 {
        let worker = self.workers.len() as u32;
        let jobs = Vec::with_capacity(self.platform.concurrency as usize);
        self.workers.push(Worker { phase: Phase::Booting, requested: now, gone: f64::INFINITY, jobs });
        self.current.push(worker);
        worker
    }

    fn ready(&mut self, worker: u32, now: f64) {
        self.workers[worker as usize].phase = Phase::Up;
        self.free.extend((0..self.platform.concurrency).map(|_| worker));
        self.dispatch(now);
    }

    /// Whether the next start fails.
    fn fails(&mut self) -> bool {
        self.platform.failing > 0.0 && self.failures.random_bool(self.platform.failing.min(1.0))
    }

    fn leave(&mut self, worker: u32, now: f64) {
        self.workers[worker as usize].phase = Phase::Gone;
        self.workers[worker as usize].gone = now;
    }

    fn scale(&mut self, target: u32, now: f64) {
        let target = target as usize;
        self.operations += u64::from(target != self.current.len());
        while self.current.len() < target {
            let worker = self.request(now);
            let boot = self.platform.boot.draw(&mut self.boots);
            self.schedule(now + boot, worker, What::Ready);
        }
        if self.current.len() > target && self.platform.idle_first {
            // Stable, so that among equals the newest stay last.
            let workers = &self.workers;
            self.current.sort_by_key(|&worker| {
                let worker = &workers[worker as usize];
                // Nothing is lost by stopping one that boots or idles; of these the booting ones are of no use yet.
                match (worker.phase, worker.jobs.len()) {
                    (Phase::Booting, _) => 2,
                    (_, 0) => 1,
                    _ => 0,
                }
            });
        }
        for worker in self.current.split_off(target.min(self.current.len())) {
            self.stop(worker, now);
        }
        if self.platform.idle_first {
            self.current.sort_unstable();
        }
    }

    fn stop(&mut self, worker: u32, now: f64) {
        let index = worker as usize;
        self.workers[index].phase = Phase::Draining;
        if self.workers[index].jobs.is_empty() {
            self.schedule(now + self.platform.idle_stop, worker, What::Exit);
        } else {
            self.schedule(now + self.platform.grace, worker, What::Kill);
        }
    }

    fn observe(&mut self, now: f64) -> Observation {
        let queue = if lies_in(self.watch.blind, now) { QueueSample::default() } else { self.look(now) };
        Observation { queue, workers: Some(self.count_workers()), ..Observation::default() }
    }

    /// What is told of the queue.
    fn look(&mut self, now: f64) -> QueueSample {
        let gap = now - self.last.at;
        let rate = |jobs: f64| (gap > 0.0).then_some(jobs / gap);
        let fill_rate = rate((self.arrived - self.last.arrived) as f64);
        let drain_rate = rate((self.done - self.last.done) as f64);
        self.last = Looked { at: now, arrived: self.arrived, done: self.done };
        let oldest = self.queue.front().map(|&job| now - self.workload.arrivals[job as usize]);
        let oldest = Some(oldest.map_or(Duration::ZERO, Duration::from_secs_f64));
        let jobs = self.jobs();
        match self.watch.tells {
            Tells::All => QueueSample {
                reports: Some(JobReports { started: self.started, finished: self.done }),
                fill_rate,
                drain_rate,
                published: Some(self.arrived as u64),
                acknowledged: Some(self.done),
                oldest,
                ..jobs
            },
            Tells::Jobs => QueueSample { oldest, ..jobs },
            Tells::Ready => QueueSample { unacknowledged: None, ..jobs },
        }
    }

    fn jobs(&self) -> QueueSample {
        QueueSample {
            ready: Some(self.queue.len() as u64),
            unacknowledged: Some(self.in_hand),
            ..QueueSample::default()
        }
    }

    fn count_workers(&self) -> WorkerCount {
        let count = |phase| self.workers.iter().rev().filter(|worker| worker.phase == phase).count() as u32;
        let of_current = |test: &dyn Fn(&Worker) -> bool| {
            self.current.iter().filter(|&&worker| test(&self.workers[worker as usize])).count() as u32
        };
        WorkerCount {
            current: self.current.len() as u32,
            booting: Some(of_current(&|worker| worker.phase == Phase::Booting)),
            draining: Some(count(Phase::Draining)),
            busy: Some(of_current(&|worker| !worker.jobs.is_empty())),
            drains: false,
            idle_first: self.platform.idle_first,
        }
    }

    fn note(&mut self, now: f64) {
        let up =
            self.current.iter().filter(|&&worker| self.workers[worker as usize].phase == Phase::Up).count();
        self.points.push(Point {
            at: now,
            waiting: self.queue.len() as u32,
            in_hand: self.in_hand as u32,
            workers: self.current.len() as u32,
            up: up as u32,
        });
    }

    fn outcome(self) -> Outcome {
        Outcome {
            finished: self.finished,
            lives: self.workers.iter().map(|worker| (worker.requested, worker.gone)).collect(),
            operations: self.operations,
            refused: self.refused,
            killed: self.killed,
            points: self.points,
        }
    }
}

fn timestamp(seconds: f64) -> Timestamp {
    Timestamp::from_unix_seconds(EPOCH) + Duration::from_secs_f64(seconds)
}
