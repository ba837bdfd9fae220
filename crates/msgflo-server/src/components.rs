//! Components as editors see them: those of the library, and those of participants that have announced themselves. Pure.

use std::collections::BTreeMap;

use msgflo_coordinator::{Library, PUB_SUB, ROUND_ROBIN};
use msgflo_core::{ComponentName, Participant, Port};
use serde_json::{Map, Value, json};

use crate::protocol::{Protocol, Signal};

/// Every component, by name.
pub(crate) fn list(library: &Library, participants: &[Participant]) -> Vec<Signal> {
    let heard = by_component(library, participants);
    let mut names: Vec<ComponentName> = library.components().chain(heard.keys()).cloned().collect();
    names.sort();
    names.dedup();
    let own = names.iter().map(|name| describe(name, library, heard.get(name).copied()));
    let bindings = [
        binding(ROUND_ROBIN, &["in", "delay", "retries"], &["out", "deadletter"]),
        binding(PUB_SUB, &["in"], &["out"]),
    ];
    own.chain(bindings).collect()
}

/// One component.
pub(crate) fn one(name: &ComponentName, library: &Library, participants: &[Participant]) -> Signal {
    let name = library.full_name(name);
    let heard = by_component(library, participants);
    describe(&name, library, heard.get(&name).copied())
}

/// What a component that has no source is shown as: its announcement, or its command. The language, and the text.
pub(crate) fn pseudo_source(
    name: &ComponentName,
    library: &Library,
    participants: &[Participant],
) -> Option<(&'static str, String)> {
    let name = library.full_name(name);
    if let Some(participant) = by_component(library, participants).get(&name) {
        let text = serde_saphyr::to_string(participant).unwrap_or_default();
        return Some(("discovery", text));
    }
    let command = library.recipe(&name).map(|recipe| recipe.command.clone());
    command
        .or_else(|| library.host(&name).map(|host| format!("# served by {host}")))
        .map(|text| ("shell", text))
}

fn by_component<'p>(
    library: &Library,
    participants: &'p [Participant],
) -> BTreeMap<ComponentName, &'p Participant> {
    participants
        .iter()
        .filter(|participant| !participant.component.as_str().is_empty())
        .map(|participant| (library.full_name(&participant.component), participant))
        .collect()
}

fn describe(name: &ComponentName, library: &Library, heard: Option<&Participant>) -> Signal {
    let recipe = library.recipe(name);
    let mut payload = json!({"name": name, "subgraph": false});
    let description =
        heard.and_then(|it| it.label.as_ref()).or_else(|| recipe.and_then(|it| it.description.as_ref()));
    let icon = heard.and_then(|it| it.icon.as_ref()).or_else(|| recipe.and_then(|it| it.icon.as_ref()));
    for (key, text) in [("description", description), ("icon", icon)] {
        if let Some(text) = text {
            payload[key] = text.as_str().into();
        }
    }
    let none = Vec::new();
    let (inports, outports) = match (heard, recipe) {
        (Some(heard), _) => (&heard.inports, &heard.outports),
        (None, Some(recipe)) => (&recipe.inports, &recipe.outports),
        (None, None) => (&none, &none),
    };
    payload["inPorts"] = ports(inports);
    payload["outPorts"] = ports(outports);
    Signal::new(Protocol::Component, "component", payload)
}

fn binding(name: &str, inports: &[&str], outports: &[&str]) -> Signal {
    let ports =
        |ports: &[&str]| -> Value { ports.iter().map(|port| json!({"id": port, "type": "all"})).collect() };
    let payload = json!({"name": name, "subgraph": false, "icon": "random", "description": "a binding in the broker",
        "inPorts": ports(inports), "outPorts": ports(outports)});
    Signal::new(Protocol::Component, "component", payload)
}

/// The ports that are to be seen, with what the protocol allows of what they say of themselves.
fn ports(ports: &[Port]) -> Value {
    let shown = ports.iter().filter(|port| !port.hidden).map(|port| {
        let mut shown = Map::new();
        shown.insert("id".into(), port.id.as_str().into());
        shown.insert("type".into(), port.data_type.as_deref().unwrap_or("any").into());
        if let Some(description) = &port.description {
            shown.insert("description".into(), description.as_str().into());
        }
        for (key, is_fine) in [
            ("schema", Value::is_string as fn(&Value) -> bool),
            ("required", Value::is_boolean),
            ("addressable", Value::is_boolean),
            ("values", Value::is_array),
            ("default", |value| !value.is_null()),
        ] {
            if let Some(value) = port.extra.get(key).filter(|value| is_fine(value)) {
                shown.insert(key.into(), value.clone());
            }
        }
        Value::Object(shown)
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn ports_show_what_the_protocol_allows_and_no_more() {
        let library = r#"{"namespace": "core", "components": {
            "Repeat": {"command": "repeat", "inports": ["in"], "outports": [{"id": "out", "type": "int", "queue": "q"}]}}}"#;
        let library = Library::parse(library, Path::new(".")).unwrap();
        let listed = list(&library, &[]);
        assert_eq!(
            listed[0].payload,
            json!({"name": "core/Repeat", "subgraph": false, "inPorts": [{"id": "in", "type": "any"}],
                "outPorts": [{"id": "out", "type": "int"}]})
        );
        let names: Vec<_> = listed.iter().map(|signal| signal.payload["name"].clone()).collect();
        assert_eq!(names, ["core/Repeat", "msgflo/RoundRobin", "msgflo/PubSub"]);
    }

    #[test]
    fn what_a_participant_says_comes_before_what_the_library_says() {
        let mut participant = Participant::new("a-1", "a", "core/Repeat");
        let mut hidden = Port::new("SECRET", None);
        hidden.hidden = true;
        let mut port = Port::new("IN", Some("a.IN".into()));
        port.extra.insert("schema".into(), Value::Null);
        port.extra.insert("required".into(), true.into());
        participant.inports = vec![port, hidden];
        let signal = one(&"core/Repeat".into(), &Library::default(), &[participant]);
        assert_eq!(signal.payload["inPorts"], json!([{"id": "IN", "type": "any", "required": true}]));
    }
}
