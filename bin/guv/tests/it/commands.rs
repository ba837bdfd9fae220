//! What is the same for all commands.

use std::process::Stdio;

use crate::program::{Place, told};

#[test]
fn help_has_examples() {
    let place = Place::new();
    insta::assert_snapshot!(told(&place.call(&["--help"])));
    insta::assert_snapshot!(told(&place.call(&["run", "--help"])));
}

#[test]
fn wrong_usage_is_status_2() {
    let place = Place::new();
    assert_eq!(place.call(&["rum"]).status.code(), Some(2));
    assert_eq!(place.call(&[]).status.code(), Some(2));
    assert_eq!(place.call(&["decide", "-c", "a: {}", "--ready", "-1"]).status.code(), Some(2));
}

#[test]
fn a_simulation_says_what_it_needs() {
    let place = Place::new();
    let said = |arguments: &[&str]| told(&place.call(&[&["simulate", "-c", "a: {}"], arguments].concat()));
    assert!(said(&[]).contains("<--load <JOBS>|--trace <FILE>>"), "{}", said(&[]));
    let picture = said(&["--load", "1", "--picture", "x.png"]);
    assert!(picture.starts_with("status 2") && picture.contains("ends with .svg"), "{picture}");
    assert!(told(&place.call(&["config", "set", "--help"])).contains("--file <FILE>"));
}

#[test]
fn completions_and_the_manual_page() {
    let place = Place::new();
    let text = |arguments: &[&str]| {
        let output = place.call(arguments);
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    for shell in ["bash", "zsh", "fish"] {
        let script = text(&["completions", shell]);
        assert!(script.contains("allow-key") && script.contains("oneshot"), "{shell}");
    }
    assert!(text(&["man"]).contains(".TH guv 1"));
}

#[test]
fn a_reader_that_has_gone_is_not_a_failure() {
    for arguments in [&["man"][..], &["validate", "-c", "a: {}"], &["decide", "-c", "a: {}"]] {
        let mut child = Place::new().command(arguments).stdout(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn nothing_is_coloured_where_nobody_can_see_it() {
    let place = Place::new();
    for arguments in [&["--help"][..], &["validate", "-c", "a: {x: 1}"]] {
        assert!(!told(&place.call(arguments)).contains('\u{1b}'));
    }
}
