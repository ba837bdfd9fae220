use crate::Call;

#[test]
fn help_has_examples() {
    let call = Call::with(&[]);
    let commands = ["run", "setup", "send", "tail", "dlq", "jobstats", "doctor", "test"];
    for command in [vec!["--help"]].into_iter().chain(commands.map(|command| vec![command, "--help"])) {
        let (status, out, _) = call.msgflo(&command);
        assert_eq!(status, 0);
        assert!(out.contains("Examples:"), "{command:?}: {out}");
    }
    assert_eq!(call.msgflo(&["fly"]).0, 2);
}

#[test]
fn a_broker_that_is_away_is_named_without_its_password() {
    let call = Call::with(&[]);
    // A port that is nobody else's, and where nobody listens.
    let kept = tokio::net::TcpSocket::new_v4().unwrap();
    kept.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = kept.local_addr().unwrap().port();
    let url = format!("amqp://me:secret@127.0.0.1:{port}");
    let (status, _, err) = call.msgflo(&["send", "--queue", "q", "--json", "1", "--broker", &url]);
    assert_eq!(status, 1);
    assert!(err.contains("cannot be reached") && err.contains("help:") && !err.contains("secret"), "{err}");
    let flat = err.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
    assert_eq!(flat.matches("Connection refused").count(), 1, "{err}");
}

#[test]
fn bad_words_are_answered_with_what_to_do() {
    let call = Call::with(&[
        ("a.fbp", "a(A) OUT -> IN b(B)\n"),
        ("scale.yaml", "c: {max: 3}\n"),
        ("who.json", r#"{"secret": ["protocol:grapf"]}"#),
    ]);
    for (arguments, status, said) in [
        (&["run", "none.fbp"][..], 78, "none.fbp cannot be read"),
        (&["run", "--host", "0.0.0.0", "--port", "0"], 78, "everybody who reaches it could do everything"),
        (&["run", "--permissions", "who.json", "--port", "0"], 78, "`protocol:grapf` is no capability"),
        (&["run", "a.txt"], 78, "neither .fbp nor .json"),
        (&["run", "a.fbp", "--ignore", "a,c"], 78, "there is no role `c` in the graph; it has `a`, `b`"),
        (&["run", "a.fbp", "--ignore", "a,b", "--scale", "scale.yaml"], 78, "is not a role that we start"),
        (
            &["run", "a.fbp", "--ignore", "a,b", "--broker", "carrier:pigeon", "--port", "0"],
            78,
            "no transport speaks `carrier:`",
        ),
        (&["run", "a.fbp", "--ignore", "a,b", "--broker", "ampq://x", "--port", "0"], 78, "embedded+mqtt:"),
        (&["send", "--queue", "q", "--json", "{"], 78, "--json is not JSON"),
        (&["register", "--role", "door"], 78, "not ROLE:FILE"),
        (&["status", "--url", "http://127.0.0.1:1"], 1, "no network answers"),
    ] {
        let (ended, out, err) = call.msgflo(arguments);
        assert_eq!((ended, out.as_str()), (status, ""), "{arguments:?}: {err}");
        let flat = err.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
        assert!(flat.contains(said), "{arguments:?}: {err}");
    }
}

#[test]
fn a_missing_program_is_found_before_it_is_missed() {
    let library = r#"{"components": {"A": "sh -c true", "B": "no-such-program --role #ROLE"}}"#;
    let call = Call::with(&[("a.fbp", "a(A) OUT -> IN b(B)\n"), ("package.json", library)]);
    let (status, out, _) = call.msgflo(&["doctor", "a.fbp", "--port", "0"]);
    assert_eq!(status, 1);
    assert!(out.contains("ok\tgraph: 2 participants, 1 connections"), "{out}");
    assert!(out.contains("BAD\tno-such-program: not installed"), "{out}");
}

#[test]
fn what_is_no_participant_is_told_so() {
    let call = Call::with(&[]);
    let (status, out, _) = call.msgflo(&["test", "participant", "sh -c 'exit 3'"]);
    assert_eq!(status, 1);
    assert!(
        out.contains("BAD\tannounces itself: it ended before it announced itself: exit status: 3"),
        "{out}"
    );
}
