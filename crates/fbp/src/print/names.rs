//! How names, values and metadata are written, and what is lost by that.

use std::collections::{HashMap, HashSet};

use indexmap::IndexSet;
use serde_json::Value;

use super::Loss;
use crate::language;
use crate::{ComponentName, Graph, Metadata, NodeName, PortName};

/// The name with everything that the language does not allow replaced by `_`.
fn allowed(name: &str, allowed: fn(char) -> bool) -> String {
    name.chars().map(|character| if allowed(character) { character } else { '_' }).collect()
}

/// As [`allowed`], for names that begin with a letter or `_`.
fn allowed_start(name: &str, continues: fn(char) -> bool) -> String {
    let name = allowed(name, continues);
    if name.starts_with(language::is_name_start) { name } else { format!("_{name}") }
}

/// Names that have been given, so that each is given once.
#[derive(Default)]
pub(super) struct Given {
    names: HashSet<String>,
    /// The number behind the last one of a name that was given with a number.
    numbers: HashMap<String, u64>,
}

impl Given {
    /// The name, or the first free one of `name_2`, `name_3` …
    fn give(&mut self, name: String, is_taken: impl Fn(&str) -> bool) -> String {
        let is_free = |name: &String| !self.names.contains(name) && !is_taken(name);
        let given = if is_free(&name) {
            name
        } else {
            let number = self.numbers.entry(name.clone()).or_insert(1);
            loop {
                *number += 1;
                let numbered = format!("{name}_{number}");
                if is_free(&numbered) {
                    break numbered;
                }
            }
        };
        self.names.insert(given.clone());
        given
    }
}

/// A name that the language can write, for a node whose own it cannot.
pub(super) fn node(node: &NodeName, graph: &Graph, given: &mut Given) -> String {
    let name = allowed_start(node.as_str(), language::is_node_character);
    given.give(name, |name| graph.processes.contains_key(name))
}

/// The component as it is written.
pub(super) fn component(node: &NodeName, component: &ComponentName, lost: &mut Vec<Loss>) -> String {
    if language::is_component_name(component.as_str()) {
        return component.as_str().to_owned();
    }
    let written = match allowed(component.as_str(), language::is_component_character) {
        empty if empty.is_empty() => "_".to_owned(),
        written => written,
    };
    lost.push(Loss::Component { node: node.clone(), written: written.clone() });
    written
}

/// The port as it reads back; each name is lost once, however often it is used.
pub(super) fn port(port: &PortName, case_sensitive: bool, lost: &mut IndexSet<(PortName, String)>) -> String {
    let mut name = port.as_str().to_owned();
    if !language::is_port_name(&name) {
        name = allowed_start(&name, language::is_port_character);
    }
    if !case_sensitive {
        name.make_ascii_lowercase();
    }
    if name != port.as_str() {
        lost.insert((port.clone(), name.clone()));
    }
    // By custom, ports are upper-case where case does not count.
    if case_sensitive { name } else { name.to_ascii_uppercase() }
}

/// The public name of an exported port, distinct from those that were given before.
pub(super) fn public(
    name: &PortName,
    case_sensitive: bool,
    given: &mut Given,
    lost: &mut IndexSet<(PortName, String)>,
) -> String {
    let mut renamed = IndexSet::new();
    let wanted = port(name, case_sensitive, &mut renamed);
    let written = given.give(wanted.clone(), |_| false);
    if written != wanted || !renamed.is_empty() {
        lost.insert((
            name.clone(),
            if case_sensitive { written.clone() } else { written.to_ascii_lowercase() },
        ));
    }
    written
}

/// The metadata of a node as it is written, without the colon, empty if nothing can be; and the entries that do not read back
/// from it.
pub(super) fn metadata(metadata: &Metadata) -> (String, Vec<Unwritten>) {
    let (mut entries, mut unwritten) = (Vec::new(), Vec::new());
    for (key, value) in metadata {
        let is_key = key
            .chars()
            .all(|character| language::is_metadata_character(character) && !"=,".contains(character));
        let text = metadata_text(value).filter(|_| is_key);
        let read = text.as_deref().and_then(|text| language::metadata_value(key, text));
        let entry = read.is_some().then(|| text.map(|text| format!("{key}={text}"))).flatten();
        if read.as_ref() != Some(value) {
            unwritten.push(Unwritten { key: key.clone(), value: value.clone(), written: entry.clone() });
        }
        entries.extend(entry);
    }
    (entries.join(","), unwritten)
}

/// An entry of a node's metadata that its own form does not hold.
pub(super) struct Unwritten {
    pub(super) key: String,
    pub(super) value: Value,
    /// What comes closest, if anything does.
    pub(super) written: Option<String>,
}

/// The text that comes closest to the value; positions are rounded.
fn metadata_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => {
            let allowed =
                text.chars().all(|character| language::is_metadata_character(character) && character != ',');
            allowed.then(|| text.clone())
        }
        Value::Number(number) if number.is_u64() => Some(number.to_string()),
        Value::Number(number) => {
            let rounded = number.as_f64()?.round();
            (rounded >= 0.0).then(|| format!("{:.0}", rounded.abs()))
        }
        _ => None,
    }
}

/// The annotation that sets the property, its key and value, and whether it says all.
pub(super) fn annotation<'g>(key: &'g str, value: &'g Value) -> (Option<(&'g str, &'g str)>, bool) {
    let (written, text, is_whole) = match (key, value) {
        ("environment", Value::Object(environment)) => {
            ("runtime", environment.get("type"), environment.len() == 1)
        }
        // Read back, it would set the environment.
        ("runtime", _) => ("runtime", None, false),
        (key, value) => (key, Some(value), true),
    };
    let text = text.and_then(Value::as_str).filter(|text| language::is_annotation_value(text));
    let annotation = text.filter(|_| language::is_annotation_key(written)).map(|text| (written, text));
    (annotation, annotation.is_some() && is_whole)
}

/// The packet's content, unless it would read as a node.
pub(super) fn packet(data: &Value) -> Option<String> {
    match data {
        Value::Null | Value::Bool(_) => None,
        Value::String(text)
            if text.chars().all(|character| !is_control(character)) && !text.ends_with('\\') =>
        {
            Some(format!("'{}'", text.replace('\'', "\\'")))
        }
        other => Some(other.to_string()),
    }
}

/// Characters that would spread the packet over several lines, or that nobody would see.
fn is_control(character: char) -> bool {
    character.is_control() || crate::span::is_newline(character)
}
