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
