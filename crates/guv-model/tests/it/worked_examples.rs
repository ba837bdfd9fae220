//! The worked examples of the proportional model, as a table, and the cases in which a number is not known.

use guv_model::{
    Action, Config, Decision, Environment, EstimateWindow, JobReports, Limit, Memory, Observation,
    QueueSample, Reason, RoleConfig, RoleState, Timestamp, WorkerCount,
};

/// The role `my` with these keys. A deadline out of reach is let pass, as it is when running.
fn role(keys: &str) -> RoleConfig {
    let text = format!("my: {{policy: proportional, {keys}}}");
    let (config, _) =
        Config::parse(&text, &Environment::default(), &["p:60".to_owned()]).runnable().expect(keys);
    config.roles.into_iter().next().expect("one role")
}

fn counted(messages: u64) -> QueueSample {
    QueueSample { ready: Some(messages), unacknowledged: Some(0), ..QueueSample::default() }
}

fn decide(role: &RoleConfig, window: &[u32], queue: QueueSample, workers: Option<WorkerCount>) -> Decision {
    let mut past = EstimateWindow::new(window.len());
    past.extend(window.iter().copied());
    role.policy.decide(
        role,
        &Memory::of(past),
        &Observation { queue, workers, ..Observation::default() },
        Timestamp::from_unix_seconds(1),
    )
}

/// The examples of the original guv. Some of them write `p:60` without a space, which makes it a key of that name
/// without a value, so that `processing` stays 10: they only come out with it read so, and are kept to the letter.
#[test]
fn worked_examples() {
    // Keys, messages, workers now, window, expected target (None: no change).
    type Example = (&'static str, u64, Option<u32>, &'static [u32], Option<u32>);
    #[rustfmt::skip]
    let table: &[Example] = &[
        ("min: 3", 0, None, &[], Some(3)),
        ("max: 40", 10_000, None, &[], Some(40)),
        ("max: 40", 40, None, &[], Some(11)),
        ("max: 40, concurrency: 3", 40, None, &[], Some(4)),
        ("max: 40, deadline: 90", 5, None, &[], Some(1)),
        ("max: 40, deadline: 90, concurrency: 3", 5, None, &[], Some(1)),
        ("min: 0, p:60, deadline: 240", 1000, None, &[], Some(5)),
        ("min: 0, max: 4, p:60, deadline: 240", 10, Some(4), &[4, 4, 0], None),
        ("min: 0, max: 4, p:60, deadline: 240", 10, Some(4), &[0, 0, 0], Some(1)),
        ("min: 0, max: 4, p:60, deadline: 240", 10, Some(4), &[4, 1, 4, 2], None),
        ("min: 0, max: 4, p:60, deadline: 240", 40, Some(3), &[1, 2, 1], Some(2)),
        ("min: 0, max: 4, p:60, deadline: 240", 0, Some(12), &[10, 9, 8], Some(10)),
        // These do have the long processing time that they say.
        ("min: 0, p: 60, deadline: 240", 1000, None, &[], Some(5)),
        ("min: 0, max: 4, p: 60, deadline: 240", 10, Some(4), &[0, 0, 0], None),
        ("min: 0, max: 4, p: 60, deadline: 61", 40, Some(0), &[1, 2, 1], Some(4)),
        ("min: 0, max: 4, p: 25, stddev: 12, deadline: 50", 40, Some(0), &[1, 2, 1], Some(4)),
    ];
    for (keys, messages, current, window, expected) in table {
        let decision = decide(&role(keys), window, counted(*messages), current.map(WorkerCount::running));
        assert_eq!(decision.target, *expected, "{keys}: {messages}; {current:?}; {window:?}: {decision}");
    }
}

#[test]
fn each_reason_is_told_in_words_and_numbers() {
    let role = role("min: 1, max: 10, concurrency: 2");
    let busy = QueueSample { ready: Some(80), unacknowledged: Some(20), ..QueueSample::default() };
    let bounded = QueueSample { ready: Some(0), consumers: Some(9), ..QueueSample::default() };
    let only_ready = QueueSample { ready: Some(3), ..QueueSample::default() };
    let running = |n| Some(WorkerCount::running(n));
    let draining = |n| Some(WorkerCount { drains: true, ..WorkerCount::running(n) });
    let stories: Vec<String> = [
        decide(&role, &[], busy.clone(), running(3)),
        decide(&role, &[], busy, None),
        decide(&role, &[3, 2], counted(0), running(4)),
        decide(&role, &[4], counted(0), running(4)),
        decide(&role, &[], counted(0), running(4)),
        decide(&role, &[], counted(1), running(1)),
        decide(&role, &[], bounded.clone(), running(9)),
        decide(&role, &[], bounded, draining(3)),
        decide(&role, &[], QueueSample::default(), running(4)),
        decide(&role, &[], only_ready, None),
    ]
    .iter()
    .map(Decision::to_string)
    .collect();
    insta::assert_snapshot!(stories.join("\n"), @r"
    100 jobs (80 ready + 20 in flight), 2 at once = 50 turns, 50 × 10 s in 38.368 s = 14 workers, at most the maximum of 10; 3 workers now: up at once → 10
    100 jobs (80 ready + 20 in flight), 2 at once = 50 turns, 50 × 10 s in 38.368 s = 14 workers, at most the maximum of 10; it is not known how many workers there are → 10
    0 jobs (0 ready + 0 in flight), 2 at once = 0 turns, 0 × 10 s in 38.368 s = 0 workers, at least the minimum of 1; 4 workers now: down as far as the window allows, it needed 3 → 3
    0 jobs (0 ready + 0 in flight), 2 at once = 0 turns, 0 × 10 s in 38.368 s = 0 workers, at least the minimum of 1; 4 workers now: no change, the window needed 4
    0 jobs (0 ready + 0 in flight), 2 at once = 0 turns, 0 × 10 s in 38.368 s = 0 workers, at least the minimum of 1; 4 workers now: down, nothing in the window needed more → 1
    1 job (1 ready + 0 in flight), 2 at once = 1 turn, 1 × 10 s in 38.368 s = 1 worker; 1 worker now: no change
    at most 18 jobs (0 ready + at most 18 in flight), 2 at once = 9 turns, 9 × 10 s in 38.368 s = 3 workers; 9 workers now: down, nothing in the window needed more → 3
    at most 18 jobs (0 ready + at most 18 in flight), 2 at once = 9 turns, 9 × 10 s in 38.368 s = 3 workers, in flight is only bounded, so one worker at a time; 3 workers now: down, nothing in the window needed more → 2
    the number of ready messages is not known; 4 workers now: hold
    at least 3 jobs (ready; in flight is not known), 2 at once = 2 turns, 2 × 10 s in 38.368 s = 1 worker; it is not known how many workers there are → 1
    ");
}

#[test]
fn nothing_known_changes_nothing_and_is_not_remembered() {
    let role = role("min: 0, max: 10");
    let mut state = RoleState::new(4);
    let blind = Observation {
        queue: QueueSample::default(),
        workers: Some(WorkerCount::running(7)),
        ..Observation::default()
    };
    let decision = state.step(&role, &blind, Timestamp::from_unix_seconds(1));
    assert_eq!(
        (decision.action, decision.target, decision.reason),
        (Action::Hold, None, Reason::ReadyUnknown)
    );
    assert_eq!(state.window().iter().count(), 0);
}

#[test]
fn ready_messages_alone_may_add_workers_but_take_none_away() {
    let role = role("min: 0, max: 10");
    let only = |ready| QueueSample { ready: Some(ready), ..QueueSample::default() };
    // Without a count of workers there is not even a bound: none is taken away for want of jobs.
    assert_eq!(decide(&role, &[], only(0), None).target, None);
    assert_eq!(decide(&role, &[], only(100), None).target, Some(10));
    // With it the workers may all be busy: enough are kept for what they may hold.
    let decision = decide(&role, &[], only(0), Some(WorkerCount::running(1)));
    assert_eq!((decision.action, decision.target), (Action::Keep, None));
    assert_eq!(decide(&role, &[], only(100), Some(WorkerCount::running(1))).target, Some(10));
}

#[test]
fn to_zero_only_when_nothing_can_be_in_flight_or_the_last_worker_drains() {
    let role = role("min: 0, max: 10, concurrency: 5");
    let queue =
        |consumers| QueueSample { ready: Some(0), consumers: Some(consumers), ..QueueSample::default() };
    let one = |drains| Some(WorkerCount { drains, ..WorkerCount::running(1) });

    assert_eq!(decide(&role, &[], queue(1), one(false)).target, None);
    assert_eq!(decide(&role, &[], queue(0), one(false)).target, Some(0));
    let released = decide(&role, &[], queue(1), one(true));
    assert_eq!(released.target, Some(0));
    assert!(released.limits.contains(&Limit::OneByOne));

    // Reports of the workers say more than the bound.
    let reports =
        |started, finished| QueueSample { reports: Some(JobReports { started, finished }), ..queue(1) };
    assert_eq!(decide(&role, &[], reports(8, 8), one(false)).target, Some(0));
    assert_eq!(decide(&role, &[], reports(8, 7), one(true)).target, None);

    // One ready message, and nobody is released.
    let ready = QueueSample { ready: Some(1), ..queue(1) };
    assert_eq!(decide(&role, &[], ready, one(true)).target, None);
}

#[test]
fn a_lower_maximum_binds_what_is_remembered() {
    let mut state = RoleState::new(4);
    let crowded = role("min: 0, max: 40");
    let at = Timestamp::from_unix_seconds(1);
    let seen = |messages, workers| Observation {
        queue: counted(messages),
        workers: Some(WorkerCount::running(workers)),
        ..Observation::default()
    };
    assert_eq!(state.step(&crowded, &seen(10_000, 0), at).target, Some(40));
    let smaller = role("min: 0, max: 4");
    state.reconfigure(4, smaller.limits);
    assert_eq!(state.step(&smaller, &seen(0, 40), at).target, Some(4));
}

#[test]
fn a_limit_of_the_platform_binds_like_a_maximum_and_is_named() {
    let role = role("min: 0, max: 40");
    let observation = Observation {
        queue: counted(10_000),
        workers: Some(WorkerCount::running(10)),
        platform_limit: Some(10),
        ..Observation::default()
    };
    let decision = role.policy.decide(&role, &Memory::new(4), &observation, Timestamp::from_unix_seconds(1));
    assert_eq!((decision.action, decision.target), (Action::Keep, None));
    assert_eq!(decision.limits, [Limit::Platform { workers: 10 }]);
}

#[test]
fn a_schedule_goes_by_the_clock_that_was_set_meanwhile() {
    let role = role("min: 1, schedule: [{when: '09:00-17:00', minimum: 3}]");
    let midnight = Timestamp::from_unix_seconds(86_400);
    let observation = |clock| Observation {
        queue: counted(0),
        workers: Some(WorkerCount::running(1)),
        clock,
        ..Observation::default()
    };
    let target = |clock| RoleState::new(4).step(&role, &observation(clock), midnight).target;
    assert_eq!(target(None), None);
    let ten = Timestamp::from_unix_seconds(86_400 + 10 * 3600);
    assert_eq!(target(Some(ten)), Some(3));
}

/// At rest, as so many looks with this seen leave it; the last decision.
fn after(looks: usize, role: &RoleConfig, observation: &Observation) -> Decision {
    let mut state = RoleState::new(4);
    let looks =
        (1..=looks as u64).map(|look| state.step(role, observation, Timestamp::from_unix_seconds(look * 30)));
    looks.last().expect("somebody looked")
}

#[test]
fn who_has_only_begun_to_look_takes_nobody_away_who_may_be_busy() {
    for policy in ["proportional", "deadline"] {
        let text =
            format!("my: {{policy: {policy}, processing: 60, minimum: 0, maximum: 10, deadline: 600}}");
        let role = Config::parse(&text, &Environment::default(), &[]).strict().unwrap().roles.remove(0);
        let bounded = QueueSample { ready: Some(0), consumers: Some(6), ..QueueSample::default() };
        let observation = Observation {
            queue: bounded.clone(),
            workers: Some(WorkerCount::running(6)),
            ..Observation::default()
        };
        for looks in 1..=3 {
            let decision = after(looks, &role, &observation);
            assert_eq!(
                (decision.target, decision.limits.last()),
                (None, Some(&Limit::Unwatched)),
                "{decision}"
            );
        }
        assert!(after(4, &role, &observation).target.is_some_and(|target| target < 6));
        // Who is counted is known at once.
        let counted = QueueSample { unacknowledged: Some(2), ..bounded };
        let observation = Observation { queue: counted, ..observation };
        assert!(after(1, &role, &observation).target.is_some_and(|target| (2..6).contains(&target)));
    }
}

/// As when guv was away, or the machine asleep: whoever works may have begun since.
#[test]
fn who_looks_again_after_a_pause_takes_nobody_away_who_may_be_busy() {
    for policy in ["proportional", "deadline"] {
        let text =
            format!("my: {{policy: {policy}, processing: 60, minimum: 0, maximum: 10, deadline: 600}}");
        let role = Config::parse(&text, &Environment::default(), &[]).strict().unwrap().roles.remove(0);
        let seen = |workers: u32| Observation {
            queue: QueueSample { ready: Some(0), consumers: Some(workers), ..QueueSample::default() },
            workers: Some(WorkerCount::running(workers)),
            ..Observation::default()
        };
        let mut state = RoleState::new(4);
        let at = |seconds: u64| Timestamp::from_unix_seconds(1_000_000 + seconds);
        for poll in 0..20 {
            state.step(&role, &seen(0), at(poll * 30));
        }
        let back = state.step(&role, &seen(6), at(7200));
        assert_eq!((back.target, back.limits.last()), (None, Some(&Limit::Unwatched)), "{back}");
        let next = state.step(&role, &seen(6), at(7230));
        assert_eq!(next.target, None, "{next}");
    }
}

#[test]
fn a_limit_of_the_platform_takes_nobody_away() {
    for policy in ["proportional", "deadline"] {
        let text = format!("my: {{policy: {policy}, processing: 10, minimum: 0, maximum: 20, deadline: 60}}");
        let role = Config::parse(&text, &Environment::default(), &[]).strict().unwrap().roles.remove(0);
        let observation = Observation {
            queue: QueueSample { ready: Some(300), ..QueueSample::default() },
            workers: Some(WorkerCount::running(8)),
            platform_limit: Some(0),
            ..Observation::default()
        };
        let decision = after(1, &role, &observation);
        assert_eq!((decision.target, decision.limits.first()), (None, Some(&Limit::Platform { workers: 8 })));
    }
}

#[test]
fn the_minimum_is_had_whatever_is_known_of_the_queue() {
    let role = role("min: 2, max: 10");
    let blind = |workers| Observation { workers, ..Observation::default() };
    let decision = after(1, &role, &blind(Some(WorkerCount::running(0))));
    assert_eq!((decision.target, decision.reason), (Some(2), Reason::UpToMinimum));
    assert_eq!(after(1, &role, &blind(Some(WorkerCount::running(2)))).target, None);
    assert_eq!(after(1, &role, &blind(None)).target, None, "there may be more");
}
