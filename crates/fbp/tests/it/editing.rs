//! Live edits and differences.

use fbp::{
    Change, Direction, Edge, EditError, Endpoint, ExportedPort, Group, Initial, Metadata, Process, diff,
    parse,
};
use serde_json::{Value, json};

fn metadata(value: Value) -> Metadata {
    value.as_object().cloned().expect("an object")
}

#[test]
fn nodes_are_added_changed_and_renamed() {
    let mut graph = parse("a(A:x=1,k=v) OUT -> IN b(B)\n'x' -> IN a\nINPORT=a.IN:P").unwrap();
    graph.add_group(Group { name: "g".into(), nodes: vec!["a".into()], ..Group::default() }).unwrap();
    graph.add_node("c".into(), Process::new("C")).unwrap();
    assert_eq!(graph.add_node("c".into(), Process::new("C")), Err(EditError::NodeExists("c".into())));
    assert_eq!(graph.add_node("d".into(), Process::new("")), Err(EditError::NoComponent("d".into())));
    let now = graph.change_node(&"a".into(), metadata(json!({"x": 5, "k": null, "y": 6}))).unwrap();
    assert_eq!(Value::from(now.clone()), json!({"x": 5, "y": 6}));
    assert_eq!(graph.set_component(&"c".into(), "C2".into()), Ok("C".into()));
    assert_eq!(graph.rename_node(&"a".into(), "b".into()), Err(EditError::NodeExists("b".into())));
    assert_eq!(graph.rename_node(&"zz".into(), "y".into()), Err(EditError::NoNode("zz".into())));
    graph.rename_node(&"a".into(), "first".into()).unwrap();
    assert_eq!(graph.processes.get_index_of("first"), Some(0), "it keeps its place");
    assert_eq!(graph.connections[0].to_string(), "first out -> in b");
    assert_eq!(graph.connections[1].to_string(), "\"x\" -> in first");
    assert_eq!(graph.inports["p"].process, "first");
    assert_eq!(graph.groups[0].nodes, ["first"]);
    assert_eq!(graph.check().count(), 0);
}

#[test]
fn a_node_goes_with_everything_that_needs_it() {
    let mut graph =
        parse("a(A) -> b(B) -> c(C)\n'x' -> IN b\nINPORT=b.IN:P\nOUTPORT=b.OUT:Q\nOUTPORT=c.OUT:R").unwrap();
    let removed = graph.remove_node(&"b".into()).unwrap();
    assert_eq!(removed.process, Process::new("B"));
    assert_eq!(removed.connections.len(), 3);
    assert_eq!((removed.inports, removed.outports), (vec!["p".into()], vec!["q".into()]));
    assert_eq!((graph.connections.len(), graph.outports.len(), graph.check().count()), (0, 1, 0));
    assert_eq!(graph.remove_node(&"b".into()), Err(EditError::NoNode("b".into())));
}

#[test]
fn edges_and_packets_are_found_whatever_the_case_of_their_ports() {
    let mut graph = parse("a(A) OUT -> IN b(B)").unwrap();
    let (src, tgt) = (Endpoint::new("a", "OUT"), Endpoint::new("b", "IN"));
    let again = graph.add_edge(Edge::new(src.clone(), tgt.clone()));
    assert_eq!(again, Err(EditError::EdgeExists("a OUT -> IN b".into())));
    graph.add_edge(Edge::new(src.clone().at(1), tgt.clone())).unwrap();
    let missing = graph.add_edge(Edge::new(Endpoint::new("x", "out"), tgt.clone()));
    assert_eq!(missing, Err(EditError::NoNode("x".into())));
    let now = graph.change_edge(&src, &tgt, metadata(json!({"route": 5}))).unwrap();
    assert_eq!(Value::from(now.clone()), json!({"route": 5}));
    assert_eq!(graph.remove_edge(&src, &tgt).unwrap().metadata, metadata(json!({"route": 5})));
    assert_eq!(graph.remove_edge(&src, &tgt), Err(EditError::NoEdge("a OUT -> IN b".into())));
    for data in [1, 2, 2] {
        graph.add_initial(Initial::new(data, tgt.clone())).unwrap();
    }
    assert_eq!(graph.remove_initials(&tgt, Some(&json!(2))).unwrap().len(), 2);
    assert_eq!(graph.remove_initials(&tgt, None).unwrap().len(), 1);
    assert!(matches!(graph.remove_initials(&tgt, None), Err(EditError::NoInitial(_))));
    assert_eq!((graph.edges().count(), graph.initials().count()), (1, 0));
}

#[test]
fn exports_and_groups_are_edited() {
    let mut graph = parse("a(A)").unwrap();
    for direction in [Direction::In, Direction::Out] {
        graph.add_export(direction, "p".into(), ExportedPort::new("a", "x")).unwrap();
        let again = graph.add_export(direction, "p".into(), ExportedPort::new("a", "y"));
        assert_eq!(again, Err(EditError::ExportExists("p".into())));
        graph.add_export(direction, "r".into(), ExportedPort::new("a", "z")).unwrap();
        assert_eq!(
            graph.rename_export(direction, &"p".into(), "r".into()),
            Err(EditError::ExportExists("r".into()))
        );
        graph.rename_export(direction, &"p".into(), "q".into()).unwrap();
        assert_eq!(graph.exports(direction).get_index_of("q"), Some(0));
        assert_eq!(graph.remove_export(direction, &"q".into()).unwrap().port, "x");
        assert_eq!(graph.remove_export(direction, &"q".into()), Err(EditError::NoExport("q".into())));
    }
    let group = |name: &str| Group { name: name.into(), nodes: vec!["a".into()], ..Group::default() };
    graph.add_group(group("g")).unwrap();
    graph.add_group(group("h")).unwrap();
    assert_eq!(graph.add_group(group("g")), Err(EditError::GroupExists("g".into())));
    assert_eq!(graph.rename_group("g", "h"), Err(EditError::GroupExists("h".into())));
    graph.rename_group("g", "i").unwrap();
    graph.change_group("i", metadata(json!({"description": "d"}))).unwrap();
    assert_eq!(graph.remove_group("i").unwrap().metadata, metadata(json!({"description": "d"})));
    assert_eq!(graph.remove_group("i"), Err(EditError::NoGroup("i".into())));
}

#[test]
fn differences_read_like_a_diff() {
    let from = parse("# @name one\na(A) -> b(B)\n'x' -> IN b\nINPORT=a.IN:P").unwrap();
    let mut to = parse("# @runtime msgflo\na(A2:x=1) -> c(C)\n'x' -> IN c\nINPORT=a.IN2:P").unwrap();
    to.groups.push(Group { name: "g".into(), ..Group::default() });
    let changes: Vec<String> = diff(&from, &to).iter().map(Change::to_string).collect();
    let expected = [
        "- a out -> in b",
        "- \"x\" -> in b",
        "- property name: \"one\"",
        "+ property environment: {\"type\":\"msgflo\"}",
        "~ node a: A → A2 {\"x\":1}",
        "- node b: B",
        "+ node c: C",
        "~ inport p: a.in → a.in2",
        "+ a out -> in c",
        "+ \"x\" -> in c",
        "+ group g",
    ];
    assert_eq!(changes, expected);
}
