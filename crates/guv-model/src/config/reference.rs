//! The reference: the keys as tables for the documentation, and as a JSON Schema for editors.

use serde_json::{Map, Value, json};

use super::keys::{KEYS, KeyInfo, KeyShape};
use super::parts::{ACTUATORS, PartInfo, SOURCES, Shape};
use crate::Policy;

/// Every key as the rows of a Markdown table.
pub fn keys_table() -> String {
    let mut table = "| key | also | default | meaning |\n|---|---|---|---|\n".to_owned();
    for key in KEYS {
        let aliases: Vec<_> = key.aliases.iter().map(|alias| format!("`{alias}`")).collect();
        table +=
            &format!("| `{}` | {} | {} | {} |\n", key.name, aliases.join(", "), key.default, key.meaning);
    }
    table
}

/// The kinds of sources or actuators, with their options, as the rows of a Markdown table.
pub fn parts_table(parts: &[PartInfo]) -> String {
    let mut table = "| kind | option | default | meaning |\n|---|---|---|---|\n".to_owned();
    for part in parts {
        let watched = if part.watched { "; watched: changes are seen at once" } else { "" };
        table += &format!("| `{}` | | | {}{watched} |\n", part.kind, part.meaning);
        for option in part.options {
            table += &format!("| | `{}` | {} | {} |\n", option.name, option.default, option.meaning);
        }
    }
    table
}

/// A JSON Schema (2020-12) of the configuration.
pub fn json_schema() -> Value {
    let block = |shared: bool| {
        let mut properties = Map::new();
        for key in KEYS.iter().filter(|key| shared || !key.shared_only) {
            for name in std::iter::once(&key.name).chain(key.aliases) {
                properties.insert((*name).to_owned(), key_schema(key));
            }
        }
        json!({"type": ["object", "null"], "properties": properties, "additionalProperties": false})
    };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "guv: how many workers each role gets",
        "type": "object",
        "minProperties": 1,
        "properties": {"*": {"$ref": "#/$defs/shared", "description": "for every role that does not say otherwise"}},
        "additionalProperties": {"$ref": "#/$defs/role"},
        "$defs": {"shared": block(true), "role": block(false)},
    })
}

fn key_schema(key: &KeyInfo) -> Value {
    let mut schema = match key.shape {
        KeyShape::Seconds => json!({"type": "number", "minimum": 0}),
        KeyShape::PositiveSeconds => json!({"type": "number", "exclusiveMinimum": 0}),
        KeyShape::SecondsOrAuto => {
            json!({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"const": "auto"}]})
        }
        KeyShape::Interval => json!({"type": "number", "minimum": 0.01}),
        KeyShape::Count => json!({"type": "integer", "minimum": 0}),
        KeyShape::PositiveCount => json!({"type": "integer", "minimum": 1}),
        KeyShape::Percent => json!({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 100}),
        KeyShape::Text | KeyShape::TimeZone => json!({"type": "string", "minLength": 1}),
        KeyShape::Texts => texts(),
        KeyShape::Flag => json!({"type": "boolean"}),
        KeyShape::Url => json!({"type": "string", "format": "uri"}),
        KeyShape::Policy => json!({"enum": Policy::ALL.map(Policy::name)}),
        KeyShape::Ratio => json!({
            "type": "object",
            "propertyNames": {"pattern": "^[1-9][0-9]*$"},
            "additionalProperties": {"type": "integer", "minimum": 1},
            "minProperties": 1,
        }),
        KeyShape::Source => parts_schema(SOURCES),
        KeyShape::Actuator => parts_schema(ACTUATORS),
        KeyShape::Schedule => {
            let count = json!({"type": "integer", "minimum": 0});
            let properties = json!({
                "when": {"type": "string"},
                "minimum": count, "min": count, "maximum": count, "max": count,
            });
            let item = json!({
                "type": "object", "properties": properties, "required": ["when"], "additionalProperties": false,
            });
            json!({"type": "array", "items": item})
        }
        KeyShape::Budget => {
            let one = json!({
                "type": "object",
                "properties": {
                    "workers": {"type": "integer", "minimum": 0},
                    "cost": {"type": "number", "minimum": 0},
                    "roles": texts(),
                },
                "anyOf": [{"required": ["workers"]}, {"required": ["cost"]}],
                "additionalProperties": false,
            });
            json!({"anyOf": [one, {"type": "array", "items": one}]})
        }
        KeyShape::Prices => {
            json!({"type": "object", "additionalProperties": {"type": "number", "minimum": 0}})
        }
    };
    schema["description"] = format!("{} (default: {})", key.meaning, key.default).into();
    schema
}

fn texts() -> Value {
    let text = json!({"type": "string", "minLength": 1});
    json!({"anyOf": [text, {"type": "array", "items": text, "minItems": 1}]})
}

fn parts_schema(parts: &[PartInfo]) -> Value {
    let names: Vec<_> = parts.iter().map(|part| part.kind).collect();
    let mappings = parts.iter().map(|part| {
        let mut properties = Map::new();
        properties.insert("kind".to_owned(), json!({"const": part.kind}));
        for option in part.options {
            let mut schema = match option.shape {
                Shape::Text | Shape::Secret => json!({"type": "string", "minLength": 1}),
                Shape::Url => json!({"type": "string", "format": "uri"}),
                Shape::Count => json!({"type": "integer", "minimum": 0}),
                Shape::Seconds => json!({"type": "number", "minimum": 0}),
                Shape::Flag => json!({"type": "boolean"}),
                Shape::Texts => texts(),
            };
            schema["description"] = format!("{} (default: {})", option.meaning, option.default).into();
            properties.insert(option.name.to_owned(), schema);
        }
        json!({
            "type": "object", "properties": properties, "required": ["kind"], "additionalProperties": false,
        })
    });
    let any: Vec<_> = std::iter::once(json!({"enum": names})).chain(mappings).collect();
    json!({ "anyOf": any })
}
