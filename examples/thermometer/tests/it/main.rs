//! The program as it is called.

use std::process::Command;

fn thermometer(arguments: &[&str]) -> (Option<i32>, String, String) {
    let called =
        Command::new(env!("CARGO_BIN_EXE_thermometer")).args(arguments).env("NO_COLOR", "1").output();
    let output = called.expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn help_says_what_there_is_with_examples() {
    let (status, told, _) = thermometer(&["--help"]);
    assert_eq!(status, Some(0));
    for part in ["sensor", "display", "demo", "thermometer sensor --role inside"] {
        assert!(told.contains(part), "{part} in {told}");
    }
}

#[test]
fn what_it_does_not_know_is_a_matter_of_usage() {
    let (status, told, complaint) = thermometer(&["barometer"]);
    assert_eq!((status, told.as_str()), (Some(2), ""));
    assert!(complaint.contains("barometer"), "{complaint}");
}
