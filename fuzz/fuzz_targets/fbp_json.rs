//! Any text is a JSON graph or an error; a graph is written as JSON that reads as itself, and as .fbp text that parses.
#![no_main]

use fbp::{Loss, Options, from_json, parse_json, parse_with, print, to_json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let graph = match parse_json(text) {
        Ok(parsed) => parsed.graph,
        Err(error) => {
            for diagnostic in error.diagnostics() {
                assert!(text.get(diagnostic.span.start..diagnostic.span.end).is_some(), "{diagnostic}");
            }
            return;
        }
    };
    assert_eq!(from_json(&to_json(&graph)).expect("what was written reads"), graph);
    let printed = print(&graph);
    let options = Options { case_sensitive: graph.case_sensitive };
    let again = parse_with(&printed.text, options).expect("printed text parses").graph;
    let is_lossless = printed.lost.iter().all(|loss| *loss == Loss::CaseSensitive);
    assert_eq!(again == graph, is_lossless, "{}\n{:?}", printed.text, printed.lost);
});
