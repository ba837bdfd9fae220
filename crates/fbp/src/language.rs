//! What .fbp text may contain: the characters of each kind of name, and the limits on input. The parser and the
//! printer share these rules, so what the one accepts the other can write.

use serde_json::{Number, Value};

/// Texts longer than this (in bytes) are refused: a graph is written by people, and 16 MiB is far beyond them.
pub const MAX_INPUT: usize = 16 * 1024 * 1024;

/// JSON nested deeper than this is refused, in packets and in JSON graphs. It is the fixed limit of `serde_json`,
/// which keeps hostile input from overflowing the stack.
pub const MAX_JSON_DEPTH: usize = 127;

/// No more diagnostics than this are reported for one text.
pub const MAX_DIAGNOSTICS: usize = 100;

/// Below this (2^53) a float holds every whole number exactly.
const MAX_EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;

pub(crate) fn is_name_start(character: char) -> bool {
    character.is_ascii_alphabetic() || character == '_'
}

pub(crate) fn is_node_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

pub(crate) fn is_port_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '.')
}

pub(crate) fn is_component_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '/')
}

pub(crate) fn is_metadata_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '/' | '=' | ',')
}

pub(crate) fn is_annotation_key_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

pub(crate) fn is_annotation_value_character(character: char) -> bool {
    is_annotation_key_character(character) || matches!(character, ' ' | '.')
}

fn starts_and_continues(name: &str, continues: fn(char) -> bool) -> bool {
    name.starts_with(is_name_start) && name.chars().all(continues)
}

pub(crate) fn is_node_name(name: &str) -> bool {
    starts_and_continues(name, is_node_character)
}

pub(crate) fn is_port_name(name: &str) -> bool {
    starts_and_continues(name, is_port_character)
}

pub(crate) fn is_component_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_component_character)
}

pub(crate) fn is_annotation_key(key: &str) -> bool {
    !key.is_empty() && key.chars().all(is_annotation_key_character)
}

pub(crate) fn is_annotation_value(value: &str) -> bool {
    // Spaces before the value belong to the separator.
    !value.is_empty() && !value.starts_with(' ') && value.chars().all(is_annotation_value_character)
}

/// The value that `key=text` gives to a node's metadata: text, but numbers for `x` and `y`.
///
/// `None` when a position is not a number.
pub(crate) fn metadata_value(key: &str, text: &str) -> Option<Value> {
    if !matches!(key, "x" | "y") {
        return Some(Value::from(text));
    }
    if let Ok(whole) = text.parse::<u64>() {
        return Some(Value::from(whole));
    }
    // Words such as `inf` and `nan` parse as floats, but no number starts with a letter.
    let number: f64 =
        text.starts_with(|first: char| first.is_ascii_digit()).then(|| text.parse().ok()).flatten()?;
    // Without a dot and a minus every number is whole; those that fit are kept as integers.
    if number < MAX_EXACT_INTEGER {
        Some(Value::from(number as u64))
    } else {
        Number::from_f64(number).map(Value::Number)
    }
}

/// What an anonymous node of that component is called, without the counter: `_a_B` for `(a/B)`.
///
/// Only the first run of other characters becomes `_`; later ones stay, so the name of `(a-b/C)` is one that the
/// language cannot write again.
pub(crate) fn anonymous_base(component: &str) -> String {
    let is_other = |character: char| !character.is_ascii_alphanumeric();
    let Some(start) = component.find(is_other) else { return format!("_{component}") };
    let end =
        component[start..].find(|character| !is_other(character)).map_or(component.len(), |len| start + len);
    format!("_{}_{}", &component[..start], &component[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_own_characters() {
        assert!(is_node_name("a-1_b") && !is_node_name("a.b") && !is_node_name("1a") && !is_node_name(""));
        assert!(is_port_name("OUT.a_1") && !is_port_name("a-b") && !is_port_name(".a"));
        assert!(is_component_name("my-lib/C_1") && is_component_name("9") && !is_component_name("a.b"));
        assert!(
            is_annotation_value("v 1.2-b_c ") && !is_annotation_value(" v") && !is_annotation_value("a,b")
        );
    }

    #[test]
    fn positions_are_numbers() {
        assert_eq!(metadata_value("x", "017"), Some(Value::from(17)));
        assert_eq!(metadata_value("y", "1e3"), Some(Value::from(1000)));
        assert_eq!(metadata_value("x", "inf"), None);
        assert_eq!(metadata_value("x", ""), None);
        assert_eq!(metadata_value("x", "1e999"), None);
        assert_eq!(metadata_value("z", "17"), Some(Value::from("17")));
    }

    #[test]
    fn only_the_first_run_of_an_anonymous_name_is_replaced() {
        assert_eq!(anonymous_base("a/B"), "_a_B");
        assert_eq!(anonymous_base("B"), "_B");
        assert_eq!(anonymous_base("a-b/C"), "_a_b/C");
        assert_eq!(anonymous_base("a//-"), "_a_");
        assert_eq!(anonymous_base(""), "_");
    }
}
