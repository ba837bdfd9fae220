//! The .fbp language, fact by fact.

use fbp::{Cause, Connection, Endpoint, Options, PortName, Process, parse, parse_with};
use serde_json::{Value, json};

fn edges(text: &str) -> Vec<String> {
    let graph = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    graph.connections.iter().map(Connection::to_string).collect()
}

fn causes(text: &str) -> Vec<String> {
    let error = parse(text).expect_err(text);
    error.diagnostics().iter().map(|diagnostic| diagnostic.to_string()).collect()
}

#[test]
fn statements_end_by_comma_comment_line_end_or_not_at_all() {
    let expected = ["a out -> in b", "c out -> in d"];
    for text in [
        "a(A) -> b(B)\nc(C) -> d(D)",
        "a(A) -> b(B)\r\nc(C) -> d(D)\r\n",
        "a(A) -> b(B)\u{2028}c(C) -> d(D)\u{2029}",
        "a(A) -> b(B), c(C) -> d(D),",
        "a(A) -> b(B), # first\n   c(C) -> d(D) # second",
        "a(A) -> b(B) c(C) -> d(D)",
        "a(A)->b(B)c(C)->d(D)",
        "\n\n  a(A) -> b(B)  \n \n c(C) -> d(D)  ",
    ] {
        assert_eq!(edges(text), expected, "{text:?}");
    }
    assert!(causes("a(A) -> b(B),,c(C) -> d(D)")[0].starts_with("1:14: Expected a node"));
    assert!(causes("a(A) ->\nb(B)")[0].contains("found the end of the line"));
}

#[test]
fn white_space_is_spaces() {
    let error = parse("a(A)\tOUT -> IN b(B)").unwrap_err();
    assert_eq!(
        error.diagnostics()[0].cause,
        Cause::Unexpected { expected: "a node, a packet or `INPORT=`", found: Some('\t') }
    );
    assert_eq!(error.diagnostics()[0].help.as_deref(), Some("white space is spaces; replace the tab"));
}

#[test]
fn names_have_their_characters() {
    let graph = parse("_my-node_1(my-lib/The-Component_2) OUT.a_1 -> _IN.2[10] b2(9)").unwrap();
    assert_eq!(graph.processes["_my-node_1"].component, "my-lib/The-Component_2");
    assert_eq!(graph.processes["b2"].component, "9");
    assert_eq!(graph.connections[0].tgt(), &Endpoint::new("b2", "_in.2").at(10));
    assert!(
        causes("a(foo.bar)")[0]
            .starts_with("1:6: Expected more of the component's name, `:` or `)`, found `.`")
    );
    assert!(causes("a(A) OUT[x] -> b(B)")[0].starts_with("1:10: Expected the index of the port"));
    assert_eq!(
        causes("a(A) OUT[4294967296] -> b(B)"),
        ["1:10: The index of this port is larger than 4294967295"]
    );
}

#[test]
fn nodes_refer_back_and_later_definitions_win() {
    let graph = parse("a(A:x=1) -> b(B)\na() -> b\na(A2) -> b()\nb(:k=v)").unwrap();
    assert_eq!(graph.processes["a"].component, "A2");
    assert_eq!(Value::from(graph.processes["a"].metadata.clone()), json!({"x": 1}));
    assert_eq!(graph.processes["b"].component, "B");
    assert_eq!(Value::from(graph.processes["b"].metadata.clone()), json!({"k": "v"}));
    assert_eq!(causes("a() -> b(B)"), ["1:1: Node \"a\" does not have a component defined"]);
}

#[test]
fn metadata_has_keys_routes_and_positions() {
    let graph = parse("a(A:x=10,y=007,color=a/b_1,main,eq=a=b)").unwrap();
    let expected = json!({"x": 10, "y": 7, "color": "a/b_1", "routes": "main", "eq": "a=b"});
    assert_eq!(Value::from(graph.processes["a"].metadata.clone()), expected);
    assert_eq!(causes("a(A:x=ten)"), ["1:5: The position `x=ten` is not a number"]);
    assert!(causes("a(A:x=-1)")[0].starts_with("1:7: Expected more metadata or `)`, found `-`"));
    assert!(causes("a(A:)")[0].starts_with("1:5: Expected metadata"));
}

#[test]
fn ports_are_in_and_out_when_left_out() {
    assert_eq!(edges("a(A) -> b(B) -> c(C)"), ["a out -> in b", "b out -> in c"]);
    assert_eq!(edges("a(A) X -> b(B) Y -> Z c(C)"), ["a x -> in b", "b y -> z c"]);
    let text = "a(A) -> b(B)\nDEFAULT_INPORT=I\nDEFAULT_OUTPORT=O\nDEFAULT_OUTPORT=P\na -> b";
    assert_eq!(edges(text), ["a out -> in b", "a p -> i b"]);
}

#[test]
fn a_bare_node_in_a_chain_keeps_its_incoming_edge() {
    assert_eq!(edges("a(A) -> b -> c(C)\nb(B)"), ["a out -> in b", "b out -> in c"]);
    assert_eq!(edges("a(A) -> IN b OUT -> c(C)\nb(B)"), ["a out -> in b", "b out -> in c"]);
    // Two words: the one that is a node is the node.
    assert_eq!(edges("a(A) -> X b -> c(C), b(B)"), ["a out -> x b", "b out -> in c"]);
    assert_eq!(edges("a(A) -> b X -> c(C), b(B)"), ["a out -> in b", "b x -> in c"]);
    assert_eq!(edges("a(A) -> X[1] b -> c(C), b(B)"), ["a out -> x[1] b", "b out -> in c"]);
    assert_eq!(edges("a(A) -> b X[1] -> c(C), b(B)"), ["a out -> in b", "b x[1] -> in c"]);
}

#[test]
fn ports_are_exported() {
    let graph = parse("INPORT=a.IN.x:Public\nOUTPORT=a.OUT:OUT\nINPORT=b.IN:PUBLIC\na(A) -> b(B)").unwrap();
    assert_eq!(graph.inports.len(), 1, "the last of a name wins");
    assert_eq!(graph.inports["public"].process, "b");
    assert_eq!(graph.outports["out"].port, "out");
    assert_eq!(parse("INPORT=(a/B).IN:X").unwrap().inports["x"].process, "_a_B_1");
    assert_eq!(parse("INPORT=INPORT.IN:X INPORT(C)").unwrap().inports["x"].process, "INPORT");
    assert!(causes("inport=a.IN:X\na(A)")[0].starts_with("1:7: Expected"));
    assert!(causes("INPORT= a.IN:X\na(A)")[0].starts_with("1:8: Expected a node, found ` `"));
    assert!(causes("INPORT=a:X\na(A)")[0].starts_with("1:9: Expected `.` and a port"));
    let error = parse("EXPORT=a.IN:X").unwrap_err();
    assert_eq!(error.diagnostics()[0].cause, Cause::Export);
    assert!(error.diagnostics()[0].help.as_ref().is_some_and(|help| help.contains("INPORT=")));
}

#[test]
fn packets_are_text_or_json() {
    let packet = |text: &str| {
        let graph = parse(&format!("{text} -> IN a(A)")).unwrap_or_else(|error| panic!("{text}: {error}"));
        graph.initials().next().unwrap().data.clone()
    };
    assert_eq!(packet("''"), json!(""));
    assert_eq!(packet("'it\\'s # no -> comment'"), json!("it's # no -> comment"));
    assert_eq!(packet("'C:\\dir\\n'"), json!("C:\\dir\\n"));
    assert_eq!(packet("'two\nlines'"), json!("two\nlines"));
    assert_eq!(packet("{ \"a\": [1, 2.5e3, {}], \"b\": null }"), json!({"a": [1, 2500.0, {}], "b": null}));
    assert_eq!(packet("[\n\ttrue\n]\n"), json!([true]));
    assert_eq!(packet("\"text\\u00e9\""), json!("texté"));
    assert_eq!(packet("-1.5"), json!(-1.5));
    assert_eq!(parse("5->IN a(A)").unwrap().initials().next().unwrap().data, json!(5));
    assert_eq!(
        causes("true -> IN a(A)"),
        ["1:1: Edge to \"a\" port \"in\" is connected to an undefined source node \"true\""]
    );
    assert_eq!(edges("true(T) -> IN a(A)"), ["true out -> in a"]);
    assert_eq!(causes("'open -> IN a(A)"), ["1:1: The text of this packet is not closed"]);
    assert!(causes("{\"a\": nul} -> IN a(A)")[0].starts_with("1:10: Invalid JSON: expected ident"));
    assert!(causes("'foo' --> Display(Output)")[0].starts_with("1:6: Expected `->` and the port"));
    assert!(causes("a(A) -> 'foo'")[0].starts_with("1:9: Expected a port and its node"));
}

#[test]
fn case_counts_for_nodes_always_and_for_ports_on_demand() {
    let text = "INPORT=Read.In:FileName\nRead(R) OutPut -> InPut Show(S)";
    let graph = parse(text).unwrap();
    assert_eq!(graph.connections[0].to_string(), "Read output -> input Show");
    assert!(graph.inports.contains_key("filename"));
    let graph = parse_with(text, Options { case_sensitive: true }).unwrap().graph;
    assert!(graph.case_sensitive);
    assert_eq!(graph.connections[0].to_string(), "Read OutPut -> InPut Show");
    assert_eq!(graph.inports["FileName"].port, "In");
    let graph = parse_with("a(A) -> b(B)", Options { case_sensitive: true }).unwrap().graph;
    assert_eq!(graph.connections[0].to_string(), "a OUT -> IN b");
    assert!(
        graph.same_port(&PortName::from("a"), &PortName::from("a"))
            && !graph.same_port(&"a".into(), &"A".into())
    );
}

#[test]
fn anonymous_nodes_are_counted_by_name() {
    let graph = parse("(a/B:x=1) -> (a/B)\n(C) -> (a-b/C)").unwrap();
    let names: Vec<_> = graph.processes.keys().map(fbp::NodeName::as_str).collect();
    assert_eq!(names, ["_a_B_1", "_a_B_2", "_C_1", "_a_b/C_1"]);
    // A name that the text gives to another node is passed over.
    let graph = parse("_C_1(D) -> (C)").unwrap();
    assert_eq!(graph.processes["_C_1"], Process::new("D"));
    assert_eq!(graph.processes["_C_2"], Process::new("C"));
}

#[test]
fn annotations_are_properties_and_other_comments_are_not() {
    let text = "# @runtime msgflo\n# @name My graph-1.0\n # @indented no\n# @bad a,b\n# !runtime old\na(A) # @behind no\n# @last yes";
    let parsed = parse_with(text, Options::default()).unwrap();
    let expected = json!({"environment": {"type": "msgflo"}, "name": "My graph-1.0", "last": "yes"});
    assert_eq!(Value::from(parsed.graph.properties.clone()), expected);
    assert_eq!(parsed.graph.runtime(), Some("msgflo"));
    let comments: Vec<_> =
        parsed.comments.iter().map(|comment| (comment.text.as_str(), comment.trailing)).collect();
    assert_eq!(
        comments,
        [(" @indented no", false), (" @bad a,b", false), (" !runtime old", false), (" @behind no", true)]
    );
}

#[test]
fn undefined_nodes_are_named_with_their_place() {
    let expected = [
        "1:8: Inport \"p\" is connected to an undefined target node \"n\"",
        "2:9: Outport \"p\" is connected to an undefined source node \"m\"",
        "3:11: Edge from \"d\" port \"out\" is connected to an undefined target node \"e\"",
        "4:1: Edge to \"d\" port \"in\" is connected to an undefined source node \"f\"",
        "5:19: IIP containing \"localhost\" is connected to an undefined target node \"g\"",
        "6:1: Node \"h\" does not have a component defined",
        "7:1: Node \"i\" does not have a component defined",
    ];
    let text = "INPORT=n.IN:P\nOUTPORT=m.OUT:P\nd(D) -> X e\nf -> d\n'localhost' -> IN g\nh() -> d\ni";
    assert_eq!(causes(text), expected);
}

#[test]
fn ports_without_a_connection_are_warned_of() {
    let parsed = parse_with("IN a(A) OUT -> b(B)\nX b", Options::default()).unwrap();
    let warnings: Vec<_> = parsed.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        ["1:1: Port \"in\" is not part of a connection", "2:1: Port \"x\" is not part of a connection"]
    );
}

#[test]
fn hostile_text_is_refused_and_not_followed() {
    assert_eq!(parse(&" ".repeat(fbp::MAX_INPUT + 1)).unwrap_err().diagnostics()[0].cause, Cause::TooLarge);
    let nested = |depth: usize| format!("{}{} -> IN a(A)", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&nested(fbp::MAX_JSON_DEPTH)).is_ok());
    assert!(matches!(
        parse(&nested(fbp::MAX_JSON_DEPTH + 1)).unwrap_err().diagnostics()[0].cause,
        Cause::Json(_)
    ));
    assert!(parse(&nested(1_000_000)).is_err());
    assert_eq!(causes(&"?\n".repeat(10 * fbp::MAX_DIAGNOSTICS)).len(), fbp::MAX_DIAGNOSTICS);
    let undefined: String = (0..10 * fbp::MAX_DIAGNOSTICS).map(|node| format!("a(A) -> n{node}\n")).collect();
    assert_eq!(causes(&undefined).len(), fbp::MAX_DIAGNOSTICS);
    let chain = "a(A)".to_owned() + &" -> a".repeat(100_000);
    assert_eq!(parse(&chain).unwrap().connections.len(), 100_000);
}

#[test]
fn what_is_said_twice_is_warned_of_and_the_last_counts() {
    let text =
        "a(A) OUT -> IN b(B), a(A) X -> IN b\na(C) OUT -> IN b\na out -> in b, '1' -> IN b, '1' -> IN b";
    for case_sensitive in [true, false] {
        let parsed = parse_with(text, Options { case_sensitive }).expect("only warnings");
        assert_eq!(parsed.graph.processes["a"].component, "C");
        let warnings: Vec<_> =
            parsed.warnings.iter().map(|warning| (warning.position.line, warning.label())).collect();
        assert_eq!(warnings.len(), 3, "{warnings:?}");
    }
}
