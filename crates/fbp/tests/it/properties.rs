//! Laws that hold for every text and every graph.

use fbp::{
    Connection, Edge, Endpoint, ExportedPort, Graph, Group, Initial, Metadata, NodeName, Options, PortName,
    Process, from_json, parse, parse_with, print, to_json,
};
use indexmap::IndexMap;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value};

/// JSON values, with numbers of every kind.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has finite numbers only", |number| number.is_finite())
            .prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((".{0,3}", inner), 0..4).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn metadata(key: &'static str, value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Metadata> {
    vec((key, value), 0..3).prop_map(|entries| entries.into_iter().collect::<Map<_, _>>()).boxed()
}

/// The parts that a graph is made of, so that one strategy makes both the graphs that the language can express and
/// those that it cannot.
#[derive(Clone)]
struct Parts {
    node: &'static str,
    component: &'static str,
    port: &'static str,
    metadata: BoxedStrategy<Metadata>,
    properties: BoxedStrategy<Metadata>,
    data: BoxedStrategy<Value>,
    elsewhere: BoxedStrategy<Metadata>,
    groups: usize,
    case_sensitive: BoxedStrategy<bool>,
}

fn expressible() -> Parts {
    let entry = prop_oneof![
        ("[a-wzA-Z0-9_/]{0,4}", "[a-zA-Z0-9_/=]{0,4}".prop_map(Value::from)),
        ("[xy]", any::<u64>().prop_map(Value::from)),
        ("[xy]", any::<i64>().prop_map(Value::from)),
        (".{0,4}", json()),
    ];
    let property = prop_oneof![
        (".{0,4}", json()),
        ("[a-z][a-z_-]{0,5}", "[a-zA-Z0-9_.-][a-zA-Z0-9_. -]{0,6}".prop_map(Value::from)),
        Just(("environment".to_owned(), serde_json::json!({"type": "msgflo"}))),
    ];
    let is_packet = |value: &Value| !value.is_boolean() && !value.is_null();
    Parts {
        node: "[A-Za-z_][A-Za-z0-9_-]{0,3}",
        component: "[A-Za-z0-9_/-]{1,5}",
        port: "[a-z_][a-z.0-9_]{0,3}",
        metadata: vec(entry, 0..3).prop_map(|entries| entries.into_iter().collect()).boxed(),
        properties: vec(property, 0..3).prop_map(|entries| entries.into_iter().collect()).boxed(),
        data: json().prop_filter("bare words are nodes", is_packet).boxed(),
        elsewhere: prop_oneof![Just(Metadata::new()), any_metadata()].boxed(),
        groups: 2,
        case_sensitive: Just(false).boxed(),
    }
}

/// Entries with keys and values of any kind.
fn any_metadata() -> impl Strategy<Value = Metadata> {
    vec((".{0,4}", json()), 0..3).prop_map(|entries| entries.into_iter().collect())
}

fn anything() -> Parts {
    Parts {
        node: "[a-b/. _A0-]{0,3}|_a_b/C_[0-3]",
        component: "[a-b/. _A0-]{0,3}|a-b/C",
        port: "[a-bA-B0.-]{0,2}",
        metadata: metadata("[xyk=,]{0,2}", json()),
        properties: metadata("runtime|environment|[a-c]{1,2}|.", json()),
        data: json().boxed(),
        elsewhere: metadata("[a-c]", json()),
        groups: 2,
        case_sensitive: any::<bool>().boxed(),
    }
}

/// Graphs of those parts. Some connections lead to nodes that do not exist if `dangling`.
fn graph(parts: Parts, dangling: bool) -> impl Strategy<Value = Graph> {
    let process = (parts.component, parts.metadata.clone())
        .prop_map(|(component, metadata)| Process { component: component.into(), metadata });
    vec((parts.node, process), 1..6).prop_flat_map(move |processes| {
        let processes: IndexMap<NodeName, Process> =
            processes.into_iter().map(|(name, process)| (name.into(), process)).collect();
        let mut names: Vec<NodeName> = processes.keys().cloned().collect();
        if dangling {
            names.push("nowhere".into());
        }
        let node = proptest::sample::select(names);
        let end = (node.clone(), parts.port, proptest::option::of(any::<u32>()))
            .prop_map(|(process, port, index)| Endpoint { process, port: port.into(), index });
        let edge = (end.clone(), end.clone(), parts.elsewhere.clone())
            .prop_map(|(src, tgt, metadata)| Connection::from(Edge { src, tgt, metadata }));
        let initial = (parts.data.clone(), end, parts.elsewhere.clone())
            .prop_map(|(data, tgt, metadata)| Connection::from(Initial { data, tgt, metadata }));
        let export = (parts.port, node.clone(), parts.port, parts.elsewhere.clone()).prop_map(
            |(public, process, port, metadata)| {
                (PortName::from(public), ExportedPort { process, port: port.into(), metadata })
            },
        );
        let group = (".{0,3}", vec(node, 0..3), parts.elsewhere.clone())
            .prop_map(|(name, nodes, metadata)| Group { name, nodes, metadata });
        (
            parts.case_sensitive.clone(),
            parts.properties.clone(),
            vec(export.clone(), 0..3),
            vec(export, 0..3),
            vec(group, 0..=parts.groups),
            vec(prop_oneof![3 => edge, 1 => initial], 0..8),
        )
            .prop_map(move |(case_sensitive, properties, inports, outports, groups, connections)| {
                Graph {
                    case_sensitive,
                    properties,
                    inports: inports.into_iter().collect(),
                    outports: outports.into_iter().collect(),
                    groups,
                    processes: processes.clone(),
                    connections,
                }
            })
    })
}

/// Text that looks like the language, to reach further than any text would.
fn fbp_like() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "a",
        "b",
        "a(A)",
        "b(B:x=1,y=2)",
        "(a-b/C)",
        "(a/B)",
        "c()",
        "c(C:k)",
        "OUT",
        "IN[2]",
        " ",
        " -> ",
        "->",
        "\n",
        ",",
        "'it\\'s'",
        "'a\\",
        "{\"k\": [1.5]}",
        "-5e3",
        "\"t\"",
        "# c",
        "# @k v",
        "# @group {\"name\": \"g\", \"nodes\": [\"a\"]}\n",
        "# @node {\"node\": \"a\", \"metadata\": {\"x\": -1.5}}\n",
        "# @edge {\"src\": {\"node\": \"a\", \"port\": \"OUT\"}, \"tgt\": {\"node\": \"b\", \"port\": \"in\"}, \"metadata\": {\"route\": 3}}\n",
        "# @inport {\"public\": \"Z\", \"metadata\": {\"x\": 1}}\n",
        "# @property {\"key\": \"k\", \"value\": [1]}\n",
        "INPORT=",
        "OUTPORT=a.OUT:X",
        "(a-b/C).IN:Y",
        "DEFAULT_INPORT=P",
        "true",
        "\t",
        "\r\n",
        "é",
        "\u{2028}",
        "a(A) OUT -> IN b(B)\n",
        "INPORT=(a-b/C).IN:Z\n",
    ]);
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn options(case_sensitive: bool) -> Options {
    Options { case_sensitive }
}

proptest! {
    #[test]
    fn expressible_graphs_survive_printing(graph in graph(expressible(), false)) {
        let printed = print(&graph);
        prop_assert_eq!(&printed.lost, &[]);
        let parsed = parse(&printed.text).map_err(|error| TestCaseError::fail(format!("{error}\n{}", printed.text)))?;
        prop_assert_eq!(&parsed, &graph, "{}", printed.text);
        prop_assert!(parsed.processes.keys().eq(graph.processes.keys()), "the order is kept");
        prop_assert!(parsed.inports.keys().eq(graph.inports.keys()), "the order is kept");
    }

    #[test]
    fn whatever_is_lost_is_named(graph in graph(anything(), true)) {
        let printed = print(&graph);
        let parsed = parse_with(&printed.text, options(graph.case_sensitive))
            .map_err(|error| TestCaseError::fail(format!("{error}\n{}", printed.text)))?;
        let lost: Vec<_> = printed.lost.iter().filter(|loss| **loss != fbp::Loss::CaseSensitive).collect();
        prop_assert_eq!(parsed.graph == graph, lost.is_empty(), "{}\n{:?}", printed.text, lost);
        let again = print(&parsed.graph);
        prop_assert!(parse_with(&again.text, options(graph.case_sensitive)).is_ok_and(|again| again.graph == parsed.graph));
    }

    #[test]
    fn what_was_parsed_is_printed_without_loss(text in fbp_like()) {
        if let Ok(parsed) = parse_with(&text, Options::default()) {
            let printed = fbp::print_with_comments(&parsed.graph, &parsed.comments);
            prop_assert_eq!(&printed.lost, &[], "{}", printed.text);
            let again = parse_with(&printed.text, Options::default())
                .map_err(|error| TestCaseError::fail(format!("{error}\n{}", printed.text)))?;
            prop_assert_eq!(&again.graph, &parsed.graph, "{}", printed.text);
            prop_assert_eq!(again.comments.len(), parsed.comments.len(), "{}", printed.text);
            let fixed = fbp::print_with_comments(&again.graph, &again.comments).text;
            prop_assert_eq!(fixed, printed.text);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in prop_oneof![any::<String>(), fbp_like(), "[a-c(): \n',>-]*"]) {
        if let Err(error) = parse(&text) {
            prop_assert!(!error.diagnostics().is_empty());
            for diagnostic in error.diagnostics() {
                prop_assert!(text.get(diagnostic.span.start..diagnostic.span.end).is_some());
            }
        }
        if let Err(error) = from_json(&text) {
            prop_assert!(!error.diagnostics().is_empty());
        }
    }

    #[test]
    fn json_holds_every_graph(graph in graph(anything(), false)) {
        prop_assume!(graph.processes.values().all(|process| !process.component.as_str().is_empty()));
        let text = to_json(&graph);
        let parsed = from_json(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(&parsed, &graph);
        prop_assert_eq!(to_json(&parsed), text, "the order is kept");
    }

    #[test]
    fn a_difference_leads_to_the_target(from in graph(anything(), false), to in graph(anything(), false)) {
        prop_assert_eq!(fbp::diff(&from, &from), &[]);
        let mut changed = from.clone();
        fbp::diff(&from, &to).iter().for_each(|change| changed.apply(change));
        let rest = fbp::diff(&changed, &to);
        prop_assert_eq!(rest, &[]);
        let sorted = |graph: &Graph| {
            let mut graph = graph.clone();
            graph.connections.sort_by_key(|connection| format!("{connection:?}"));
            graph.groups.sort_by_key(|group| format!("{group:?}"));
            graph
        };
        prop_assert_eq!(sorted(&changed), sorted(&to));
    }
}
