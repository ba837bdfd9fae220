//! JSON graphs.

use fbp::{Cause, Connection, from_json, parse_json, to_json};
use serde_json::json;

fn causes(text: &str) -> Vec<String> {
    from_json(text).expect_err(text).diagnostics().iter().map(ToString::to_string).collect()
}

#[test]
fn every_part_is_read() {
    let graph = json!({
        "caseSensitive": true,
        "properties": {"name": "n", "environment": {"type": "msgflo", "content": "<p>"}},
        "inports": {"IN": {"process": "core/a b", "port": "In", "metadata": {"x": -1.5}}},
        "outports": {"OUT": {"process": "b", "port": "Out"}},
        "groups": [{"name": "g", "nodes": ["b"], "metadata": {"description": "d"}}],
        "processes": {"core/a b": {"component": "A.js", "metadata": {"x": 1}}, "b": {"component": "B"}},
        "connections": [
            {"src": {"process": "core/a b", "port": "Out", "index": 2}, "tgt": {"process": "b", "port": "In"},
             "metadata": {"route": 5}},
            {"data": null, "tgt": {"process": "b", "port": "In", "index": 0}},
        ],
    });
    let text = graph.to_string();
    let parsed = from_json(&text).unwrap();
    assert_eq!(serde_json::to_value(&parsed).unwrap(), graph);
    assert_eq!(from_json(&to_json(&parsed)).unwrap(), parsed);
    assert!(parsed.connections[1].as_initial().is_some_and(|initial| initial.data.is_null()));
}

#[test]
fn what_old_tools_write_is_tolerated() {
    let text = r#"{"processes": {"a": {"component": "A", "metadata": null}}, "exports": [], "tests": {}, "connections": [
        {"src": null, "data": 1, "tgt": {"process": "a", "port": "in", "index": null}},
        {"src": {"process": "a", "port": "out"}, "data": null, "tgt": {"process": "a", "port": "in"}}]}"#;
    let parsed = parse_json(text).unwrap();
    let keys = parsed.warnings.iter().filter_map(|warning| match &warning.cause {
        Cause::UnknownKey { key, .. } => Some(key.as_str()),
        _ => None,
    });
    assert_eq!(keys.collect::<Vec<_>>(), ["exports", "tests"]);
    let connections: Vec<_> = parsed.graph.connections.iter().map(Connection::to_string).collect();
    assert_eq!(connections, ["1 -> in a", "a out -> in a"]);
}

#[test]
fn wrong_shapes_are_reported_together() {
    let text = "{\"processes\": {\"a\": 1},\n \"connections\": [{\"tgt\": {\"port\": 2}}, {\"src\": {\"process\": \"a\", \"port\": \"o\"}, \
                \"data\": 1, \"tgt\": {\"process\": \"a\", \"port\": \"i\"}}],\n \"groups\": {}}";
    let expected = [
        "1:21: processes.a must be an object",
        "2:18: connections[0] lacks `src`",
        "2:26: connections[0].tgt lacks `process`",
        "2:35: connections[0].tgt.port must be text",
        "2:87: connections[1].data must be left out of an edge, which has a `src`",
        "3:12: groups must be a list",
    ];
    assert_eq!(causes(text), expected);
    assert_eq!(causes("[]"), ["1:1: the graph must be an object"]);
}

#[test]
fn graphs_are_checked() {
    let text = "{\"processes\": {\"a\": {}},\n \"inports\": {\"p\": {\"process\": \"x\", \"port\": \"in\"}},\n \"connections\": [{\"data\": {}, \"tgt\": {\"process\": \"y\", \"port\": \"in\"}}]}";
    let expected = [
        "1:17: Node \"a\" does not have a component defined",
        "2:32: Inport \"p\" is connected to an undefined target node \"x\"",
        "3:51: IIP containing \"{}\" is connected to an undefined target node \"y\"",
    ];
    assert_eq!(causes(text), expected);
}

#[test]
fn bad_json_is_located() {
    assert!(causes("{\n  \"processes\": {,}\n}")[0].starts_with("2:17: Invalid JSON: "));
    assert!(causes("")[0].starts_with("1:1: Invalid JSON: EOF"));
    assert!(causes("{\"processes\": {\"a\": {\"component\": \"\\ud800\"}}}")[0].contains("Invalid JSON"));
    assert!(from_json(&"[".repeat(1_000_000)).is_err());
    let deep = format!("{{\"properties\": {{\"a\": {}{}}}}}", "[".repeat(1000), "]".repeat(1000));
    assert!(causes(&deep)[0].contains("recursion limit"));
}
