//! YAML as a tree in which every key and value knows its place.
//!
//! Repeated keys are kept, so that they can be reported with both of their places, together with everything
//! else that is wrong.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Location, Spanned};

use super::Place;

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
}

impl Node {
    /// What a mapping has; nothing of anything else.
    pub(super) fn entries(&self) -> &[(Key, Node)] {
        match &self.value {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// What it says, wherever that stands.
    pub(super) fn without_places(&self) -> Value {
        let bare = |node: &Self| Self { value: node.without_places(), place: Place::default() };
        match &self.value {
            Value::Sequence(nodes) => Value::Sequence(nodes.iter().map(bare).collect()),
            Value::Mapping(entries) => {
                let key = |key: &Key| Key { text: key.text.clone(), place: Place::default() };
                Value::Mapping(entries.iter().map(|(name, node)| (key(name), bare(node))).collect())
            }
            value => value.clone(),
        }
    }
}

/// A key with its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Key {
    pub(super) text: String,
    pub(super) place: Place,
}

/// What YAML can say.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    Sequence(Vec<Node>),
    Mapping(Vec<(Key, Node)>),
}

impl Value {
    /// What it is, in words that follow "but this is".
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Bool(value) => format!("the truth value {value}"),
            Self::Number(value) => format!("the number {value}"),
            Self::Text(value) => format!("the text \"{value}\""),
            Self::Sequence(_) => "a list".to_owned(),
            Self::Mapping(_) => "a mapping".to_owned(),
        }
    }
}

/// Text that is not YAML.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) message: String,
    pub(super) place: Place,
}

/// Reads one document.
pub(super) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Spanned<Value>>(text, options) {
        Ok(document) => Ok(Node::from(document)),
        Err(error) => Err(SyntaxError {
            place: error
                .location()
                .map_or(Place { line: 1, column: 1, ..Place::default() }, |location| found(text, location)),
            message: first_line(&error),
        }),
    }
}

/// The message alone: the place is told apart.
fn first_line(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let line = text.lines().next().unwrap_or_default();
    match line.split_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => line.to_owned(),
    }
}

fn place(location: Location) -> Place {
    let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let span = location.span();
    // Byte offsets are always there for the values of text that is in memory.
    let start = span.byte_offset().unwrap_or(0) as usize;
    let length = span.byte_len().unwrap_or(0) as usize;
    Place { line: narrow(location.line()), column: narrow(location.column()), start, end: start + length }
}

/// The place of an error, which has a line and a column only.
fn found(text: &str, location: Location) -> Place {
    let place = place(location);
    let line = usize::try_from(place.line.max(1)).unwrap_or(usize::MAX) - 1;
    let before: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let column = usize::try_from(place.column.max(1)).unwrap_or(usize::MAX) - 1;
    let line = text[before..].lines().next().unwrap_or_default();
    let at = before + line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
    Place { start: at, end: at, ..place }
}

impl From<Spanned<Value>> for Node {
    fn from(spanned: Spanned<Value>) -> Self {
        Self { value: spanned.value, place: place(spanned.referenced) }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut sequence = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Value>>()? {
            sequence.push(Node::from(item));
        }
        Ok(Value::Sequence(sequence))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut mapping = Vec::new();
        while let Some((key, value)) = entries.next_entry::<Spanned<String>, Spanned<Value>>()? {
            let key = Key { place: place(key.referenced), text: key.value };
            mapping.push((key, Node::from(value)));
        }
        Ok(Value::Mapping(mapping))
    }
}
