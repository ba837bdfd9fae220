//! The layout of printed text, and the names of what it loses.

use fbp::{Graph, Options, from_json, parse, parse_with, print, print_with_comments};

fn printed(text: &str) -> String {
    let printed = print(&parse(text).expect(text));
    assert_eq!(printed.lost, []);
    printed.text
}

#[test]
fn nodes_are_defined_where_they_are_first_mentioned_in_their_own_order() {
    assert_eq!(printed("a -> b -> c\na(A) b(B) c(C:x=1)"), "a(A) OUT -> IN b(B)\nb OUT -> IN c(C:x=1)\n");
    assert_eq!(printed("a(A)\nb(B)\nc(C)\na -> c"), "a(A)\nb(B)\na OUT -> IN c(C)\n");
    assert_eq!(printed("z(Z) 'x' -> IN a(A)"), "z(Z)\n'x' -> IN a(A)\n");
    assert_eq!(printed(""), "");
}

#[test]
fn sections_are_apart() {
    let text = "'x' -> IN a(A)\nOUTPORT=a.OUT:O\n# @name n\nINPORT=a.IN:I\n# @runtime msgflo\n";
    let expected = "# @name n\n# @runtime msgflo\n\nINPORT=a.IN:I\nOUTPORT=a.OUT:O\n\n'x' -> IN a(A)\n";
    assert_eq!(printed(text), expected);
}

#[test]
fn packets_keep_their_content() {
    let text = "'it\\'s' -> IN a(A)\n\"ends in \\\\\" -> IN a\n\"two\\nlines\" -> IN a\n{\"k\":[1.5,null]} -> IN a\n";
    assert_eq!(printed(text), text);
}

#[test]
fn anonymous_nodes_stay_anonymous_if_their_name_cannot_be_written() {
    let text = "'x' -> IN (a-b/C:x=1) OUT -> IN (a-b/C) OUT -> IN d(D)\n";
    assert_eq!(printed(text), text);
    // The counting decides the order of statements.
    let text = "(a-b/C) OUT -> IN d(D)\nINPORT=(a-b/C).IN:X\n(a-b/C)\nINPORT=(a-b/C).IN:W\n";
    let graph = parse(text).unwrap();
    assert_eq!(parse(&printed(text)).unwrap(), graph);
}

#[test]
fn comments_stay_with_their_part() {
    let text =
        "#a\n#b\na(A) -> b(B) #behind\n#odd\nDEFAULT_INPORT=X\n#c\na -> b\n # @not an annotation\n#end";
    let mut parsed = parse_with(text, Options::default()).unwrap();
    let expected =
        "#a\n#b\na(A) OUT -> IN b(B) #behind\n\n#odd\n#c\na OUT -> X b\n\n # @not an annotation\n#end\n";
    assert_eq!(print_with_comments(&parsed.graph, &parsed.comments).text, expected);
    parsed.graph.connections.remove(0);
    let expected = "#odd\n#c\na(A) OUT -> X b(B)\n\n#a\n#b\n#behind\n # @not an annotation\n#end\n";
    assert_eq!(
        print_with_comments(&parsed.graph, &parsed.comments).text,
        expected,
        "even if the part is gone"
    );
}

#[test]
fn everything_that_is_lost_has_a_name() {
    let graph = from_json(include_str!("../fixtures/inexpressible.json")).unwrap();
    let printed = print(&graph);
    let lost: Vec<String> = printed.lost.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(format!("{}\n---\n{}\n", printed.text, lost.join("\n")));
    assert!(parse_with(&printed.text, Options { case_sensitive: true }).is_ok());
}

#[test]
fn a_graph_that_is_inconsistent_prints_as_text_that_parses() {
    let mut graph: Graph = parse("a(A) -> b(B), INPORT=b.IN:X").unwrap();
    graph.processes.shift_remove("b");
    let printed = print(&graph);
    assert_eq!(printed.text, "a(A)\n");
    let lost: Vec<String> = printed.lost.iter().map(ToString::to_string).collect();
    assert_eq!(
        lost,
        ["exported port `x` of an undefined node", "connection `a out -> in b` of an undefined node"]
    );
}

#[test]
fn issue_001_a_node_that_cannot_stay_anonymous_is_still_defined() {
    // No first and second node of that base name: the third cannot be written without a name, and gets one late.
    let graph = from_json(
        r#"{"processes": {"_a_b/C_3": {"component": "a-b/C"}, "d": {"component": "D"}},
            "outports": {"o": {"process": "_a_b/C_3", "port": "out"}},
            "connections": [{"src": {"process": "d", "port": "out"}, "tgt": {"process": "_a_b/C_3", "port": "in"}},
                            {"src": {"process": "_a_b/C_3", "port": "out"}, "tgt": {"process": "d", "port": "in"}}]}"#,
    );
    let printed = print(&graph.unwrap());
    let lost: Vec<String> = printed.lost.iter().map(ToString::to_string).collect();
    assert_eq!(lost, ["name of node `_a_b/C_3`, written as `_a_b_C_3`"]);
    assert_eq!(parse(&printed.text).unwrap().processes["_a_b_C_3"].component, "a-b/C");
}

#[test]
fn issue_002_definitions_do_not_overtake_the_line_that_mentions_them() {
    let text = "a(A)\nb(B)\na OUT -> IN c(C)\n";
    let graph = parse(text).unwrap();
    assert_eq!(printed(text), text);
    assert!(parse(&printed(text)).unwrap().processes.keys().eq(graph.processes.keys()));
}

#[test]
fn many_nodes_of_one_name_are_told_apart() {
    let processes: Vec<String> =
        (0..1000).map(|node| format!("\"n{}\": {{\"component\": \"C\"}}", " ".repeat(node))).collect();
    let graph = from_json(&format!("{{\"processes\": {{{}}}}}", processes.join(","))).unwrap();
    assert_eq!(parse(&print(&graph).text).unwrap().processes.len(), graph.processes.len());
}
