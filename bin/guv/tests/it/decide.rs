//! `guv decide`.

use crate::program::{Place, told};

#[test]
fn a_decision_is_explained() {
    let place = Place::with(
        "'*': {policy: proportional}\nresize: {min: 0, max: 40}\nencode: {max: 3, concurrency: 4}",
    );
    let decide = |rest: &[&str]| told(&place.call(&[&["decide", "autoscale.guv.yaml"], rest].concat()));
    let said = [
        decide(&["--role", "resize", "--ready", "40", "--in-flight", "0"]),
        decide(&[
            "--role",
            "resize",
            "--ready",
            "0",
            "--in-flight",
            "0",
            "--workers",
            "20",
            "--window",
            "18,12,9",
        ]),
        decide(&["--role", "encode", "--ready", "0", "--consumers", "2", "--workers", "2", "--drains"]),
        decide(&["--role", "encode", "--ready", "100", "--workers", "2"]),
        decide(&["--role", "encode"]),
        decide(&["--role", "nobody"]),
        decide(&["--ready", "3"]),
    ];
    insta::assert_snapshot!(said.join("\n"), @r"
    status 0
    --- stdout
    resize: 40 jobs (40 ready + 0 in flight), 40 × 10 s in 38.368 s = 11 workers; it is not known how many workers there are → 11
    --- stderr

    status 0
    --- stdout
    resize: 0 jobs (0 ready + 0 in flight), 0 × 10 s in 38.368 s = 0 workers; 20 workers now: down as far as the window allows, it needed 18 → 18
    --- stderr

    status 0
    --- stdout
    encode: at most 8 jobs (0 ready + at most 8 in flight), 4 at once = 2 turns, 2 × 10 s in 38.368 s = 1 worker; 2 workers now: down, nothing in the window needed more → 1
    --- stderr

    status 0
    --- stdout
    encode: at most 108 jobs (100 ready + at most 8 in flight), 4 at once = 27 turns, 27 × 10 s in 38.368 s = 8 workers, at most the maximum of 3; 2 workers now: up at once → 3
    --- stderr

    status 0
    --- stdout
    encode: the number of ready messages is not known; hold
    --- stderr

    status 78
    --- stdout
    --- stderr
      × there is no role `nobody`
      help: say --role and one of: resize, encode


    status 78
    --- stdout
    --- stderr
      × there are several roles
      help: say --role and one of: resize, encode
    ");
}

#[test]
fn the_same_for_programs() {
    let output = Place::new().call(&[
        "decide",
        "-c",
        "r: {policy: proportional}",
        "--ready",
        "9",
        "--in-flight",
        "1",
        "--json",
    ]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["target"], &json["estimate"]["jobs"]), (&3.into(), &10.into()));
}
