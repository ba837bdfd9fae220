//! Any text is a graph or an error; a graph from .fbp text is printed without loss and parses to itself.
#![no_main]

use fbp::{Options, parse_with, print_with_comments};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, &str)| {
    let (case_sensitive, text) = input;
    let options = Options { case_sensitive };
    let parsed = match parse_with(text, options) {
        Ok(parsed) => parsed,
        Err(error) => {
            for diagnostic in error.diagnostics() {
                assert!(text.get(diagnostic.span.start..diagnostic.span.end).is_some(), "{diagnostic}");
            }
            return;
        }
    };
    let printed = print_with_comments(&parsed.graph, &parsed.comments);
    assert!(printed.lost.iter().all(|loss| *loss == fbp::Loss::CaseSensitive), "{:?}", printed.lost);
    let again = parse_with(&printed.text, options).expect("printed text parses");
    assert_eq!(again.graph, parsed.graph, "{}", printed.text);
    assert_eq!(again.comments.len(), parsed.comments.len(), "{}", printed.text);
    let fixed = print_with_comments(&again.graph, &again.comments);
    assert_eq!(fixed.text, printed.text);
    assert!(fbp::diff(&parsed.graph, &again.graph).is_empty());
});
