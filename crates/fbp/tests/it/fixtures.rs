//! Whole graphs.

use fbp::{Options, diff, from_json, parse, parse_with, print, print_with_comments, to_json};

const IMAGERESIZE: &str = include_str!("../fixtures/imageresize.fbp");
const IMAGERESIZE_JSON: &str = include_str!("../fixtures/imageresize.json");
const ROUND_ROBIN: &str = include_str!("../fixtures/round-robin.fbp");

#[test]
fn the_image_resizing_service_is_the_same_in_both_forms() {
    let graph = parse(IMAGERESIZE).unwrap();
    assert_eq!(to_json(&graph), IMAGERESIZE_JSON);
    let from_json = from_json(IMAGERESIZE_JSON).unwrap();
    assert_eq!(diff(&graph, &from_json), []);
    assert_eq!(parse(&print(&from_json).text).unwrap(), graph);
    assert_eq!(graph.runtime(), Some("msgflo"));
}

#[test]
fn formatting_keeps_comments_and_changes_nothing_twice() {
    for text in [IMAGERESIZE, ROUND_ROBIN] {
        let parsed = parse_with(text, Options::default()).unwrap();
        let once = print_with_comments(&parsed.graph, &parsed.comments);
        assert_eq!(once.lost, []);
        let again = parse_with(&once.text, Options::default()).unwrap();
        assert_eq!((&again.graph, &again.comments), (&parsed.graph, &parsed.comments));
        assert_eq!(print_with_comments(&again.graph, &again.comments).text, once.text);
    }
    let parsed = parse_with(IMAGERESIZE, Options::default()).unwrap();
    assert_eq!(
        print_with_comments(&parsed.graph, &parsed.comments).text,
        IMAGERESIZE,
        "it is in the canonical layout"
    );
}

#[test]
fn round_robin_and_pubsub_are_nodes_like_others() {
    let parsed = parse_with(ROUND_ROBIN, Options::default()).unwrap();
    assert_eq!(parsed.graph.runtime(), None, "the old form is a comment");
    insta::assert_snapshot!(print_with_comments(&parsed.graph, &parsed.comments).text);
}
