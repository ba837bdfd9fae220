//! Laws that every decision keeps, and a second formulation of the proportional model that it must equal.

use std::num::NonZeroU32;

use guv_model::{
    Config, Decision, Environment, EstimateWindow, Memory, Observation, Policy, QueueSample, RoleConfig,
    Timestamp, WorkerCount,
};
use proptest::prelude::*;

/// The configuration of a role as numbers, made into YAML and read back: the whole way is under test.
#[derive(Clone, Debug)]
struct Numbers {
    processing: f64,
    /// 0 stands for the default.
    stddev: f64,
    deadline: f64,
    percentile: f64,
    target: Option<f64>,
    concurrency: u32,
    minimum: u32,
    maximum: u32,
}

impl Numbers {
    fn role(&self, policy: &str) -> RoleConfig {
        let Self { processing, stddev, deadline, percentile, concurrency, minimum, maximum, .. } = self;
        let target = self.target.map(|t| format!(", target: {t:?}")).unwrap_or_default();
        let text = format!(
            "r: {{policy: {policy}, p: {processing:?}, stddev: {stddev:?}, d: {deadline:?}, percentile: {percentile:?}, \
             concurrency: {concurrency}, min: {minimum}, max: {maximum}{target}}}"
        );
        let (config, _) = Config::parse(&text, &Environment::default(), &[]).runnable().expect(&text);
        config.roles.into_iter().next().expect("one role")
    }
}

fn numbers() -> impl Strategy<Value = Numbers> {
    // Three decimals, as people write them; whole quotients are frequent, and those are where rounding shows.
    let milli = |range: std::ops::Range<u32>| range.prop_map(|n| f64::from(n) / 1000.0);
    (
        milli(1..100_000),
        prop_oneof![Just(0.0), milli(0..40_000)],
        milli(1..500_000),
        prop_oneof![Just(99.0), Just(50.0), milli(1_000..99_999)],
        proptest::option::weighted(0.3, milli(1..300_000)),
        1u32..20,
        0u32..6,
        0u32..200,
    )
        .prop_map(|(processing, stddev, deadline, percentile, target, concurrency, minimum, maximum)| {
            Numbers { processing, stddev, deadline, percentile, target, concurrency, minimum, maximum }
        })
}

/// Φ by its power series, and its inverse by bisection: slow, and nothing in common with the code under test.
fn quantile(share: f64) -> f64 {
    let cdf = |z: f64| {
        let (mut term, mut sum, mut n) = (z, z, 0.0);
        while f64::abs(term) > 1e-19 {
            n += 1.0;
            term *= -z * z * (2.0 * n - 1.0) / (2.0 * n * (2.0 * n + 1.0));
            sum += term;
        }
        0.5 + sum / (2.0 * std::f64::consts::PI).sqrt()
    };
    let (mut low, mut high) = (-5.0, 5.0);
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        if cdf(middle) < share { low = middle } else { high = middle }
    }
    low
}

/// The smallest number of workers that, taking `concurrency` jobs every `processing`, have all jobs begun within
/// the time available; counted up one by one, in whole nanoseconds, instead of divided.
fn reference_estimate(n: &Numbers, jobs: u64) -> u32 {
    let nanoseconds = |seconds: f64| (seconds * 1e9).round() as i128;
    let processing = nanoseconds(n.processing);
    let stddev = if n.stddev == 0.0 { n.processing * 0.5 } else { n.stddev };
    let mut target =
        nanoseconds(n.target.unwrap_or_else(|| n.deadline - quantile(n.percentile / 100.0) * stddev));
    if target <= processing {
        target = processing + 10_000_000;
    }
    let left = target - processing;
    let available = if left > processing { left } else { processing };

    let mut turns = 0i128;
    let mut taken = 0;
    while taken < jobs {
        taken += u64::from(n.concurrency);
        turns += 1;
    }
    let mut workers = 0;
    while workers < n.maximum && i128::from(workers) * available < turns * processing {
        workers += 1;
    }
    workers.max(n.minimum).min(n.maximum)
}

/// Hysteresis told differently: the level to keep is the highest of the estimate and the window; go up to the
/// estimate, go down to the level, else stay.
fn reference_next(estimate: u32, window: &[u32], current: Option<u32>) -> Option<u32> {
    let level = window.iter().copied().chain([estimate]).max();
    match current {
        None => Some(estimate),
        Some(now) if now < estimate => Some(estimate),
        Some(now) => level.filter(|level| now > *level),
    }
}

fn decide(role: &RoleConfig, window: &[u32], ready: u64, in_flight: u64, current: Option<u32>) -> Decision {
    let mut past = EstimateWindow::new(window.len());
    past.extend(window.iter().copied());
    let queue = QueueSample { ready: Some(ready), unacknowledged: Some(in_flight), ..QueueSample::default() };
    let observation =
        Observation { queue, workers: current.map(WorkerCount::running), ..Observation::default() };
    role.policy.decide(role, &Memory::of(past), &observation, Timestamp::from_unix_seconds(1))
}

/// The name of any policy.
fn policy() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&Policy::ALL[..]).prop_map(Policy::name)
}

fn window() -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(0u32..60, 0..6)
}

proptest! {
    #[test]
    fn a_decision_equals_the_second_formulation(
        numbers in numbers(),
        ready in 0u64..3_000,
        in_flight in 0u64..500,
        current in proptest::option::of(0u32..60),
        window in window(),
    ) {
        let decision = decide(&numbers.role("proportional"), &window, ready, in_flight, current);
        let estimate = reference_estimate(&numbers, ready + in_flight);
        prop_assert_eq!(decision.estimate.map(|e| e.workers), Some(estimate), "{}", decision);
        prop_assert_eq!(decision.target, reference_next(estimate, &window, current), "{}", decision);
    }

    #[test]
    fn more_jobs_never_give_fewer_workers(
        numbers in numbers(),
        policy in policy(),
        ready in 0u64..1_000_000,
        more in 0u64..1_000_000,
        current in 0u32..60,
        window in window(),
    ) {
        let role = numbers.role(policy);
        let after = |ready| decide(&role, &window, ready, 0, Some(current)).target.unwrap_or(current);
        prop_assert!(after(ready) <= after(ready + more));
    }

    /// Whatever is known or not, however large.
    #[test]
    fn a_decision_keeps_to_the_limits(
        numbers in numbers(),
        policy in policy(),
        ready in proptest::option::of(any::<u64>()),
        unacknowledged in proptest::option::of(any::<u64>()),
        consumers in proptest::option::of(any::<u32>()),
        workers in proptest::option::of((0u32..300, any::<bool>())),
        platform_limit in proptest::option::of(0u32..300),
    ) {
        let role = numbers.role(policy);
        let queue = QueueSample { ready, unacknowledged, consumers, ..QueueSample::default() };
        let workers = workers.map(|(current, drains)| WorkerCount { drains, ..WorkerCount::running(current) });
        let observation = Observation { queue, workers, platform_limit, ..Observation::default() };
        let decision = role.policy.decide(&role, &Memory::new(4), &observation, Timestamp::from_unix_seconds(1));
        if let Some(target) = decision.target {
            // What the platform does not run more of, it may run all the same.
            let running = workers.map_or(0, |workers| workers.current);
            let maximum = numbers.maximum.min(platform_limit.map_or(u32::MAX, |limit| limit.max(running)));
            prop_assert!(target <= maximum);
            prop_assert!(target >= numbers.minimum.min(maximum));
        }
        if ready.is_none() {
            prop_assert_eq!(decision.target, None);
        }
    }

    /// Not knowing the jobs in flight never gives fewer workers than knowing that there are none would.
    #[test]
    fn unknown_is_never_read_as_zero(
        numbers in numbers(),
        policy in policy(),
        ready in 0u64..3_000,
        current in 0u32..60,
    ) {
        let role = numbers.role(policy);
        let observe = |unacknowledged, consumers| {
            let queue = QueueSample { ready: Some(ready), unacknowledged, consumers, ..QueueSample::default() };
            let observation = Observation { queue, workers: Some(WorkerCount::running(current)), ..Observation::default() };
            let none = EstimateWindow::new(0);
            role.policy.decide(&role, &Memory::of(none.clone()), &observation, Timestamp::from_unix_seconds(1)).target.unwrap_or(current)
        };
        prop_assert!(observe(None, None) >= observe(Some(0), None));
        prop_assert!(observe(None, Some(3)) >= observe(Some(0), Some(3)));
    }

    /// A decision can be written to a history and read back for a replay.
    #[test]
    fn a_decision_survives_its_record(
        numbers in numbers(),
        policy in policy(),
        ready in any::<u64>(),
        window in window(),
    ) {
        let decision = decide(&numbers.role(policy), &window, ready, 0, Some(3));
        let text = serde_json::to_string(&decision).expect("a decision is JSON");
        let back: Decision = serde_json::from_str(&text).expect("and comes back");
        prop_assert_eq!(back, decision);
    }
}

#[test]
fn a_whole_quotient_is_not_rounded_up() {
    // 3 × 0.1 ÷ 0.1 is 3.0000000000000004 in floating point.
    let text = "r: {policy: proportional, p: 0.1, target: 0.15, min: 0}";
    let (config, _) = Config::parse(text, &Environment::default(), &[]).runnable().unwrap();
    let decision = decide(&config.roles[0], &[], 3, 0, None);
    assert_eq!(decision.target, Some(3));
    assert_eq!(config.roles[0].concurrency, NonZeroU32::MIN);
}

proptest! {
    /// Clocks are set; whatever the moments, nobody is stopped while all workers are busy, and all that there may be
    /// are asked for while jobs wait.
    #[test]
    fn a_clock_that_jumps_stops_nobody(
        moments in proptest::collection::vec((any::<u32>(), any::<bool>()), 1..20),
        policy in policy(),
    ) {
        let text =
            format!("'*': {{history: 90}}\nr: {{policy: {policy}, min: 0, max: 5, cooldown: 60, processing: auto}}");
        let config = Config::parse(&text, &Environment::default(), &[]).strict().expect(&text);
        let mut state = guv_model::RoleState::new(config.window());
        for (moment, waiting) in moments {
            let now = Timestamp::from_unix_seconds(moment.into());
            let queue = QueueSample {
                ready: Some(if waiting { 5_000 } else { 0 }),
                unacknowledged: Some(3),
                drain_rate: Some(1.0),
                ..QueueSample::default()
            };
            let workers = Some(WorkerCount::running(3));
            let observation = Observation { queue, workers, ..Observation::default() };
            let decision = state.step(&config.roles[0], &observation, now);
            prop_assert!(decision.target.is_none_or(|target| target > 3), "{decision}");
            prop_assert!(!waiting || decision.target == Some(5), "{decision}");
        }
    }
}
