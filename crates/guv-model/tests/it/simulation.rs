//! The simulator against what is known of queues.

use guv_model::simulation::{
    Boot, Counts, Platform, RoleScaler, Scaler, Service, Tells, Watch, Workload, simulate,
};
use guv_model::{Clairvoyant, Config, Environment, Observation, Timestamp};
use proptest::prelude::*;

/// Never changes anything.
struct Constant;

impl Scaler for Constant {
    fn decide(&mut self, _: &Observation, _: Timestamp) -> Option<u32> {
        None
    }
}

/// Asks for these numbers of workers, one after the other.
struct Script(Vec<u32>);

impl Scaler for Script {
    fn decide(&mut self, _: &Observation, _: Timestamp) -> Option<u32> {
        self.0.pop()
    }
}

/// The share of jobs that wait (Erlang C), for an offered load `a` and `c` servers.
fn erlang_c(a: f64, c: u32) -> f64 {
    let blocked = (1..=c).fold(1.0, |blocked, n| a * blocked / (f64::from(n) + a * blocked));
    let c = f64::from(c);
    c * blocked / (c - a * (1.0 - blocked))
}

/// Jobs that come as a Poisson process and take exponential times.
fn markovian(rate: f64, mean: f64, length: f64, seed: u64) -> Workload {
    let constant = Service { mean, variation: 0.0 };
    let mut workload = Workload::poisson(length, rate, |_| rate, constant, seed);
    // The gaps of another Poisson process are exponential.
    let services = Workload::poisson(length * 3.0, rate, |_| rate, constant, seed + 1000).arrivals;
    let gaps = services.windows(2).map(|pair| (pair[1] - pair[0]) * rate * mean);
    for (service, gap) in workload.services.iter_mut().zip(gaps) {
        *service = gap;
    }
    workload
}

#[test]
fn waiting_times_are_those_of_erlang() {
    let (rate, mean, servers) = (0.8, 10.0, 10);
    let (mut waits, mut means) = (Vec::new(), Vec::new());
    for seed in 0..20 {
        let workload = markovian(rate, mean, 200_000.0, seed);
        let outcome =
            simulate(&workload, &Platform::default(), &Watch::default(), &mut Constant, servers, seed);
        let finished = workload.len() - 200;
        let times = (200..finished)
            .map(|job| (outcome.finished[job] - workload.services[job] - workload.arrivals[job]).max(0.0));
        let times: Vec<f64> = times.collect();
        waits.push(times.iter().filter(|wait| **wait > 1e-6).count() as f64 / times.len() as f64);
        means.push(times.iter().sum::<f64>() / times.len() as f64);
    }
    let offered = rate * mean;
    let expected = erlang_c(offered, servers);
    within_confidence(&waits, expected);
    within_confidence(&means, expected * mean / (f64::from(servers) - offered));
}

/// The mean of independent runs lies within four standard errors of what is expected.
fn within_confidence(runs: &[f64], expected: f64) {
    let n = runs.len() as f64;
    let mean = runs.iter().sum::<f64>() / n;
    let variance = runs.iter().map(|run| (run - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let error = (variance / n).sqrt();
    assert!((mean - expected).abs() < 4.0 * error, "{mean} ± {error}, expected {expected}");
    assert!(error < 0.05 * expected, "the runs say too little: {mean} ± {error}");
}

#[test]
fn jobs_in_the_system_follow_littles_law() {
    let workload = markovian(0.8, 10.0, 100_000.0, 7);
    let outcome = simulate(&workload, &Platform::default(), &Watch::default(), &mut Constant, 12, 7);
    let points = &outcome.points;
    let in_system = points.iter().map(|point| f64::from(point.waiting + point.in_hand)).sum::<f64>()
        / points.len() as f64;
    let times = outcome.finished.iter().zip(&workload.arrivals).filter(|(finished, _)| finished.is_finite());
    let (count, sum) =
        times.fold((0.0, 0.0), |(n, sum), (finished, arrival)| (n + 1.0, sum + finished - arrival));
    let rate = workload.len() as f64 / workload.length;
    let expected = rate * sum / count;
    assert!((in_system - expected).abs() < 0.03 * expected, "{in_system} and {expected}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// However the workers come and go, every job is finished once there are workers, in no less than its time; and nothing
    /// is paid for that was not asked for.
    #[test]
    fn no_job_is_lost(targets in prop::collection::vec(0..6u32, 1..60), idle_first: bool, concurrency in 1..3u32, seed: u64) {
        let service = Service { mean: 20.0, variation: 1.0 };
        let mut workload = Workload::poisson(1200.0, 0.2, |_| 0.2, service, seed);
        workload.services.iter_mut().for_each(|service| *service = service.min(100.0));
        workload.length = 40_000.0;
        let boot = Boot { median: 20.0, spread: 0.3, least: 10.0, most: 60.0 };
        let platform = Platform { idle_first, concurrency, boot, ..Platform::default() };
        let mut script = targets.clone();
        script.insert(0, 6);
        let outcome = simulate(&workload, &platform, &Watch::default(), &mut Script(script), 1, seed);
        for (job, finished) in outcome.finished.iter().enumerate() {
            prop_assert!(*finished >= workload.arrivals[job] + workload.services[job] - 1e-6);
            prop_assert!(finished.is_finite(), "job {job} is lost");
        }
        prop_assert!(outcome.lives.iter().all(|(requested, gone)| gone >= requested));
        prop_assert!(outcome.points.iter().all(|point| point.up <= point.workers && point.workers <= 6));
        if idle_first && targets.iter().all(|target| *target > 0) {
            prop_assert!(outcome.killed <= outcome.lives.len() as u64 * u64::from(concurrency));
        }
    }

    /// No policy pays less than the bound while it is in time.
    #[test]
    fn the_bound_is_below_what_keeps_every_deadline(rate in 0.05..1.0f64, workers in 1..12u32, seed: u64) {
        let workload = Workload::poisson(900.0, rate, |_| rate, Service { mean: 10.0, variation: 0.5 }, seed);
        let outcome = simulate(&workload, &Platform::default(), &Watch::default(), &mut Constant, workers, seed);
        let score = outcome.score(&workload, 60.0, 0.0);
        let clairvoyant = Clairvoyant { deadline: 60.0, concurrency: 1, start: 55.0, from: 0.0 };
        let bound = clairvoyant.integer_bound(&workload);
        if score.hits == score.jobs {
            prop_assert!(bound <= score.paid + 1e-6, "{bound} is above {}", score.paid);
        }
        prop_assert!(bound <= f64::from(workers) * 900.0 || score.hits < score.jobs);
        let late = (score.jobs - score.hits) as f64 / score.jobs.max(1) as f64;
        let with_late = clairvoyant.integer_bound_with_late(&workload, late);
        prop_assert!(with_late <= score.paid + 1e-6, "{with_late} is above {}, {late} late", score.paid);
        prop_assert!(with_late <= bound, "{with_late} is above {bound}");
    }
}

/// Ten seconds of work at once, due after ten: two workers for one bin each do it, or one for two.
#[test]
fn the_bound_of_a_single_burst_is_its_work() {
    let workload = Workload { arrivals: vec![0.0; 4], services: vec![2.5; 4], length: 60.0 };
    let clairvoyant = Clairvoyant { deadline: 20.0, concurrency: 1, start: 55.0, from: 0.0 };
    assert_eq!(clairvoyant.integer_bound(&workload), 10.0);
    assert_eq!(clairvoyant.work(&workload), 10.0);
}

/// With one of four jobs forgiven, the work of the others is left; with none it is the strict bound.
#[test]
fn the_bound_where_some_may_be_late_is_the_work_of_the_others() {
    let workload = Workload { arrivals: vec![0.0; 4], services: vec![2.5; 4], length: 60.0 };
    let clairvoyant = Clairvoyant { deadline: 20.0, concurrency: 1, start: 55.0, from: 0.0 };
    assert_eq!(clairvoyant.integer_bound_with_late(&workload, 0.25), 7.5);
    assert_eq!(clairvoyant.integer_bound_with_late(&workload, 0.0), 10.0);
    assert_eq!(clairvoyant.integer_bound_with_late(&workload, 1.0), 0.0);
}

#[test]
fn counts_become_the_load_that_is_asked_for() {
    let counts = Counts { bin: 60.0, arrivals: vec![60; 600] };
    for load in [2.0, 30.0] {
        let workload = counts.workload(load, Service { mean: 10.0, variation: 0.5 }, 3);
        let offered = workload.services.iter().sum::<f64>() / workload.length;
        assert!((offered - load).abs() < 0.06 * load, "{offered} for {load}");
        assert!(workload.arrivals.is_sorted());
    }
}

/// The look ahead keeps the promise of a day whose rate triples and falls again, and says why.
#[test]
fn the_deadline_policy_keeps_its_promise_where_proportion_does_not() {
    let rate = |t: f64| 0.6 + 0.4 * (t / 2400.0).sin();
    let service = Service { mean: 10.0, variation: 0.5 };
    let workload = Workload::poisson(30_000.0, 1.0, rate, service, 11);
    let hit_rate = |policy: &str| {
        let text = format!("a: {{processing: 10, deadline: 60, boot: 55, maximum: 100, policy: {policy}}}");
        let config = Config::parse(&text, &Environment::default(), &[]).strict().unwrap();
        let mut scaler = guv_model::simulation::RoleScaler::new(config.roles[0].clone(), 4);
        let outcome = simulate(&workload, &Platform::default(), &Watch::default(), &mut scaler, 8, 1);
        outcome.score(&workload, 60.0, 1800.0).hit_rate()
    };
    let (deadline, proportional) = (hit_rate("deadline"), hit_rate("proportional"));
    assert!(deadline >= 0.99, "{deadline}");
    assert!(deadline > proportional, "{deadline} and {proportional}");
}

/// A role with the policy that is in force when none is named.
fn standard() -> RoleScaler {
    written("a: {processing: 10, stddev: 5, deadline: 60, boot: 55, minimum: 1, maximum: 100}")
}

/// The role that is configured so.
fn written(text: &str) -> RoleScaler {
    let config = Config::parse(text, &Environment::default(), &[]).strict().expect("it is valid");
    RoleScaler::new(config.roles.into_iter().next().expect("one role"), 8)
}

fn steady(load: f64) -> Workload {
    let service = Service { mean: 10.0, variation: 0.5 };
    Workload::poisson(6.0 * 3600.0, load / 10.0, |_| load / 10.0, service, 3)
}

#[test]
fn a_queue_that_tells_nothing_stops_no_worker() {
    let blind = Watch { blind: Some((7200.0, 7800.0)), ..Watch::default() };
    let outcome = simulate(&steady(8.0), &Platform::default(), &blind, &mut standard(), 12, 1);
    let workers = |from: f64, to: f64| {
        let then = outcome.points.iter().filter(move |point| (from..to).contains(&point.at));
        then.map(|point| point.workers).collect::<Vec<_>>()
    };
    let meanwhile = workers(7205.0, 7800.0);
    assert!(meanwhile.len() > 15 && meanwhile.iter().all(|one| *one == meanwhile[0]), "{meanwhile:?}");
}

#[test]
fn a_platform_that_refuses_is_asked_again() {
    // What waits at the start needs more workers than there are, and the platform takes no change for a quarter of an hour.
    let platform = Platform { refuses: Some((0.0, 900.0)), ..Platform::default() };
    let outcome = simulate(&steady(8.0), &platform, &Watch::default(), &mut standard(), 1, 1);
    let at = |seconds: f64| outcome.points.iter().find(|point| point.at >= seconds).expect("it goes on");
    assert!(outcome.refused > 10);
    assert_eq!(at(870.0).workers, 1);
    assert!(at(900.0).workers > 8);
    assert_eq!(at(1200.0).waiting, 0, "the backlog is gone");
}

#[test]
fn starts_that_fail_are_made_good() {
    let platform = Platform { failing: 0.3, ..Platform::default() };
    let workload = steady(8.0);
    let outcome = simulate(&workload, &platform, &Watch::default(), &mut standard(), 10, 1);
    assert!(outcome.score(&workload, 60.0, 1800.0).hit_rate() > 0.97);
}

#[test]
fn a_wrong_mean_is_learnt_from_whatever_is_told() {
    let workload = steady(8.0);
    for (tells, wrong) in [(Tells::All, 5), (Tells::All, 20), (Tells::Jobs, 5), (Tells::Jobs, 20)] {
        let mut scaler =
            written(&format!("a: {{processing: {wrong}, deadline: 60, boot: 55, minimum: 1, maximum: 100}}"));
        let watch = Watch { tells, ..Watch::default() };
        let outcome = simulate(&workload, &Platform::default(), &watch, &mut scaler, 12, 1);
        let score = outcome.score(&workload, 60.0, 3600.0);
        let (in_time, workers) = (score.hit_rate(), score.paid / (5.0 * 3600.0));
        assert!(in_time > 0.98 && workers < 12.0, "{tells:?}, {wrong} s: {in_time} with {workers} workers");
    }
}

/// Twelve jobs of 10 s come at once to a queue of which only the waiting jobs are told.
#[test]
fn workers_that_boot_do_not_ask_for_more() {
    let arrivals = vec![60.0; 12];
    let workload = Workload { services: vec![10.0; 12], arrivals, length: 300.0 };
    let boot = Boot { median: 8.0, spread: 0.01, least: 8.0, most: 8.0 };
    let watch = Watch { interval: 5.0, tells: Tells::Ready, ..Watch::default() };
    let mut scaler = written("a: {processing: 10, deadline: 60, boot: 10, minimum: 0, maximum: 50}");
    let outcome = simulate(&workload, &Platform { boot, ..Platform::default() }, &watch, &mut scaler, 0, 1);
    let most = outcome.points.iter().map(|point| point.workers).max();
    assert!((Some(3)..=Some(7)).contains(&most), "{most:?}");
    assert_eq!(outcome.score(&workload, 60.0, 0.0).hit_rate(), 1.0);
}

/// A burst every quarter of an hour, of which a source that watches its queue tells at once.
#[test]
fn what_is_watched_is_answered_before_the_next_poll() {
    let arrivals: Vec<_> = (0..8).flat_map(|burst| vec![f64::from(burst) * 907.0 + 3.0; 20]).collect();
    let workload = Workload { services: vec![5.0; arrivals.len()], arrivals, length: 7200.0 };
    let boot = Boot { median: 5.0, spread: 0.01, least: 5.0, most: 5.0 };
    let platform = Platform { boot, ..Platform::default() };
    let in_time = |reaction| {
        let mut scaler =
            written("a: {processing: 5, stddev: 0, deadline: 20, boot: 5, minimum: 0, maximum: 50}");
        let watch = Watch { reaction, ..Watch::default() };
        simulate(&workload, &platform, &watch, &mut scaler, 0, 1).score(&workload, 20.0, 0.0).hit_rate()
    };
    let (polled, watched) = (in_time(None), in_time(Some(0.25)));
    assert!(polled < 0.7 && watched > 0.95, "{polled} {watched}");
}
