//! What the best policy that knows the future would have to pay: lower bounds.
//!
//! Work is taken for a fluid here, which may be split and interrupted, and boot and stop for no more than their shortest; both
//! only make the clairvoyant better. A job j that arrives at r and takes s has to be done by r + max(deadline, s).

use crate::simulation::Workload;

/// What a clairvoyant is up against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clairvoyant {
    /// Seconds from the arrival of a job to when it has to be done.
    pub deadline: f64,
    /// Jobs that a worker processes at once.
    pub concurrency: u32,
    /// Worker-seconds paid for each start: the shortest boot and stop.
    pub start: f64,
    /// Only jobs that arrive from then on count; so many workers as are wanted are up at that time.
    pub from: f64,
}

/// The length of a bin, seconds.
const BIN: f64 = 5.0;
/// So many units of cost are a second.
const UNITS: u32 = 4;
/// The highest price of a second of work that is not done, in units.
const DEAREST: u32 = 1 << 12;
/// No way.
const NEVER: u32 = u32::MAX / 2;

impl Clairvoyant {
    /// The fewest worker-seconds that do all jobs in time, by a dynamic program over (workers, work done).
    ///
    /// In bins of 5 s and quanta of 1 s of work: what has arrived is rounded up, what is due down, and a start costs two bins less
    /// than it would, so that the result is a bound for continuous time too. F(N, P) is the least cost with N workers and P done;
    /// in each bin, workers are added at the price of a start each or taken away for nothing, then min(arrived, P + bin·c·N)
    /// is done, which must be at least what is due.
    pub fn integer_bound(&self, workload: &Workload) -> f64 {
        Bins::of(workload, self).map_or(0.0, |bins| self.least_cost(&bins, None))
    }

    /// The same where a share of the jobs may be `late`, such as 0.01. Only this bounds policies that are not always in time.
    ///
    /// Work that is due and not done is lifted to what is due, at a price μ for each second, and what the ⌊late·n⌋ largest jobs would cost
    /// at that price is taken off again: max over μ of F(μ) − μ·L. Each μ gives a bound, and one close to the best is found.
    pub fn integer_bound_with_late(&self, workload: &Workload, late: f64) -> f64 {
        let Some(bins) = Bins::of(workload, self) else { return 0.0 };
        let first = workload.arrivals.partition_point(|&arrival| arrival < self.from);
        let mut services = workload.services[first..].to_vec();
        services.sort_by(|one, other| other.total_cmp(one));
        // A share that was counted gives the count again.
        let count = (late * services.len() as f64 + 1e-6) as usize;
        let forgiven = services[..count].iter().fold(0.0, |sum, service| sum + service);
        let bound =
            |price| self.least_cost(&bins, Some(price)) - f64::from(price) / f64::from(UNITS) * forgiven;
        // It is concave in the price: doubled until it falls, then looked at once more on both sides.
        let (mut best, mut at) = (0.0, 1);
        let mut price = 1;
        while price <= DEAREST {
            let here = bound(price);
            if here < best {
                break;
            }
            (best, at) = (here, price);
            price *= 2;
        }
        [at * 3 / 4, at * 3 / 2].into_iter().map(bound).fold(best, f64::max)
    }

    /// The dynamic program. With a `price`, in units a second, work that is due may be left undone for it.
    fn least_cost(&self, bins: &Bins, price: Option<u32>) -> f64 {
        let start = ((self.start - 2.0 * BIN).max(0.0) * f64::from(UNITS)) as u32;
        let speed = (BIN * f64::from(self.concurrency)) as usize;
        let most = bins.most_workers(speed);
        let width = bins.width();
        let mut cost = vec![vec![NEVER; width]; most + 1];
        let mut next = cost.clone();
        cost.iter_mut().for_each(|row| row[0] = 0);
        let mut down = vec![NEVER; width];
        let mut done = 0;
        let mut filled = 1;
        for (&arrived, &due) in bins.arrived.iter().zip(&bins.due) {
            // Workers taken away cost nothing: the least of all rows from here on.
            let mut cheapest_above = std::mem::take(&mut next);
            down[..filled].fill(NEVER);
            for workers in (0..=most).rev() {
                for (least, &here) in down[..filled].iter_mut().zip(&cost[workers][..filled]) {
                    *least = (*least).min(here);
                }
                cheapest_above[workers][..filled].copy_from_slice(&down[..filled]);
            }
            // Workers added cost a start each.
            for workers in 1..=most {
                let (fewer, these) = cost.split_at_mut(workers);
                for (here, &below) in these[0][..filled].iter_mut().zip(&fewer[workers - 1][..filled]) {
                    *here = (*here).min(below + start);
                }
            }
            for (row, above) in cost.iter_mut().zip(&cheapest_above) {
                for (here, &above) in row[..filled].iter_mut().zip(&above[..filled]) {
                    *here = (*here).min(above);
                }
            }
            next = cheapest_above;
            let now_filled = arrived - due + 1;
            for (workers, (from, to)) in cost.iter().zip(&mut next).enumerate() {
                to[..now_filled].fill(NEVER);
                let paid = workers as u32 * (BIN as u32) * UNITS;
                let shift = done + workers * speed;
                // Those that would do less than is due pay for it or are out; those that could do more than has arrived do just that.
                let first = due.saturating_sub(shift).min(filled);
                let full = (arrived.saturating_sub(shift)).min(filled).max(first);
                if full > first {
                    let into = first + shift - due;
                    let part = &mut to[into..into + full - first];
                    for (to, &from) in part.iter_mut().zip(&from[first..full]) {
                        *to = from + paid;
                    }
                }
                if let Some(&least) = from[full..filled].iter().min() {
                    to[now_filled - 1] = to[now_filled - 1].min(least + paid);
                }
                if let Some(price) = price {
                    let lifted = from[..first].iter().zip(shift..);
                    let least = lifted.map(|(&from, done)| from + paid + price * (due - done) as u32).min();
                    to[0] = to[0].min(least.unwrap_or(NEVER));
                }
                to[..now_filled].iter_mut().for_each(|cost| *cost = (*cost).min(NEVER));
            }
            std::mem::swap(&mut cost, &mut next);
            (done, filled) = (due, now_filled);
        }
        let least = cost.iter().flat_map(|row| &row[..filled]).min().copied().unwrap_or(0);
        f64::from(least) / f64::from(UNITS)
    }

    /// The work of all jobs, seconds, over the concurrency: no policy pays less.
    pub fn work(&self, workload: &Workload) -> f64 {
        let first = workload.arrivals.partition_point(|&arrival| arrival < self.from);
        workload.services[first..].iter().fold(0.0, |sum, s| sum + s) / f64::from(self.concurrency)
    }
}

/// For each bin, the work that has arrived and the work that is due by its end, in seconds.
struct Bins {
    arrived: Vec<usize>,
    due: Vec<usize>,
}

impl Bins {
    fn of(workload: &Workload, clairvoyant: &Clairvoyant) -> Option<Self> {
        let count = ((workload.length - clairvoyant.from) / BIN).ceil();
        let first = workload.arrivals.partition_point(|&arrival| arrival < clairvoyant.from);
        if count < 1.0 || first == workload.len() {
            return None;
        }
        let (mut arrived, mut due) = (vec![0.0; count as usize], vec![0.0; count as usize]);
        for (&arrival, &service) in workload.arrivals[first..].iter().zip(&workload.services[first..]) {
            let arrival = arrival - clairvoyant.from;
            arrived[((arrival / BIN) as usize).min(count as usize - 1)] += service;
            let by = arrival + clairvoyant.deadline.max(service);
            // Due within a bin is due at its end.
            if let Some(due) = due.get_mut((by / BIN).floor() as usize) {
                *due += service;
            }
        }
        let sums = |work: Vec<f64>, round: fn(f64) -> f64| {
            let sum = work.into_iter().scan(0.0, |sum, work| {
                *sum += work;
                Some(round(*sum) as usize)
            });
            sum.collect::<Vec<_>>()
        };
        Some(Self { arrived: sums(arrived, f64::ceil), due: sums(due, f64::floor) })
    }

    fn width(&self) -> usize {
        self.arrived.iter().zip(&self.due).map(|(arrived, due)| arrived - due + 1).max().unwrap_or(1)
    }

    /// More workers than this are never of use: they do in each bin whatever has arrived and is due before long.
    fn most_workers(&self, speed: usize) -> usize {
        let mut needed = 1;
        // The fewest that suffice all the time, doing work as soon as it comes.
        loop {
            let mut done = 0;
            let late = self.arrived.iter().zip(&self.due).any(|(&arrived, &due)| {
                done = arrived.min(done + needed * speed);
                done < due
            });
            if !late {
                break;
            }
            needed += 1;
        }
        needed + 2
    }
}
