use crate::Call;

const LIBRARY: &str = r#"{"name": "other", "msgflo": {"namespace": "imageresize", "components": {
    "ResizeImage": "imageresize resize --role #ROLE",
    "HttpApi": {"command": "imageresize serve", "with": ["StoreResult"]}}}}"#;
const SERVICE: &str = "\
web(imageresize/HttpApi) RESIZEIMAGE -> IN resize(imageresize/ResizeImage)
resize OUT -> IN store(imageresize/StoreResult)
";

#[test]
fn a_component_that_is_not_in_the_library_is_shown_at_its_place() {
    let graph = SERVICE.replace("imageresize/HttpApi", "imageresise/HttpApi");
    let call = Call::with(&[("service.fbp", &graph), ("package.json", LIBRARY)]);
    for command in [&["graph", "validate", "service.fbp"][..], &["run", "service.fbp", "--port", "0"]] {
        let (status, out, err) = call.msgflo(command);
        assert_eq!((status, out.as_str()), (78, ""));
        insta::assert_snapshot!("unknown_component", err);
    }
}

#[test]
fn every_syntax_error_is_shown() {
    let call = Call::with(&[("bad.fbp", "a(A) OUT -> -> IN b(B)\nc(C OUT -> IN b\n")]);
    let (status, _, err) = call.msgflo(&["graph", "show", "bad.fbp"]);
    assert_eq!(status, 78);
    insta::assert_snapshot!(err);
}

#[test]
fn problems_are_data_for_programs() {
    let call = Call::with(&[("bad.fbp", "a(A) OUT -> IN b(B)\nc(C OUT -> IN b\n")]);
    let (status, out, err) = call.msgflo(&["graph", "validate", "bad.fbp", "--json"]);
    assert_eq!((status, err.as_str()), (78, ""));
    let said: serde_json::Value = serde_json::from_str(&out).expect("it is JSON");
    assert_eq!((&said["valid"], &said["problems"][0]["line"]), (&false.into(), &2.into()), "{said}");
}

/// As programs write graphs: all in one line.
#[test]
fn a_problem_in_a_very_long_line_is_shown_with_what_stands_around_it() {
    let many: String = (0..3000).map(|n| format!("node{n}(A) OUT -> IN node{}(A), ", n + 1)).collect();
    let call = Call::with(&[("long.fbp", &format!("{many} broken( OUT"))]);
    let (status, _, err) = call.msgflo(&["graph", "show", "long.fbp"]);
    assert_eq!(status, 78, "{err}");
    assert!(err.contains("long.fbp:1:") && err.contains("node3000") && err.len() < 2000, "{err}");
}

#[test]
fn a_state_folder_is_one_networks_at_a_time() {
    let call = Call::with(&[("service.fbp", SERVICE), ("package.json", LIBRARY)]);
    let state = call.path().join("state");
    std::fs::create_dir_all(&state).unwrap();
    let taken = std::fs::File::create(state.join("lock")).unwrap();
    taken.try_lock().unwrap();
    let run = ["run", "service.fbp", "--port", "0", "--state", "state"];
    let (status, _, err) = call.msgflo(&run);
    assert!(status == 1 && err.contains("another `msgflo run` uses the state folder"), "{err}");
}

#[test]
fn a_good_graph_is_validated_and_written_as_a_procfile() {
    let call = Call::with(&[("service.fbp", SERVICE), ("package.json", LIBRARY)]);
    let (status, out, err) = call.msgflo(&["graph", "validate", "service.fbp"]);
    assert_eq!((status, err.as_str()), (0, ""));
    assert_eq!(out, "service.fbp: 3 nodes, 2 connections, no problem\n");
    let (status, out, _) = call.msgflo(&["procfile", "service.fbp", "--include", "guv: guv run"]);
    assert_eq!(status, 0);
    assert_eq!(out, "web: imageresize serve\nresize: imageresize resize --role resize\nguv: guv run\n");
}

#[test]
fn a_graph_goes_to_json_and_back() {
    let call = Call::with(&[("service.fbp", SERVICE)]);
    assert_eq!(call.msgflo(&["graph", "convert", "service.fbp", "service.json"]).0, 0);
    assert_eq!(call.msgflo(&["graph", "convert", "service.json", "again.fbp"]).0, 0);
    assert_eq!(
        call.msgflo(&["graph", "diff", "service.fbp", "again.fbp"]),
        (0, String::new(), String::new())
    );
    std::fs::write(call.path().join("again.fbp"), SERVICE.replace("OUT", "ERROR")).unwrap();
    let (status, out, _) = call.msgflo(&["graph", "diff", "service.fbp", "again.fbp"]);
    assert_eq!(status, 1);
    insta::assert_snapshot!(out);
}

#[test]
fn what_fbp_cannot_say_is_not_lost_silently() {
    let graph = r#"{"processes": {"a b": {"component": "A", "metadata": {"x": -1}}},
        "connections": [{"data": true, "tgt": {"process": "a b", "port": "in"}}],
        "groups": [{"name": "all", "nodes": ["a b"]}]}"#;
    let call = Call::with(&[("g.json", graph)]);
    let (status, out, err) = call.msgflo(&["graph", "convert", "g.json", "g.fbp"]);
    assert_eq!((status, out.as_str()), (1, ""));
    insta::assert_snapshot!(err);
    assert!(!call.path().join("g.fbp").exists());
    assert_eq!(call.msgflo(&["graph", "convert", "g.json", "g.fbp", "--lossy"]).0, 0);
}

#[test]
fn formatting_settles() {
    let call = Call::with(&[("service.fbp", &SERVICE.replace(" -> ", "   ->   "))]);
    let check = &["graph", "fmt", "service.fbp", "--check"];
    assert_eq!(call.msgflo(check).0, 1);
    assert_eq!(call.msgflo(&["graph", "fmt", "service.fbp"]).0, 0);
    assert_eq!(call.msgflo(check).0, 0);
}

#[test]
fn what_a_graph_says_twice_is_shown_at_its_place() {
    let text = "a(my/Double) OUT -> IN b(my/Double)\na(my/Source) OUT -> IN b\na out -> in b\n";
    let call = Call::with(&[("twice.fbp", text)]);
    let (status, out, err) = call.msgflo(&["graph", "validate", "twice.fbp"]);
    assert_eq!((status, out.as_str()), (78, ""));
    insta::assert_snapshot!(err);
}

#[test]
fn a_graph_without_anything_is_told_from_a_good_one() {
    let call = Call::with(&[("empty.fbp", "# later\n")]);
    let said = call.msgflo(&["graph", "validate", "empty.fbp"]);
    assert_eq!(said, (0, "empty.fbp: there is nothing in it\n".to_owned(), String::new()));
}

#[test]
fn a_library_that_is_named_and_has_no_components_is_no_library() {
    let call = Call::with(&[("service.fbp", SERVICE), ("other.json", r#"{"name": "other"}"#)]);
    let (status, _, err) = call.msgflo(&["graph", "validate", "service.fbp", "--library", "other.json"]);
    assert!(status == 78 && err.contains("imageresize/HttpApi"), "{status}: {err}");
    assert_eq!(call.msgflo(&["graph", "validate", "service.fbp"]).0, 0, "nobody says what can be started");
}
