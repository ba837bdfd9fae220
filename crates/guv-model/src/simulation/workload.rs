//! The jobs of a simulation: when they arrive, and how long each takes.
//!
//! Arrivals and services are drawn beforehand, from streams of their own, so that every policy meets the very same jobs.

use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, LogNormal, Poisson};
use rand_pcg::Pcg64Mcg;

/// Jobs in the order of their arrival.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workload {
    /// When each job arrives, seconds since the start; never decreasing.
    pub arrivals: Vec<f64>,
    /// How long each job takes, seconds; as many as there are arrivals.
    pub services: Vec<f64>,
    /// How long the trace is, seconds. No job arrives later.
    pub length: f64,
}

/// How many jobs arrive in each of equally long bins.
#[derive(Clone, Debug, PartialEq)]
pub struct Counts {
    /// Seconds of a bin.
    pub bin: f64,
    /// Arrivals in each.
    pub arrivals: Vec<u32>,
}

/// How long jobs take: lognormal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Service {
    /// Seconds.
    pub mean: f64,
    /// Standard deviation ÷ mean.
    pub variation: f64,
}

/// What a stream of random numbers is for. Streams are independent, so that one more draw in one changes no other.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    Arrivals,
    Services,
    Boots,
    Staleness,
    Failures,
}

impl Stream {
    pub(super) fn seeded(self, seed: u64) -> Pcg64Mcg {
        Pcg64Mcg::seed_from_u64(seed.wrapping_mul(16).wrapping_add(self as u64))
    }
}

impl Counts {
    /// Jobs at an offered `load` (Erlang: mean rate × mean service).
    ///
    /// Each counted arrival is kept with probability load ÷ (mean service × mean rate), at a uniform instant of its bin. Above
    /// the trace's own rate that cannot be: then each bin has a Poisson number of them, at the scaled rate.
    pub fn workload(&self, load: f64, service: Service, seed: u64) -> Workload {
        let (mut arrivals_of, mut services_of) =
            (Stream::Arrivals.seeded(seed), Stream::Services.seeded(seed));
        let length = self.bin * self.arrivals.len() as f64;
        let total: f64 = self.arrivals.iter().map(|&n| f64::from(n)).sum();
        let scale = load * length / (service.mean * total);
        let mut arrivals = Vec::new();
        for (index, &count) in self.arrivals.iter().enumerate() {
            let start = index as f64 * self.bin;
            let kept = if scale <= 1.0 {
                (0..count).filter(|_| arrivals_of.random_bool(scale)).count()
            } else if count == 0 {
                0
            } else {
                let rate = f64::from(count) * scale;
                Poisson::new(rate).map_or(0, |poisson| poisson.sample(&mut arrivals_of) as usize)
            };
            let first = arrivals.len();
            arrivals.extend((0..kept).map(|_| start + self.bin * arrivals_of.random::<f64>()));
            arrivals[first..].sort_by(f64::total_cmp);
        }
        let services = arrivals.iter().map(|_| service.draw(&mut services_of)).collect();
        Workload { arrivals, services, length }
    }
}

impl Service {
    fn draw(self, random: &mut Pcg64Mcg) -> f64 {
        if self.variation <= 0.0 {
            return self.mean;
        }
        // Of a lognormal: variance of the logarithm ln(1 + variation²), its mean less half of that.
        let variance = (1.0 + self.variation * self.variation).ln();
        let logarithm = LogNormal::new(self.mean.ln() - variance / 2.0, variance.sqrt());
        logarithm.map_or(self.mean, |lognormal| lognormal.sample(random))
    }
}

impl Workload {
    /// Jobs that arrive at a rate which changes with time, as a Poisson process: `rate` gives jobs per second at a time, never
    /// more than `highest`.
    pub fn poisson(
        length: f64,
        highest: f64,
        rate: impl Fn(f64) -> f64,
        service: Service,
        seed: u64,
    ) -> Self {
        let (mut random, mut services_of) = (Stream::Arrivals.seeded(seed), Stream::Services.seeded(seed));
        let mut arrivals = Vec::new();
        let mut now = 0.0;
        // Thinning (Lewis and Shedler 1979): candidates at the highest rate, each kept in proportion to the rate then.
        loop {
            now -= (1.0 - random.random::<f64>()).ln() / highest;
            if now >= length {
                break;
            }
            if random.random::<f64>() * highest < rate(now) {
                arrivals.push(now);
            }
        }
        let services = arrivals.iter().map(|_| service.draw(&mut services_of)).collect();
        Self { arrivals, services, length }
    }

    /// The same jobs so many seconds later.
    pub fn later(&self, seconds: f64) -> Self {
        let arrivals = self.arrivals.iter().map(|arrival| arrival + seconds).collect();
        Self { arrivals, services: self.services.clone(), length: self.length + seconds }
    }

    /// How many jobs there are.
    pub fn len(&self) -> usize {
        self.arrivals.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.arrivals.is_empty()
    }
}
