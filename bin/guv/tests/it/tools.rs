//! The commands that need no server.

use std::io::Write;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::program::{Place, told};

fn fed(place: &Place, arguments: &[&str], input: &str) -> Output {
    let mut command = place.command(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn the_schema_is_json() {
    let output = Place::new().call(&["config", "schema"]);
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[test]
fn capacity_by_role_and_size() {
    let place = Place::with("resize: {p: 2, concurrency: 4, min: 0, max: 10}\nmail: {dynosize: odd}");
    insta::assert_snapshot!(told(&place.call(&["capacity", "autoscale.guv.yaml"])), @r"
    status 0
    --- stdout
    role                   workers            jobs/minute             cost/hour
    resize                    0–10             0.0–1200.0           0.000–0.350
    mail                       1–5               6.0–30.0                   ?–?
    all standard-1x           0–10                                  0.000–0.350
    all odd                    1–5                                          ?–?
    --- stderr
    ");
}

#[test]
fn job_statistics_are_put_in_and_the_rest_stays() {
    let place = Place::with("# ours\nresize: {p: 2, stddev: 9} # slow\n");
    let stats = r#"{"resize": {"average": 2.5}, "gone": {"average": 1, "stddev": 1}}"#;
    let output = fed(&place, &["update-jobstats", "autoscale.guv.yaml"], stats);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(told(&output).contains("there is no role `gone`"));
    let text = std::fs::read_to_string(place.path().join("autoscale.guv.yaml")).unwrap();
    assert_eq!(text, "# ours\nresize: {processing: 2.5} # slow\n");
    for useless in [r#"{"resize": {"average": 0}}"#, r#"{"resize": {"average": 1000}}"#] {
        let output = fed(&place, &["update-jobstats", "autoscale.guv.yaml"], useless);
        assert_eq!(output.status.code(), Some(78), "{}", told(&output));
    }
    assert_eq!(std::fs::read_to_string(place.path().join("autoscale.guv.yaml")).unwrap(), text);
}

#[test]
fn workers_of_a_log() {
    let place = Place::new();
    let log = "2015-03-02T10:00:00Z heroku[w.1]: Starting process with command `x`\n\
               2015-03-02T10:00:40Z app[w.1]: ready to go\n\
               2015-03-02T10:10:00Z heroku[w.1]: Stopping all processes with SIGTERM\n\
               2015-03-02T10:10:04Z heroku[w.1]: Process exited with status 0\n";
    let output = fed(&place, &["workerstats", "-", "--role", "w", "--started", "ready"], log);
    insta::assert_snapshot!(told(&output), @r"
    status 0
    --- stdout
    seconds     count      mean     least      most
    scale-up        0
    boot            1      40.0      40.0      40.0
    stop            1       4.0       4.0       4.0
    uptime          1     560.0     560.0     560.0
    ready for 92.7 % of the time from start to exit
    --- stderr
    ");
}

#[test]
fn a_rate_that_cannot_be_sustained_is_a_warning_that_fails() {
    let place = Place::with("resize: {processing: 2, max: 10}");
    let ok = place.call(&["validate", "autoscale.guv.yaml", "--rate", "resize=5"]);
    assert_eq!(ok.status.code(), Some(0), "{}", told(&ok));
    let call = ["validate", "autoscale.guv.yaml", "--rate", "resize=12"];
    insta::assert_snapshot!(told(&place.call(&call)), @r"
    status 1
    --- stdout
    autoscale.guv.yaml is valid: 1 role
    --- stderr
      ⚠ autoscale.guv.yaml can be used

    Warning: 
      ⚠ role `resize`: 12 jobs/s cannot be sustained: 10 workers do 5.000 jobs/s
       ╭─[autoscale.guv.yaml:1:30]
     1 │ resize: {processing: 2, max: 10}
       ·                              ─┬
       ·                               ╰── too few for that
       ╰────
      help: 24 workers would be needed
    ");
    insta::assert_snapshot!(told(&place.call(&[&call[..], &["--json"]].concat())), @r#"
    status 1
    --- stdout
    {
      "file": "autoscale.guv.yaml",
      "valid": true,
      "diagnostics": [
        {
          "severity": "warning",
          "message": "role `resize`: 12 jobs/s cannot be sustained: 10 workers do 5.000 jobs/s",
          "label": "too few for that",
          "help": "24 workers would be needed",
          "line": 1,
          "column": 30,
          "start": 29,
          "end": 31
        }
      ]
    }
    --- stderr
    "#);
}

#[test]
fn a_service_needs_a_key_to_seal_with() {
    let output = Place::new().call(&["serve"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(told(&output).contains("GUV_SECRET_KEY"), "{}", told(&output));
}
