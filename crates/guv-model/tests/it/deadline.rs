//! Laws of the deadline policy.

use std::time::Duration;

use guv_model::{
    Action, Config, Decision, Environment, Need, Observation, Occasion, Prospect, QueueSample, Reason,
    RoleConfig, RoleState, Timestamp, WorkerCount,
};
use proptest::prelude::*;

fn role(more: &str) -> RoleConfig {
    written(&format!("a: {{processing: 10, deadline: 60, boot: 50, policy: deadline, maximum: 40{more}}}"))
}

/// The role that is configured so.
fn written(text: &str) -> RoleConfig {
    Config::parse(text, &Environment::default(), &[]).strict().expect("it is valid").roles.remove(0)
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(1_000_000 + seconds)
}

fn seen(ready: u64, held: u64, rate: f64, workers: u32) -> Observation {
    Observation {
        queue: QueueSample {
            ready: Some(ready),
            unacknowledged: Some(held),
            fill_rate: Some(rate),
            drain_rate: Some(rate),
            ..QueueSample::default()
        },
        workers: Some(WorkerCount::running(workers)),
        ..Observation::default()
    }
}

/// A role that has seen this for a quarter of an hour.
fn settled(role: &RoleConfig, observation: &Observation) -> RoleState {
    let mut state = RoleState::new(4);
    for poll in 0..30 {
        state.step(role, observation, at(poll * 30));
    }
    state
}

#[test]
fn workers_that_boot_are_not_asked_for_again() {
    let role = role("");
    let mut state = settled(&role, &seen(0, 4, 0.4, 6));
    let burst = seen(60, 6, 1.0, 6);
    let first = state.step(&role, &burst, at(900)).target.expect("more are needed");
    state.accepted(first, at(900));
    let again = state.step(&role, &seen(60, 6, 1.0, first), at(910));
    assert!(again.target.is_none_or(|target| target <= first + 1), "{again}");
}

#[test]
fn a_decision_tells_what_it_rests_on() {
    let role = role("");
    let mut state = settled(&role, &seen(0, 4, 0.4, 6));
    let decision = state.step(&role, &seen(60, 6, 1.0, 6), at(900));
    let prospect = decision.inputs.prospect.expect("it looked ahead");
    let Some(Need::Work(demand)) = prospect.why else { panic!("fewer cannot do it: {prospect:?}") };
    let text = decision.to_string();
    assert_eq!(decision.reason, Reason::UpAtOnce);
    assert!(text.contains(&format!("{:.0} s of work within {:.0} s", demand.work, demand.within)), "{text}");
}

/// Twenty jobs in twenty seconds, every two minutes: that is seen whether it is looked every second or every half minute.
#[test]
fn bursts_are_seen_however_often_it_is_looked() {
    let role = role("");
    let came = |second: u64| if second % 120 < 20 { 1.0 } else { 0.0 };
    let dispersion = |interval: u64| {
        let mut state = RoleState::new(4);
        let mut last = None;
        for end in (interval..7200).step_by(interval as usize) {
            let jobs: f64 = (end - interval..end).map(came).sum();
            last = Some(state.step(&role, &seen(0, 2, jobs / interval as f64, 6), at(end)));
        }
        let prospect = last.expect("it was looked").inputs.prospect.expect("it looked ahead");
        prospect.forecast.dispersion
    };
    let (often, seldom) = (dispersion(1), dispersion(30));
    assert!(seldom > 5.0, "these are bursts: {seldom}");
    assert!((0.6..1.6).contains(&(often / seldom)), "{often} and {seldom}");
}

#[test]
fn what_was_needed_a_moment_ago_is_not_taken_away() {
    // Jobs may wait for a start, so that nobody stands by for another burst.
    let role = written("a: {processing: 10, deadline: 120, boot: 20, maximum: 40}");
    let mut state = settled(&role, &seen(0, 8, 0.8, 14));
    let enough = 40;
    let all = state.step(&role, &seen(400, 14, 0.8, 14), at(900));
    assert_eq!(all.action, Action::Up, "{all}");
    for (second, reason) in [(901, Reason::JustNeeded), (909, Reason::JustNeeded), (910, Reason::FewerDo)] {
        let decision = state.step(&role, &seen(0, 8, 0.8, enough), at(second));
        assert_eq!(decision.reason, reason, "after {} s: {decision}", second - 900);
        assert_eq!(decision.target.is_some(), reason == Reason::FewerDo);
        let again = (reason == Reason::JustNeeded).then(|| Duration::from_secs(910 - second));
        assert_eq!(decision.look_again, again, "it is looked again when it may go");
    }
}

/// What came once need not come again: workers for it are kept for some minutes, it is said why, and then they go.
#[test]
fn after_a_batch_workers_are_kept_for_minutes_and_not_longer() {
    let role = role(", minimum: 0");
    let mut state = settled(&role, &seen(0, 0, 0.0, 0));
    let (mut workers, mut kept, mut reasons) = (0, 0, Vec::new());
    for poll in 0..60 {
        let (ready, held, rate) = if poll < 4 { (150, workers, 2.0) } else { (0, 0, 0.0) };
        let decision = state.step(&role, &seen(ready, held.into(), rate, workers), at(900 + poll * 30));
        if let Some(target) = decision.target {
            state.accepted(target, at(900 + poll * 30));
            workers = target;
        }
        if poll >= 4 && workers > 0 {
            kept += 30;
            reasons.push(decision.to_string());
        }
    }
    assert_eq!(workers, 0, "{reasons:#?}");
    assert!((120..=330).contains(&kept), "{kept} s: {reasons:#?}");
    assert!(reasons.iter().any(|reason| reason.contains("stand by for a burst")), "{reasons:#?}");
}

/// Whoever looks for the first time knows nothing but that these workers have been there.
#[test]
fn the_workers_that_there_are_at_first_go_little_by_little() {
    let role = role("");
    let mut state = RoleState::new(4);
    let mut workers = 20;
    let mut kept = Vec::new();
    for poll in 0..=20 {
        let decision = state.step(&role, &seen(0, 2, 0.2, workers), at(poll * 30));
        if decision.to_string().contains("kept of those there were at first") {
            kept.push(workers);
        }
        workers = decision.target.unwrap_or(workers);
    }
    assert!(kept.len() > 10 && workers < 8, "{kept:?}, then {workers}");
    let once = RoleState::new(0).step(&role, &seen(0, 2, 0.2, 20), at(0));
    assert!(once.target.is_some_and(|target| target < 8), "who looks only once has no later: {once}");
    let patient = written("a: {processing: 10, deadline: 200, boot: 50, maximum: 40}");
    let decision = RoleState::new(4).step(&patient, &seen(0, 2, 0.2, 10), at(0));
    assert!(decision.target.is_some_and(|target| target < 5), "these jobs can wait for a start: {decision}");
}

/// Half a minute of many jobs, again and again, that is over when it is seen; and a quarter of an hour of as many.
#[test]
fn nobody_goes_for_a_moment_without_a_job_at_the_first_look() {
    let role = role(", minimum: 0");
    let mut state = RoleState::new(4);
    let first = state.step(&role, &seen(0, 0, 0.0, 10), at(0));
    assert_eq!(first.estimate.unwrap().workers, 10, "{first}");
    let gone = state.clone().step(&role, &seen(0, 0, 0.0, 0), at(30));
    assert_eq!(gone.estimate.unwrap().workers, 0, "nobody is started for having been there: {gone}");
    for poll in 1..20 {
        let decision = state.step(&role, &seen(0, 0, 0.0, 10), at(poll * 30));
        assert!(decision.estimate.unwrap().workers > 0, "{decision}");
    }
    let last = state.step(&role, &seen(0, 0, 0.0, 10), at(600));
    assert_eq!(last.estimate.unwrap().workers, 0, "nothing has come for ten minutes: {last}");
}

#[test]
fn a_rise_is_believed_as_far_as_rises_last() {
    let expected_of_a_rise = |looks: u64| {
        let role = role("");
        let mut state = RoleState::new(4);
        let mut expected = 0.0;
        for poll in 0..700 {
            let rate = if poll % 61 < looks { 4.0 } else { 0.4 };
            let decision = state.step(&role, &seen(0, 4, rate, 6), at(poll * 30));
            if poll % 61 == 0 {
                expected = decision.inputs.prospect.expect("it looked ahead").forecast.excess;
            }
        }
        expected
    };
    let (short, long) = (expected_of_a_rise(1), expected_of_a_rise(30));
    assert!(short > 0.0 && long > 1.5 * short, "{short} and {long}");
}

/// A source may be wrong for once: workers go when two looks say that nothing comes any more.
#[test]
fn a_single_look_that_sees_nothing_come_sends_few_away() {
    let role = written("a: {processing: 10, stddev: 5, deadline: 60, boot: 55, maximum: 100}");
    let mut state = RoleState::new(4);
    let mut needed = |look: u64, rate: f64| {
        let decision = state.step(&role, &seen(0, 40, rate, 50), at(look * 30));
        decision.estimate.expect("it was seen").workers
    };
    let usual = (0..40).map(|look| needed(look, 4.0)).last().expect("it was looked");
    let (once, twice) = (needed(40, 0.0), needed(41, 0.0));
    assert!(once >= usual * 9 / 10 && twice < usual * 7 / 10, "{usual}, then {once}, then {twice}");
}

#[test]
fn a_rate_that_cannot_be_is_no_error() {
    let role = role("");
    let mut state = RoleState::new(4);
    for (look, rate) in [0.5, f64::MAX, f64::NAN, -1.0, f64::INFINITY, 0.5, 0.5].into_iter().enumerate() {
        let decision = state.step(&role, &seen(0, 4, rate, 6), at(look as u64 * 30));
        assert!(decision.estimate.is_some_and(|estimate| estimate.workers <= 40), "{decision}");
        let forecast = decision.inputs.prospect.expect("it looked ahead").forecast;
        assert!(forecast.rate.is_finite() && forecast.excess.is_finite(), "{forecast:?}");
    }
}

/// Five minutes of much every two hours: when it is over, it is over, and whoever came for it goes within minutes.
#[test]
fn workers_for_a_burst_go_when_it_is_over() {
    let role = written("a: {processing: 10, stddev: 5, deadline: 60, boot: 55, minimum: 1, maximum: 200}");
    let mut state = RoleState::new(4);
    let (mut workers, mut most, mut after) = (8, 0, Vec::new());
    for look in 0..760 {
        let since = (look + 10) % 240;
        let rate: f64 = if since < 10 { 9.0 } else { 0.5 };
        let held = (10.0 * rate).min(workers.into());
        let decision = state.step(&role, &seen(0, held as u64, rate, workers), at(look * 30));
        if let Some(target) = decision.target {
            state.accepted(target, at(look * 30));
            workers = target;
        }
        if look > 720 && since >= 10 {
            after.push(workers);
        } else {
            most = most.max(workers);
        }
    }
    assert!(most > 40, "it was a burst: {most}");
    assert!(after[4] < 12, "after two minutes: {after:?}");
}

/// When a burst is over, those that wait get old together: workers are not taken away as if the newest had just come.
/// Workers that start at once, for jobs that must not wait; and workers that take longer to start than any job may take.
#[test]
fn a_backlog_gets_workers_however_long_a_start_takes() {
    let short = written("a: {processing: 0.5, deadline: 5, boot: 1, maximum: 500}");
    let decision = RoleState::new(4).step(&short, &seen(1000, 0, 0.0, 0), at(0));
    assert!(decision.estimate.unwrap().workers > 100, "500 s of work are due within 5 s: {decision}");
    let long = written("a: {processing: 10, deadline: 180, boot: 300, maximum: 500}");
    let mut state = settled(&long, &seen(0, 4, 0.4, 6));
    let decision = state.step(&long, &seen(2000, 6, 0.4, 6), at(900));
    assert!(decision.estimate.unwrap().workers > 20, "six take an hour for it: {decision}");
}

/// What is told is why one worker less would not do, and never a need that nobody acts upon.
#[test]
fn a_decision_and_its_reason_agree() {
    let role = role("");
    for (ready, held) in (0..60).flat_map(|ready| (0..6).map(move |held| (ready, held))) {
        let decision =
            settled(&role, &seen(ready, held, 0.3, 6)).step(&role, &seen(ready + 3, held, 0.3, 6), at(900));
        let (estimate, prospect) = (decision.estimate.unwrap(), decision.inputs.prospect.unwrap());
        if decision.target.is_none() && decision.limits.is_empty() {
            assert!(estimate.workers <= 6, "nothing is done about it: {decision}");
        }
        if let Some(Need::Work(demand)) = prospect.why {
            let most = estimate.needed as f64 * demand.within;
            assert!(demand.within > 0.0 && most >= demand.work - 0.5, "{decision}");
        }
    }
}

/// A minute of four jobs a second every hour, which nobody can react to in time.
#[test]
fn workers_are_there_before_a_burst_that_comes_by_the_clock() {
    let role = role(", minimum: 0");
    let rate = |second: u64| if second % 3600 < 60 { 4.0 } else { 0.1 };
    let mut state = RoleState::new(4);
    let mut workers = 2;
    let mut before = Vec::new();
    for second in (30..5 * 3600).step_by(30) {
        let decision = state.step(&role, &seen(0, 1, rate(second - 30), workers), at(second));
        workers = decision.target.unwrap_or(workers);
        if second % 3600 == 3570 {
            before.push((workers, decision.to_string()));
        }
    }
    let counts: Vec<u32> = before.iter().map(|(workers, _)| *workers).collect();
    assert!(counts[0] < 8 && counts[3] > 20 && counts[4] > 20, "{before:?}");
    assert!(before[3].1.contains("as every 60 min"), "{}", before[3].1);
    // This time none comes.
    for second in (5 * 3600..5 * 3600 + 1800).step_by(30) {
        let calm = state.step(&role, &seen(0, 1, 0.1, workers), at(second));
        workers = calm.target.unwrap_or(workers);
    }
    assert!(workers < 8, "{workers}");
}

#[test]
fn a_burst_that_is_over_is_still_done_in_time() {
    let role = written("a: {processing: 10, stddev: 5, deadline: 180, boot: 55, maximum: 1000}");
    let mut state = RoleState::new(4);
    // 8.5 a second for five minutes, of which the last 700 wait with 80 workers; none has come for a minute.
    for look in 0..20 {
        state.step(&role, &seen(0, 4, 0.4, 5), at(look * 30));
    }
    for look in 20..30 {
        state.step(&role, &seen(900, 80, 8.5, 80), at(look * 30));
    }
    state.step(&role, &seen(800, 80, 0.0, 80), at(900));
    let mut over = seen(700, 80, 0.0, 80);
    over.queue.oldest = Some(Duration::from_secs(140));
    let decision = state.step(&role, &over, at(930));
    let needed = decision.estimate.expect("there is data").needed;
    // The youngest are due in 155 - 60 s: 7000 s of work and the rest of what is in hand.
    assert!(needed >= 74, "{decision}");
}

/// Looks that events cause come at any time; workers that stand by do not come and go with them.
#[test]
fn a_look_between_two_polls_does_not_send_away_who_stands_by() {
    // With a look every 30 s a start takes longer than these jobs may wait; with one every second it would not.
    let role = written("a: {processing: 1, stddev: 0.1, deadline: 60, boot: 50, maximum: 40}");
    let mut state = RoleState::new(4);
    let mut workers = 40;
    for poll in 0..80 {
        let rate = if poll % 8 == 0 { 10.0 } else { 0.1 };
        let decision = state.step(&role, &seen(0, 2, rate, workers), at(poll * 30));
        workers = decision.target.unwrap_or(workers);
        if poll % 8 == 5 {
            let event = state.step_on(Occasion::Event, &role, &seen(0, 2, 0.1, workers), at(poll * 30 + 1));
            assert!(event.target.is_none(), "{event}");
        }
    }
    assert!(workers > 2, "somebody stands by");
}

/// Jobs that may wait for 15 s, with a start of 50 s: workers stand by for chance, and it is said so.
#[test]
fn where_a_start_takes_far_longer_than_jobs_may_wait_workers_stand_by() {
    let role = written("a: {processing: 10, stddev: 5, deadline: 30, boot: 50, maximum: 40}");
    let standing = |state: &mut RoleState, from: u64, looks: u64, oldest: u64| {
        let mut last = None;
        for look in 0..looks {
            let mut observation = seen(oldest * 8 / 10, 8, 0.8, 12);
            observation.queue.oldest = Some(Duration::from_secs(oldest));
            last = Some(state.step(&role, &observation, at(from + look * 30)));
        }
        last.expect("it was looked")
    };
    let needed = |decision: &Decision| decision.estimate.expect("there is data").needed;
    let mut state = RoleState::new(4);
    let usual = standing(&mut state, 0, 30, 0);
    assert!((11..16).contains(&needed(&usual)), "{usual}");
    assert!(usual.to_string().contains("stand by for jobs that come by chance"), "{usual}");

    standing(&mut state, 900, 6, 28);
    let cautious = standing(&mut state, 1080, 1, 0);
    assert!(needed(&cautious) > needed(&usual), "more, since jobs were late: {cautious}");
    assert!(
        cautious.to_string().contains("(more than usual: lately more jobs were late than is aimed at)"),
        "{cautious}"
    );

    let spared = standing(&mut state, 1110, 2880, 0);
    assert!(needed(&spared) < needed(&usual), "fewer, since for a day none was: {spared}");
}

#[test]
fn a_reason_of_the_past_that_is_none_any_more_is_no_error() {
    let forecast = r#""forecast": {"rate": 1.0, "excess": 0.0, "dispersion": 1.0, "peak": 4.0}"#;
    let read = |why: &str| {
        let text = format!(r#"{{{forecast}, "booting": 0, "slack": 30.0, "why": {why}}}"#);
        serde_json::from_str::<Prospect>(&text).expect("old records are read").why
    };
    assert_eq!(read(r#""standing""#), Some(Need::Standing));
    assert_eq!(read(r#"{"peak": 4.0}"#), None);
    assert_eq!(read(r#"{"burst": 4.0}"#), Some(Need::Burst(4.0)));
    assert_eq!(read("null"), None);
}

#[test]
fn without_ready_messages_nothing_changes() {
    let role = role("");
    let mut state = settled(&role, &seen(0, 4, 0.4, 6));
    let blind = Observation { workers: Some(WorkerCount::running(6)), ..Observation::default() };
    let decision = state.step(&role, &blind, at(900));
    assert_eq!((decision.action, decision.target), (Action::Hold, None));
}

#[test]
fn an_idle_role_goes_to_its_minimum_and_no_further() {
    let role = role(", minimum: 2");
    let mut state = settled(&role, &seen(0, 20, 2.0, 24));
    let mut workers = 24;
    for poll in 0..400 {
        let target = state.step(&role, &seen(0, 0, 0.0, workers), at(900 + poll * 30)).target;
        workers = target.unwrap_or(workers);
        assert!(workers >= 2);
    }
    assert_eq!(workers, 2);
}

/// A queue that does not tell the age of its oldest job is not taken for one without old jobs.
#[test]
fn a_backlog_that_stays_is_old() {
    let role = role("");
    let mut state = RoleState::new(4);
    let fresh = state.step(&role, &seen(6, 2, 0.2, 2), at(0));
    for poll in 1..4 {
        state.step(&role, &seen(6, 2, 0.2, 2), at(poll * 30));
    }
    let stale = state.step(&role, &seen(6, 2, 0.2, 2), at(120));
    assert!(stale.estimate.unwrap().needed >= fresh.estimate.unwrap().needed, "{fresh}\n{stale}");
}

proptest! {
    /// More jobs never give fewer workers, and no decision leaves the limits.
    #[test]
    fn more_backlog_never_gives_fewer_workers(
        past in prop::collection::vec((0..200u64, 0..40u64, 0.0..4.0f64, 0..40u32), 1..20),
        now in (0..500u64, 0..40u64, 0.0..4.0f64, 0..40u32),
        more in 0..500u64,
        oldest in prop::option::of(0..200u64),
    ) {
        let role = role(", minimum: 1");
        let mut state = RoleState::new(4);
        for (poll, &(ready, held, rate, workers)) in past.iter().enumerate() {
            state.step(&role, &seen(ready, held, rate, workers), at(poll as u64 * 30));
        }
        let decide = |ready: u64| {
            let mut observation = seen(ready, now.1, now.2, now.3);
            observation.queue.oldest = oldest.map(Duration::from_secs);
            state.clone().step(&role, &observation, at(past.len() as u64 * 30))
        };
        let (few, many) = (decide(now.0), decide(now.0 + more));
        let wanted = |target: Option<u32>| target.unwrap_or(now.3);
        prop_assert!(wanted(many.target) >= wanted(few.target), "{few}\n{many}");
        prop_assert!(few.target.is_none_or(|target| (1..=40).contains(&target)));
    }
}

/// What is seen of a queue of which only the waiting jobs are told.
fn bounded(ready: u64, workers: u32) -> Observation {
    let queue = QueueSample { ready: Some(ready), ..QueueSample::default() };
    Observation { queue, workers: Some(WorkerCount::running(workers)), ..Observation::default() }
}

/// Workers that may hold a job are no sign that one has come: neither those that are there, nor those that are added.
#[test]
fn idle_workers_of_whom_nothing_is_known_go() {
    for interval in [1, 5, 30] {
        let role = role("");
        let mut state = RoleState::new(4);
        let (mut workers, mut most) = (20, 0);
        for second in (0..3600).step_by(interval) {
            let decision = state.step(&role, &bounded(0, workers), at(second));
            workers = decision.target.unwrap_or(workers);
            most = most.max(workers);
        }
        assert!(most <= 20 && workers <= 1, "looked at every {interval} s: {workers} of {most}");
    }
}

#[test]
fn workers_of_whom_nothing_is_known_are_no_arrivals() {
    let role = role("");
    let mut state = RoleState::new(4);
    let mut workers = 1;
    // As long as a start takes.
    for second in 0..50 {
        workers = state.step(&role, &bounded(3, workers), at(second)).target.unwrap_or(workers);
    }
    assert!(workers <= 8, "three jobs wait: {workers}");
}

/// A broker tells how fast messages came in its last five seconds. What came before them has come, too.
#[test]
fn what_was_published_between_two_looks_has_come() {
    let role = role(", minimum: 0");
    let expected = |published: &dyn Fn(u64) -> Option<u64>| {
        let mut state = RoleState::new(4);
        let mut last = None;
        for poll in 0..60 {
            let mut observation = seen(0, 2, 0.0, 4);
            observation.queue.published = published(poll);
            last = state.step(&role, &observation, at(poll * 30)).inputs.prospect;
        }
        last.expect("it looked ahead").forecast.rate
    };
    assert_eq!(expected(&|_| None), 0.0);
    let rate = expected(&|poll| Some(1000 + poll * 12));
    assert!((rate - 0.4).abs() < 0.01, "{rate}");
    let anew = expected(&|poll| Some(if poll < 40 { 1000 + poll * 12 } else { (poll - 40) * 12 }));
    assert!(anew > 0.25, "a broker that counts anew is believed again at the next look: {anew}");
}

/// A burst is seen before the broker tells of it: it is neither taken for an old one, nor counted twice.
#[test]
fn a_burst_of_which_the_broker_does_not_tell_yet_is_a_burst() {
    let role = written("a: {processing: 10, deadline: 180, boot: 30, maximum: 500}");
    let asked = |told: &dyn Fn(u64) -> (Option<f64>, Option<u64>)| {
        let mut state = RoleState::new(4);
        let mut target = 0;
        for second in (0..=900).step_by(30).chain([903, 930, 960]) {
            let waits = if second > 900 { 500 } else { 0 };
            let mut observation = seen(waits, 0, 0.0, 1);
            (observation.queue.fill_rate, observation.queue.published) = told(second);
            let decision = state.step(&role, &observation, at(second));
            target = target.max(decision.target.unwrap_or(0));
        }
        target
    };
    let plain = asked(&|_| (None, None));
    let late = asked(&|second| (Some(0.0), Some(if second > 903 { 500 } else { 0 })));
    let never = asked(&|_| (Some(0.0), None));
    assert!((30..=80).contains(&plain), "500 jobs of 10 s in 140 s: {plain}");
    assert!(late.abs_diff(plain) <= plain / 4, "{late} and {plain}");
    assert!(never.abs_diff(plain) <= plain / 4, "{never} and {plain}");
}
