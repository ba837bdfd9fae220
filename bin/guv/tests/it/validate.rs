//! `guv validate`.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use crate::program::{Place, told};

const WRONG: &str = "\
'*': {min: 0, app: ours}
resize:
  queue:resize.IN
encode:
  dealine: 90
  processing: 30s
  max: 4
";

#[test]
fn a_valid_configuration() {
    let place = Place::with("'*': {min: 0}\nresize: {queue: resize.IN, deadline: 180}\nencode: {}");
    insta::assert_snapshot!(told(&place.call(&["validate", "autoscale.guv.yaml"])), @r"
    status 0
    --- stdout
    autoscale.guv.yaml is valid: 2 roles
    --- stderr
    ");
}

#[test]
fn every_error_is_shown_at_its_place() {
    insta::assert_snapshot!(told(&Place::with(WRONG).call(&["validate", "autoscale.guv.yaml"])));
}

#[test]
fn the_same_for_programs() {
    insta::assert_snapshot!(told(&Place::with(WRONG).call(&["validate", "autoscale.guv.yaml", "--json"])));
    let valid = Place::with("a: {}").call(&["validate", "autoscale.guv.yaml", "--json"]);
    insta::assert_snapshot!(told(&valid), @r#"
    status 0
    --- stdout
    {
      "file": "autoscale.guv.yaml",
      "valid": true,
      "diagnostics": []
    }
    --- stderr
    "#);
}

#[test]
fn an_impossible_deadline_is_an_error_and_a_vain_key_a_warning() {
    let place = Place::with("a: {processing: 25, stddev: 12, deadline: 50}\nb: {history: 10}");
    insta::assert_snapshot!(told(&place.call(&["validate", "autoscale.guv.yaml"])));
    let place = Place::with("b: {history: 10}");
    insta::assert_snapshot!(told(&place.call(&["validate", "autoscale.guv.yaml"])));
}

#[test]
fn the_text_may_come_from_anywhere() {
    let place = Place::with("from-file: {}");
    let valid = |output: std::process::Output| {
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let said = [
        valid(place.call(&["validate", "-c", "a: {max: 3}"])),
        valid(place.call(&["validate", "-c", "autoscale.guv.yaml"])),
        valid(place.call(&["validate", "-f", "autoscale.guv.yaml"])),
        valid(place.command(&["validate"]).env("GUV_CONFIG", "a: {}\nb: {}").output().unwrap()),
        valid(place.command(&["validate"]).env("GUV_CONFIG", "autoscale.guv.yaml").output().unwrap()),
        valid(place.command(&["-f", "autoscale.guv.yaml"]).arg0("guv-validate").output().unwrap()),
        {
            let mut command = place.command(&["validate", "-"]);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(b"a: {}").unwrap();
            valid(child.wait_with_output().unwrap())
        },
    ];
    insta::assert_snapshot!(said.concat(), @r"
    <--config> is valid: 1 role
    autoscale.guv.yaml is valid: 1 role
    autoscale.guv.yaml is valid: 1 role
    <GUV_CONFIG> is valid: 2 roles
    autoscale.guv.yaml is valid: 1 role
    autoscale.guv.yaml is valid: 1 role
    <stdin> is valid: 1 role
    ");
}

#[test]
fn a_configuration_that_cannot_be_read() {
    let place = Place::new();
    let said = [place.call(&["validate", "nowhere.yaml"]), place.call(&["validate"])].each_ref().map(told);
    insta::assert_snapshot!(said.join("\n"), @r"
    status 78
    --- stdout
    --- stderr
      × nowhere.yaml cannot be read: No such file or directory (os error 2)
      help: check the name; it must be a text file with the configuration


    status 78
    --- stdout
    --- stderr
      × no configuration is given
      help: name its file, as in `guv validate autoscale.guv.yaml`, or set
            GUV_CONFIG
    ");
    let bad = place.command(&["validate", "-c", "a: {}"]).env("GUV_BROKER", "hunter2").output().unwrap();
    insta::assert_snapshot!(told(&bad), @r"
    status 78
    --- stdout
    --- stderr
      × GUV_BROKER is not the URL of a broker, such as amqp://user:password@host/
      │ vhost
      help: correct the variable, or unset it
    ");
}

#[test]
fn an_allowed_key_passes() {
    let place = Place::with("a: {colour: red, shape: round}");
    let call =
        |keys: &[&str]| place.call(&[&["validate", "autoscale.guv.yaml"], keys].concat()).status.code();
    assert_eq!(call(&["--allow-key", "colour", "--allow-key", "shape"]), Some(0));
    assert_eq!(call(&["--allow-key", "colour"]), Some(78));
}

#[test]
fn a_broker_that_nothing_reads_is_an_error_at_its_place() {
    let place = Place::with(
        "'*': {broker: 'localhost:5672'}\na: {}\nb: {}\nc: {source: sidekiq, broker: 'redis://h'}",
    );
    insta::assert_snapshot!(told(&place.call(&["validate", "autoscale.guv.yaml"])), @r"
    status 78
    --- stdout
    --- stderr
      × autoscale.guv.yaml has an error

    Error: 
      × role `a`: its broker is not RabbitMQ (localhost:, not amqp: or amqps:)
       ╭─[autoscale.guv.yaml:1:15]
     1 │ '*': {broker: 'localhost:5672'}
       ·               ────────┬───────
       ·                       ╰── not a broker of RabbitMQ
     2 │ a: {}
       ╰────
      help: write amqp://user:password@host/vhost, or name the `source:` that
            reads it
    ");
    let status = |config: &str| place.call(&["validate", "-c", config]).status.code();
    assert_eq!(status("a: {broker: 'redis://h'}"), Some(78));
    assert_eq!(status("a: {source: amqp, broker: 'http://h'}"), Some(78));
    for good in
        ["a: {broker: 'amqp://h'}", "a: {broker: 'https://h'}", "a: {source: {kind: rq, url: 'redis://h'}}"]
    {
        assert_eq!(status(good), Some(0), "{good}");
    }
}
