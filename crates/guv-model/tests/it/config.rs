//! Configuration files: those that must be accepted, and what is said about those that are wrong.

use std::time::Duration;

use guv_model::{AppName, BrokerUrl, Checked, Config, Environment, Policy, Role, Severity, Timestamp};
use proptest::prelude::*;

fn parse(text: &str) -> Checked {
    Config::parse(text, &Environment::default(), &[])
}

fn valid(text: &str) -> Config {
    parse(text).strict().unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// All that is said, one line each.
fn said(text: &str) -> String {
    let lines: Vec<_> = parse(text).diagnostics().iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn every_key_is_read() {
    let config = valid(
        "'*': {pollinterval: 0.25, history: 2, app: ours, percentile: 95}
r:
  processing: 2.5
  stddev: 1
  deadline: 100
  boot: 40
  concurrency: 7
  dynosize: performance-m
  minimum: 2
  maximum: 9
  worker: w
  queue: q
  app: theirs
  broker: amqps://u:p@h/v
  apikey: k
  statuspage: s
  metric: m
  percentile: 90
  target: 50",
    );
    assert_eq!(config.window(), 8);
    let r = &config.roles[0];
    let seconds = Duration::from_secs_f64;
    assert_eq!((r.processing, r.stddev, r.deadline), (seconds(2.5), seconds(1.0), seconds(100.0)));
    assert_eq!((r.boot, r.target, r.available()), (seconds(40.0), seconds(50.0), seconds(47.5)));
    assert_eq!((r.concurrency.get(), r.limits.minimum, r.limits.maximum), (7, 2, 9));
    assert_eq!(
        (r.worker.as_str(), r.queues.first().as_str(), r.dyno_size.as_str()),
        ("w", "q", "performance-m")
    );
    assert_eq!(r.app.as_ref().map(AppName::as_str), Some("theirs"));
    assert_eq!(r.broker.as_ref().and_then(|b| b.reveal().password()), Some("p"));
    assert_eq!(r.api_key.as_ref().map(|k| k.reveal()), Some("k"));
    assert_eq!((r.status_page.as_deref(), r.metric.as_deref()), (Some("s"), Some("m")));
    assert_eq!(r.percentile.percent(), 90.0);
}

#[test]
fn defaults_and_names() {
    let config = valid("imageprocessing: {}\nplain:\n");
    assert_eq!((config.poll_interval, config.history), (Duration::from_secs(30), Duration::from_secs(120)));
    let r = config.role(&Role::new("imageprocessing")).unwrap();
    assert_eq!((r.worker.as_str(), r.queues.first().as_str()), ("imageprocessing", "imageprocessing"));
    assert_eq!((r.processing, r.stddev), (Duration::from_secs(10), Duration::from_secs(5)));
    // 60 − 2.326 × 5
    assert!((r.target.as_secs_f64() - 48.368_260_6).abs() < 1e-6);
    assert_eq!((r.limits.minimum, r.limits.maximum, r.concurrency.get()), (1, 5, 1));
    assert_eq!(config.roles.len(), 2);
}

#[test]
fn shorthands_and_other_spellings_mean_the_same() {
    let long = valid("r: {processing: 3, deadline: 40, minimum: 2, maximum: 8, worker: a, queue: b}");
    assert_eq!(valid("r: {p: 3, d: 40, min: 2, max: 8, w: a, q: b}"), long);
    assert_eq!(valid("r: {process: 3, d: 40, min: 2, max: 8, w: a, q: b}"), long);
    assert_eq!(valid(r#"{"r": {"p": 3, "d": 40.0, "min": 2, "max": 8, "w": "a", "q": "b"}}"#), long);
}

#[test]
fn shared_values_are_inherited_unless_overridden() {
    let config = valid("'*': {min: 5, max: 50, app: ours, p: 4}\na: {max: 10}\nb: {min: 0, p: 8}");
    let [a, b] = config.roles.as_slice() else { panic!("two roles") };
    assert_eq!((a.limits.minimum, a.limits.maximum), (5, 10));
    assert_eq!((b.limits.minimum, b.limits.maximum), (0, 50));
    // The default deviation follows the role's own processing time.
    assert_eq!((a.stddev, b.stddev), (Duration::from_secs(2), Duration::from_secs(4)));
    assert_eq!(valid("'*': {stddev: 3}\na: {stddev: 0}").roles[0].stddev, Duration::from_secs(5));
}

#[test]
fn the_environment_fills_what_the_file_leaves_open() {
    let environment = Environment::from_variables([
        ("GUV_APP", "env-app"),
        ("CLOUDAMQP_URL", "amqp://env"),
        ("HEROKU_API_KEY", "env-key"),
        ("STATUSPAGE_ID", "env-page"),
    ])
    .unwrap();
    let read = |text| Config::parse(text, &environment, &[]).strict().unwrap().roles.remove(0);
    let role = read("a: {}");
    assert_eq!(role.app, Some(AppName::new("env-app")));
    assert_eq!(role.broker, Some(BrokerUrl::parse("amqp://env").unwrap()));
    assert_eq!(role.api_key.as_ref().map(|k| k.reveal()), Some("env-key"));
    assert_eq!(role.status_page.as_deref(), Some("env-page"));
    assert_eq!(read("'*': {app: shared}\na: {}").app, Some(AppName::new("shared")));
}

#[test]
fn the_configurations_that_are_in_use_are_valid() {
    for text in [
        "'*': {min: 5, max: 50, app: my-heroku-app}
imageprocessing: {}
textprocessing: {max: 10, deadline: 100, processing: 30, stddev: 3}
histogram: {queue: 'hist.INPUT', worker: processhistograms}",
        r#"resize: {queue: "resize.IN", deadline: 180, minimum: 0, maximum: 3, concurrency: 10, processing: 0.800}"#,
        "work: {worker: work, app: guvscale-test, queue: work.IN, process: 20, deadline: 90, min: 0, max: 5}",
        // A role may be called like a key.
        "'*': {boot: 20, app: a, min: 2, max: 10}\nprocessing: { d: 6.0, p: 1.000, queue: 'worker.IN' }",
    ] {
        valid(text);
    }
}

#[test]
fn what_has_no_effect_or_is_hardly_meant_is_told() {
    let once = |text: &str, wanted: &str| {
        let said = said(text);
        assert!(said.contains(": warning: ") && said.contains(wanted), "{text}: {said}");
        assert_eq!(said.lines().count(), 1, "{text}: {said}");
    };
    once(
        "r: {max: 5, schedule: [{when: mon-fri, min: 2}, {when: sat, min: 8}]}",
        "1:49: warning: role `r`: while this holds, minimum 8 is above maximum 5",
    );
    once("r: {min: 3, schedule: [{when: sun, max: 1}]}", "minimum 3 is above maximum 1");
    once("r: {ratio: {1: 1, 2: 9}}", "role `r`: `job_worker_ratio` has no effect with `policy: deadline`");
    once("'*': {ratio: {1: 1, 2: 9}}\nr: {}", "the `'*'` block: `job_worker_ratio` has no effect");
    once("r: {policy: ratio, ratio: {1: 50, 2: 25}}", "2 workers are needed from 25 jobs on, so 1 never are");
    once("r: {percentile: 0.99}", "write `percentile: 99`");
    once("r: {source: {kind: rabbitmq, timeout: 0}}", "nothing is ever answered in time");
    for text in [
        "r: {max: 5, schedule: [{when: sat, min: 8, max: 9}]}",
        "'*': {ratio: {1: 1, 2: 9}}\na: {policy: ratio}\nb: {}",
        "r: {percentile: 1}",
    ] {
        assert_eq!(said(text), "", "{text}");
    }
}

#[test]
fn the_help_for_an_address_is_that_of_its_kind() {
    for (part, wanted) in [
        ("actuator: {kind: webhook, url: nowhere}", "https://host/path"),
        ("source: {kind: sidekiq, url: nowhere}", "redis://"),
        ("source: {kind: river, url: nowhere}", "postgres://"),
        ("source: {kind: rabbitmq, management: nowhere}", "https://host/path"),
        ("broker: nowhere", "amqp://"),
    ] {
        let said = said(&format!("r: {{{part}}}"));
        assert!(said.contains(&format!("write it as {wanted}")), "{said}");
    }
}

#[test]
fn what_roles_have_from_the_shared_block_is_said_once() {
    let said = said("'*': {processing: 25, stddev: 12, deadline: 50}\na: {}\nb: {}\nc: {stddev: 20}");
    let lines: Vec<_> = said.lines().filter(|line| line.contains("is not above processing")).collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[0].starts_with("1:45: error: roles `a`, `b`: the target"), "{said}");
    assert!(lines[1].starts_with("1:45: error: role `c`: the target"), "{said}");
}

#[test]
fn a_time_with_a_unit_is_told_in_seconds() {
    let help = |text: &str| {
        let said = said(text);
        said.rsplit_once("; ").unwrap_or_else(|| panic!("{said}")).1.to_owned()
    };
    let written = "write it without quotes or unit: ";
    assert_eq!(help("a: {processing: 500ms}"), format!("{written}`processing: 0.5`"));
    assert_eq!(help("a: {deadline: 2m}"), format!("{written}`deadline: 120`"));
    assert_eq!(help("a: {boot: '1.5 hours'}"), format!("{written}`boot: 5400`"));
    assert_eq!(help("a: {boot: '700 ms'}"), format!("{written}`boot: 0.7`"));
    assert_eq!(help("a: {boot: 3 weeks}"), "the default is 30");
    assert_eq!(help("a: {max: '7'}"), format!("{written}`max: 7`"));
}

#[test]
fn every_error_is_told_at_once_with_its_place() {
    insta::assert_snapshot!(said(
        "'*': {min: -1, colour: red}
a:
  dealine: 10
  processing: 30s
  concurrency: 0
  queue: 12
  max: 2.5
  percentile: 100
  broker: nowhere
b: 7
c: {max: 1, maximum: 2, worker:}
a: {}
d: [1]
queue: x
e: {pollinterval: 5, processing: .inf, boot: 1e12, apikey: 12}"
    ), @r#"
    1:12: error: role `*`: `min` must be a whole number, 0 or more, but this is the number -1; the default is 1
    1:16: error: role `*`: there is no key `colour`; the keys are processing, stddev, deadline, boot, concurrency, dynosize, minimum, maximum, worker, queue, app, broker, apikey, statuspage, metric, percentile, target, policy, job_worker_ratio, down_delay, source, actuator, schedule, timezone, max_step_up, max_step_down, cooldown, grace, stop_busy, paused, pollinterval, history, budget, prices (`--allow-key colour` lets it pass)
    3:3: error: role `a`: there is no key `dealine`; did you mean `deadline`? (`--allow-key dealine` lets it pass)
    4:15: error: role `a`: `processing` must be a number of seconds above 0, up to a year, but this is the text "30s"; write it without quotes or unit: `processing: 30`
    5:16: error: role `a`: `concurrency` must be a whole number, 1 or more, but this is the number 0; the default is 1
    6:10: error: role `a`: `queue` must be text, but this is the number 12; put it in quotes: `queue: "…"`
    7:8: error: role `a`: `max` must be a whole number, 0 or more, but this is the number 2.5; the default is 5
    8:15: error: role `a`: `percentile` must be a number above 0 and below 100, but this is the number 100; the default is 99
    9:11: error: role `a`: `broker` is not a URL: relative URL without a base; write it as amqp://user:password@host/vhost
    10:4: error: role `b` must be a mapping of keys, but this is the number 7; write `b: {key: value, …}`, or `b: {}` for the defaults
    11:13: error: role `c`: `maximum` is given twice, first as `max`; it is given first in line 11; keep one of the two
    11:25: error: role `c`: `worker` must be text, but this is nothing; leave the key out for the default (the role's name)
    12:1: error: `a` is given twice; it is given first in line 2; keep one of the two
    13:4: error: role `d` must be a mapping of keys, but this is a list; `d` is a key, not a role: put it under a role, `myrole: {deadline: …}`
    14:8: error: role `queue` must be a mapping of keys, but this is the text "x"; `queue` is a key, not a role: put it under a role, `myrole: {queue: …}`
    15:19: warning: role `e`: `pollinterval` has no effect on a single role; move it to the `'*'` block
    15:34: error: role `e`: `processing` must be a number of seconds above 0, up to a year, but this is the number inf; the default is 10
    15:46: error: role `e`: `boot` must be a number of seconds from 0 to a year, but this is the number 1000000000000; the default is 30
    15:60: error: role `e`: `apikey` must be text, but this is something else; put it in quotes: `apikey: "…"`
    "#);
}

#[test]
fn a_missing_space_is_called_out() {
    insta::assert_snapshot!(said("a: {queue:notdefault, max: 4}"), @"1:5: error: `queue:notdefault` is one word to YAML: a space is missing after the colon; write `queue: notdefault`");
    insta::assert_snapshot!(said("a:\n  queue:notdefault\n"), @"2:3: error: `queue:notdefault` is one word to YAML: a space is missing after the colon; write `queue: notdefault`");
    insta::assert_snapshot!(said("a:\n  queue:notdefault\n  max: 4\n"), @"3:6: error: this is not YAML: mapping values are not allowed in this context; a space is missing after the colon in line 2: write `queue: notdefault`");
    insta::assert_snapshot!(said("queue:notdefault"), @"1:1: error: `queue:notdefault` is one word to YAML: a space is missing after the colon; write `queue: notdefault`");
}

#[test]
fn a_target_not_above_processing_names_both_and_can_still_run() {
    let texts = [
        "failing: {processing: 25, stddev: 12, deadline: 50}",
        "failing: {processing: 60, deadline: 20}",
        "failing: {processing: 5, target: 5}",
        "failing: {processing: 60}",
    ];
    let lines: Vec<_> = texts.iter().map(|text| said(text)).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    1:49: error: role `failing`: the target 22.08 s (deadline 50 s less the tail) is not above processing 25 s; a deadline above 52.92 s can be met for 99 % of the jobs (processing 25 s, stddev 12 s)
    1:37: error: role `failing`: the target (deadline 20 s less a longer tail) is not above processing 60 s; a deadline above 129.8 s can be met for 99 % of the jobs (processing 60 s, stddev 30 s)
    1:34: error: role `failing`: the target 5 s is not above processing 5 s; raise the target above that, or leave it out and give a deadline above 10.82 s for 99 % of the jobs (processing 5 s, stddev 2.5 s)
    1:23: error: role `failing`: the target (deadline 60 s less a longer tail) is not above processing 60 s; a deadline above 129.8 s can be met for 99 % of the jobs (processing 60 s, stddev 30 s)
    ");
    for text in texts {
        assert!(parse(text).strict().is_err());
        let (config, diagnostics) = parse(text).runnable().unwrap();
        let role = &config.roles[0];
        assert_eq!(role.target, role.processing + Duration::from_millis(10));
        assert!(!role.target_within_reach);
        assert_eq!(diagnostics[0].severity, Severity::OutOfReach);
    }
    // The help tells a deadline that does work.
    valid("failing: {processing: 25, stddev: 12, deadline: 52.93}");
}

#[test]
fn nothing_to_manage_is_an_error() {
    insta::assert_snapshot!([said(""), said("# only a comment"), said("{}"), said("'*': {max: 3}"), said("[]"), said("a b")].join("\n"), @r#"
    1:1: error: the configuration is empty; name at least one role, for instance `resize: {queue: resize.IN, deadline: 60}`
    1:17: error: the configuration is empty; name at least one role, for instance `resize: {queue: resize.IN, deadline: 60}`
    1:1: error: the configuration is empty; name at least one role, for instance `resize: {queue: resize.IN, deadline: 60}`
    1:1: error: the configuration has no role; name at least one role, for instance `resize: {queue: resize.IN, deadline: 60}`
    1:1: error: the configuration must be a mapping of roles, but this is a list; name at least one role, for instance `resize: {queue: resize.IN, deadline: 60}`
    1:1: error: the configuration must be a mapping of roles, but this is the text "a b"; name at least one role, for instance `resize: {queue: resize.IN, deadline: 60}`
    "#);
}

#[test]
fn text_that_is_not_yaml() {
    insta::assert_snapshot!([said("a: {max: 3"), said("a: 'x"), said("a: *nope"), said("a:\n\t- x: ]")].join("\n"), @r"
    1:4: error: this is not YAML: unclosed bracket '{'; the file must be YAML (or JSON): `role: {key: value, …}`
    1:4: error: this is not YAML: unclosed quote; the file must be YAML (or JSON): `role: {key: value, …}`
    1:4: error: this is not YAML: alias references unknown anchor; the file must be YAML (or JSON): `role: {key: value, …}`
    2:2: error: this is not YAML: tabs disallowed within this context (block indentation); the file must be YAML (or JSON): `role: {key: value, …}`
    ");
}

#[test]
fn warnings_do_not_stop_anything() {
    insta::assert_snapshot!(said("a: {min: 6, max: 3, history: 9}"), @r"
    1:10: warning: role `a`: minimum 6 is above maximum 3; the maximum wins; raise it or lower the minimum
    1:30: warning: role `a`: `history` has no effect on a single role; move it to the `'*'` block
    ");
    assert_eq!(valid("a: {min: 6, max: 3}").roles[0].limits.bound(100), 3);
}

#[test]
fn two_roles_for_the_same_workers_are_pointed_out() {
    insta::assert_snapshot!(said("a: {w: x, app: one}\nb: {w: x, app: two}\nc: {w: x, app: one}"), @"3:1: warning: roles `a` and `c` both set the number of `x` workers; give each a `worker:` of its own; else each undoes what the other does");
}

#[test]
fn an_allowed_key_passes() {
    let allowed = ["colour".to_owned()];
    assert!(Config::parse("a: {colour: red}", &Environment::default(), &allowed).strict().is_ok());
    assert!(Config::parse("a: {color: red}", &Environment::default(), &allowed).strict().is_err());
}

#[test]
fn everything_beyond_the_original_is_read() {
    let config = valid(
        "'*':
  timezone: Europe/Oslo
  schedule: [{when: mon-fri 08:00-18:00, min: 2}, {when: '* * 24-26 dec *', maximum: 1}]
  budget: [{workers: 40}, {cost: 1.5, roles: [a]}]
  prices: {huge: 2.5}
a:
  queues: [one, two]
  processing: auto
  policy: ratio
  job_worker_ratio: {1: 1, 3: 30}
  down_delay: 7
  source: {kind: sidekiq, url: redis://cache/1, timeout: 2, prefix: x}
  actuator: heroku
  max_step_up: 4
  max_step_down: 1
  cooldown: 60
  grace: 12
  stop_busy: true
  paused: true
b: {dynosize: performance-m}
c: {dynosize: huge}",
    );
    let [a, b, c] = config.roles.as_slice() else { panic!("three roles") };
    assert_eq!(a.queues.iter().map(|queue| queue.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!((a.policy, a.job_worker_ratio.needed(29), a.learn_processing), (Policy::Ratio, 1, true));
    let source = a.source.as_ref().unwrap();
    assert_eq!((source.kind(), source.text("prefix")), ("sidekiq", Some("x")));
    assert_eq!(source.seconds("timeout"), Some(&Duration::from_secs(2)));
    assert_eq!(source.url("url").unwrap().reveal().path(), "/1");
    assert_eq!(a.actuator.as_ref().map(|part| part.kind()), Some("heroku"));
    assert_eq!((a.max_step_up.map(|n| n.get()), a.max_step_down.map(|n| n.get())), (Some(4), Some(1)));
    assert_eq!((a.cooldown, a.grace), (Duration::from_secs(60), Duration::from_secs(12)));
    assert_eq!((a.stop_busy, a.paused, a.down_delay), (true, true, Duration::from_secs(7)));
    assert_eq!((a.price, b.price, c.price), (Some(0.035), Some(0.35), Some(2.5)));
    assert_eq!(config.budgets[0].roles.len(), 3);
    assert_eq!((config.budgets[1].cost_per_hour, config.budgets[1].roles.len()), (Some(1.5), 1));
    // A Monday at nine in Oslo, and Christmas.
    let minimum = |unix| b.limits_at(Timestamp::from_unix_seconds(unix)).minimum;
    assert_eq!((minimum(1_772_438_400), minimum(1_772_352_000)), (2, 1));
}

#[test]
fn what_a_part_needs_and_what_would_count_twice_is_told_with_its_place() {
    insta::assert_snapshot!(said(
        "a: {source: {kind: sql, url: 'postgres://a/b'}, actuator: webhook}
b: {queues: [jobs, mail, jobs], actuator: {kind: command, timeout: 5}}"
    ), @"
    1:13: error: role `a`: source `sql` has no `query`; write it as `{kind: sql, query: …}`
    1:59: error: role `a`: actuator `webhook` has no `url`; write it as `{kind: webhook, url: …}`
    2:26: error: role `b`: `queues` names `jobs` twice; leave one of them out
    2:43: error: role `b`: actuator `command` has no `command`; write it as `{kind: command, command: …}`
    ");
}

#[test]
fn every_error_of_the_structured_keys_is_told_with_its_place() {
    insta::assert_snapshot!(said(
        "'*': {timezone: Europe/Olso, budget: {worker: 3}, prices: {a: x}}
a:
  policy: proportionl
  source: sidekik
  actuator: {kind: heroku, colour: red}
  schedule: [{when: never, min: 1}, {min: 2}, 3, {when: mon, mx: 1}]
  queues: []
  job_worker_ratio: {0: 1}
  paused: maybe
  budget: {workers: 1}
b:
  source: {url: redis://x}
  actuator: {kind: webhook, url: nowhere, token: [1], url: again}
  processing: automatic"
    ), @r#"
    1:17: error: role `*`: `timezone` must be the name of a time zone, but this is the text "Europe/Olso"; did you mean `Europe/Oslo`?
    1:38: error: role `*`: a budget has no cap; write it as `{workers: 20}` or `{cost: 2.5, roles: [a, b]}`
    1:39: error: role `*`: budget has no key `worker`; did you mean `workers`?
    1:63: error: role `*`: `a` must be an amount of money per hour, 0 or more, but this is the text "x"; the default is those of Heroku
    3:11: error: role `a`: `policy` must be the name of a policy, but this is the text "proportionl"; did you mean `proportional`?
    4:11: error: role `a`: there is no source `sidekik`; did you mean `sidekiq`?
    5:28: error: role `a`: actuator `heroku` has no key `colour`; the keys are kind, url
    6:21: error: role `a`: `when`: `never` is not 0 to 7 or sun, mon, tue, wed, thu, fri, sat; write days and hours, `mon-fri 08:00-18:00`, or five fields as in a crontab
    6:37: error: role `a`: a rule of `schedule` has no `when`; write it as `[{when: mon-fri 08:00-18:00, minimum: 2}]`
    6:47: error: role `a`: `schedule` must be a list of `{when, minimum, maximum}`, but this is the number 3; write it as `[{when: mon-fri 08:00-18:00, minimum: 2}]`
    6:62: error: role `a`: schedule has no key `mx`; did you mean `max`?
    7:11: error: role `a`: `queues` is an empty list; name at least one, or leave the key out
    8:21: error: role `a`: `job_worker_ratio` must be a mapping of workers to waiting jobs, both 1 or more, but this is a mapping; write it as `{1: 1, 2: 25, 3: 50}`
    9:11: error: role `a`: `paused` must be true or false, but this is the text "maybe"; the default is false
    10:11: warning: role `a`: `budget` has no effect on a single role; move it to the `'*'` block
    12:11: error: role `b`: `source` names no kind; the kinds are rabbitmq, amqp, sidekiq, resque, bullmq, celery, rq, delayed_job, solid_queue, good_job, river, oban, pgmq, sql, prometheus, http, command
    13:34: error: role `b`: `url` is not a URL: relative URL without a base; write it as https://host/path
    13:50: error: role `b`: `token` must be text, but this is something else; leave the key out for the default (none)
    13:55: error: role `b`: `actuator`: `url` is given twice; it is given first in line 13; keep one of the two
    14:15: error: role `b`: `processing` must be a number of seconds above 0, up to a year, but this is the text "automatic"; the default is 10
    "#);
    insta::assert_snapshot!(said("'*': {budget: {cost: 1, roles: [resise, b]}}\nresize: {}\nb: {dynosize: odd}\nc: {}"), @r"
    1:15: error: role `b` is under a budget of money, but `odd` has no price; add it to the `'*'` block: `prices: {odd: 0.1}`
    1:33: error: a budget names the role `resise`, which is not there; did you mean `resize`?
    ");
    insta::assert_snapshot!(said("'*': {budget: {workers: 2}}\na: {min: 2}\nb: {}"), @"1:15: warning: the minimums of the roles under this budget add up to 3, above its 2 workers; raise it or lower the minimums");
}

#[test]
fn secrets_are_not_repeated() {
    let text = "a: {broker: 'hunter2', apikey: 4711}";
    assert!(!said(text).contains("hunter2") && !said(text).contains("4711"), "{}", said(text));
}

proptest! {
    /// Whatever the text, there is an answer, and its places lie within the text, between characters.
    #[test]
    fn no_text_is_too_strange(text in "([*'\"a-d:{}\\[\\],&|>#!%@`?~. \n\t0-9é€🦀-]|queue|max: |deadline:|: |\n  |\r\n){0,40}") {
        let checked = parse(&text);
        prop_assert!(checked.clone().strict().is_ok() || !checked.diagnostics().is_empty());
        for diagnostic in checked.diagnostics() {
            let range = diagnostic.place.range();
            prop_assert!(text.get(range.clone()).is_some(), "{range:?} of {text:?}: {diagnostic}");
            prop_assert!(diagnostic.place.line >= 1 && diagnostic.place.column >= 1, "{diagnostic}");
        }
    }
}

#[test]
fn what_is_no_yaml_is_shown_where_it_is() {
    for (text, line) in [
        ("'*': {minimum: 0}\nresize:\n  queue: 'abc\nother: {min: 2}\n", 4),
        ("a: {}\nb:\n\t- c", 3),
        ("é: {}\nb: [1, 2\n", 3),
    ] {
        let error = Config::parse(text, &Environment::default(), &[]).strict().unwrap_err();
        let place = error.diagnostics[0].place;
        assert!(place.line >= 2, "{error}");
        let before = &text[..place.start];
        assert_eq!(before.matches('\n').count() + 1, place.line as usize, "{error}: {line}");
        assert!(place.end <= text.len() && place.start <= place.end, "{place:?}");
    }
}
