//! A policy that was published with its formulas and results: the floor to beat.
//!
//! A rate and a dispersion followed over time; a look ahead at what the workers, those that boot included, can do by when. Its
//! numbers are kept as they were published.

use guv_model::simulation::Scaler;
use guv_model::{Observation, Timestamp};

/// Seconds that are kept for a job itself and for what is seen late.
const MARGIN: f64 = 26.0;
/// Seconds that a start is taken to last.
const BOOT: f64 = 55.0;
/// Deviations that count when workers are added and taken away.
const UP: f64 = 0.0;
const DOWN: f64 = 1.5;
/// More workers are never asked for.
const MAXIMUM: u32 = 1000;

#[derive(Debug)]
pub(crate) struct Prototype {
    deadline: f64,
    service: f64,
    variation: f64,
    minimum: u32,
    rate: f64,
    dispersion: f64,
    peak: f64,
    age: f64,
    held: f64,
    completed: f64,
    last: Option<f64>,
    starts: Vec<(f64, u32)>,
}

impl Prototype {
    pub(crate) fn new(deadline: f64, service: f64, variation: f64, minimum: u32) -> Self {
        Self {
            deadline,
            service,
            variation,
            minimum,
            rate: 0.0,
            dispersion: 1.0,
            peak: 0.0,
            age: 0.0,
            held: 0.0,
            completed: 0.0,
            last: None,
            starts: Vec::new(),
        }
    }

    fn need(&self, z: f64, now: f64, seen: &Seen) -> u32 {
        let s = self.learnt();
        let lag = MARGIN;
        let slack = (self.deadline - lag).max(1.0);
        let least = self.minimum.max((0.5 * self.peak * s / slack).ceil() as u32);
        let mut n = least;
        while n < MAXIMUM && !self.suffices(n, z, now, seen, s) {
            n += 1;
        }
        n
    }

    fn suffices(&self, n: u32, z: f64, now: f64, seen: &Seen, s: f64) -> bool {
        let v2 = 1.0 + self.variation * self.variation;
        let base = seen.ready * s + 0.5 * seen.unacknowledged * s * v2;
        let d = self.deadline - MARGIN;
        let going_up = n >= seen.current;
        let ok = |x: f64, volume: f64| {
            if going_up && x - BOOT < 10.0 {
                return true;
            }
            self.capacity(n, x, now, seen) >= volume
        };
        for step in 0..=10 {
            let h = f64::from(step) * 12.0;
            let l = self.rate;
            let noise = (l * h * v2 * self.dispersion + (l * h) * (l * h) / (300.0 * l).max(1.0)).sqrt();
            if !ok(h + d, base + l * h * s + z * s * noise) {
                return false;
            }
        }
        if seen.ready > 0.0 {
            for y in [1.0, 0.5] {
                if !ok(d - y * seen.oldest, base - y * seen.ready * s) {
                    return false;
                }
            }
        }
        true
    }

    fn capacity(&self, n: u32, x: f64, now: f64, seen: &Seen) -> f64 {
        let up = n.min(seen.up);
        let mut total = f64::from(up) * x.max(0.0);
        let mut left = n - up;
        for &(at, count) in &self.starts {
            let kept = left.min(count);
            left -= kept;
            let wait = (BOOT - (now - at)).max(2.0);
            total += f64::from(kept) * (x - wait).max(0.0);
        }
        total + f64::from(left) * (x - BOOT).max(0.0)
    }

    fn learnt(&self) -> f64 {
        (self.held + 20.0 * self.service) / (self.completed + 20.0)
    }
}

struct Seen {
    ready: f64,
    unacknowledged: f64,
    oldest: f64,
    current: u32,
    up: u32,
}

impl Scaler for Prototype {
    fn decide(&mut self, observation: &Observation, now: Timestamp) -> Option<u32> {
        let now = now.as_duration().as_secs_f64();
        let queue = &observation.queue;
        let workers = observation.workers?;
        let booting = workers.booting.unwrap_or(0);
        let seen = Seen {
            ready: queue.ready? as f64,
            unacknowledged: queue.unacknowledged? as f64,
            oldest: queue.oldest.map_or(0.0, |age| age.as_secs_f64()),
            current: workers.current,
            up: workers.current - booting,
        };
        // Only the newest starts can be booting still.
        let mut left = booting;
        let mut kept = Vec::new();
        for &(at, count) in self.starts.iter().rev() {
            let count = count.min(left);
            left -= count;
            if count > 0 {
                kept.push((at, count));
            }
        }
        kept.reverse();
        self.starts = kept;
        if let Some(before) = self.last {
            let dt = now - before;
            let a = queue.fill_rate? * dt;
            let g = dt / (self.age + dt);
            let e = (self.rate * dt).max(0.3);
            let chi = ((a - e) * (a - e) / e).min(30.0);
            self.dispersion += (dt / 1800.0_f64).max(g) * (chi - self.dispersion);
            self.dispersion = self.dispersion.max(1.0);
            self.rate += (1.0 - (-dt / 300.0_f64).exp()).max(g) * (a / dt - self.rate);
            self.peak = (self.peak * (-dt / 3600.0).exp()).max(seen.ready + seen.unacknowledged);
            let fade = (-dt / 3600.0).exp();
            self.held = self.held * fade + seen.unacknowledged * dt;
            self.completed = self.completed * fade + queue.drain_rate? * dt;
            self.age += dt;
        }
        self.last = Some(now);
        let up = self.need(UP, now, &seen);
        let target = if up > seen.current { up } else { self.need(DOWN, now, &seen).min(seen.current) };
        if target > seen.current {
            self.starts.push((now, target - seen.current));
        }
        (target != seen.current).then_some(target)
    }
}
