//! What a message is to be: the operators of fbp-spec, and the paths into a message that they look at.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Something that is expected of a message.
#[derive(Debug)]
pub(super) struct Expectation {
    path: Vec<Segment>,
    /// The path as it was written.
    written: Option<String>,
    /// All of them must hold.
    operators: Vec<Operator>,
}

#[derive(Debug)]
enum Operator {
    /// As a JSON value.
    Equals(Value),
    /// Of that type of JSON.
    Type(String),
    Above(f64),
    Below(f64),
    /// These keys and no others.
    HaveKeys(BTreeSet<String>),
    /// At least these keys.
    IncludeKeys(BTreeSet<String>),
    /// A text has that part, a list that element, an object these entries.
    Contains(Value),
    /// It is no error: an object with a `message`.
    NotError,
}

const OPERATORS: &str = "equals, type, above, below, haveKeys, includeKeys, contains, noterror";

impl Expectation {
    pub(super) fn check(mut raw: BTreeMap<String, Value>) -> Result<Self, String> {
        let written = match raw.remove("path") {
            None => None,
            Some(Value::String(path)) => Some(path),
            Some(other) => return Err(format!("the path {other} is no text")),
        };
        let path = written.as_deref().map(path).transpose()?.unwrap_or_default();
        let operators: Vec<Operator> =
            raw.into_iter().map(|(name, value)| Operator::check(&name, value)).collect::<Result<_, _>>()?;
        if operators.is_empty() {
            return Err(format!("an expectation says nothing; there are: {OPERATORS}"));
        }
        Ok(Self { path, written, operators })
    }

    /// Whether `message` is as expected; else what is not.
    pub(super) fn holds(&self, message: &Value) -> Result<(), String> {
        let found = select(&self.path, message);
        if found.is_empty() {
            let path = self.written.as_deref().unwrap_or_default();
            return Err(format!("there is nothing at {path} of {message}"));
        }
        for value in found {
            for operator in &self.operators {
                operator.holds(value)?;
            }
        }
        Ok(())
    }
}

impl Operator {
    fn check(name: &str, value: Value) -> Result<Self, String> {
        let wrong = |what: &str, value: &Value| Err(format!("`{name}` takes {what}, not {value}"));
        let keys = |value: &Value| -> Option<BTreeSet<String>> {
            match value {
                Value::String(key) => Some(BTreeSet::from([key.clone()])),
                value => value.as_array()?.iter().map(|key| key.as_str().map(str::to_owned)).collect(),
            }
        };
        match name {
            "equals" => Ok(Self::Equals(value)),
            "contains" => Ok(Self::Contains(value)),
            "noterror" => Ok(Self::NotError),
            "type" => match value.as_str() {
                Some(kind) => Ok(Self::Type(kind.to_lowercase())),
                None => wrong("the name of a type", &value),
            },
            "above" | "below" => match value.as_f64() {
                Some(limit) if name == "above" => Ok(Self::Above(limit)),
                Some(limit) => Ok(Self::Below(limit)),
                None => wrong("a number", &value),
            },
            "haveKeys" | "includeKeys" => match keys(&value) {
                Some(keys) if name == "haveKeys" => Ok(Self::HaveKeys(keys)),
                Some(keys) => Ok(Self::IncludeKeys(keys)),
                None => wrong("a list of keys", &value),
            },
            _ => Err(format!("there is no operator `{name}`; there are: {OPERATORS}")),
        }
    }

    fn holds(&self, value: &Value) -> Result<(), String> {
        let (holds, expected) = match self {
            Self::Equals(expected) => (same(value, expected), format!("equal {expected}")),
            Self::Type(kind) => (type_of(value) == kind, format!("be of type {kind}")),
            Self::Above(limit) => {
                (value.as_f64().is_some_and(|number| number > *limit), format!("be above {limit}"))
            }
            Self::Below(limit) => {
                (value.as_f64().is_some_and(|number| number < *limit), format!("be below {limit}"))
            }
            Self::HaveKeys(keys) => {
                (keys_of(value).is_some_and(|has| has == *keys), format!("have the keys {keys:?} only"))
            }
            Self::IncludeKeys(keys) => {
                (keys_of(value).is_some_and(|has| has.is_superset(keys)), format!("have the keys {keys:?}"))
            }
            Self::Contains(part) => (contains(value, part), format!("contain {part}")),
            Self::NotError => {
                let message = value.get("message").filter(|message| !message.is_null());
                (message.is_none(), "be no error".to_owned())
            }
        };
        if holds { Ok(()) } else { Err(format!("expected {value} to {expected}")) }
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn keys_of(value: &Value) -> Option<BTreeSet<String>> {
    Some(value.as_object()?.keys().cloned().collect())
}

fn contains(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        (Value::Array(list), part) => list.iter().any(|element| same(element, part)),
        (Value::Object(object), Value::Object(part)) => {
            part.iter().all(|(key, part)| object.get(key).is_some_and(|value| same(value, part)))
        }
        _ => false,
    }
}

/// Whether both mean the same; a number is the same however it is written, as 1 and 1.0.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, one)| other.get(key).is_some_and(|other| same(one, other)))
        }
        _ => one == other,
    }
}

/// A step of a JSONPath.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// `.key` or `['key']`
    Key(String),
    /// `[2]`
    Index(usize),
    /// `.*` or `[*]`
    All,
    /// `..`: here, and everywhere below.
    Below,
}

/// Reads the part of JSONPath that selects by name, by place, everything, and at any depth.
fn path(text: &str) -> Result<Vec<Segment>, String> {
    let wrong =
        || format!("the path `{text}` cannot be read: it is made of $, .key, ['key'], [2], .* and ..key");
    let mut rest = text.strip_prefix('$').unwrap_or(text);
    if !rest.is_empty() && !rest.starts_with(['.', '[']) {
        // fbp-spec's own documentation writes `products.book[2]`.
        rest = text;
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let mut segments = vec![Segment::Key(rest[..end].to_owned())];
        segments.extend(segments_of(&rest[end..]).ok_or_else(wrong)?);
        return Ok(segments);
    }
    segments_of(rest).ok_or_else(wrong)
}

fn segments_of(mut rest: &str) -> Option<Vec<Segment>> {
    let mut segments = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("..") {
            segments.push(Segment::Below);
            rest = after;
            if rest.starts_with('[') {
                continue;
            }
        } else if let Some(after) = rest.strip_prefix('.') {
            rest = after;
        } else {
            let (inside, after) = rest.strip_prefix('[')?.split_once(']')?;
            let quoted = |quote: char| inside.strip_prefix(quote)?.strip_suffix(quote);
            segments.push(match (inside, quoted('\'').or_else(|| quoted('"'))) {
                ("*", _) => Segment::All,
                (_, Some(key)) => Segment::Key(key.to_owned()),
                (index, None) => Segment::Index(index.parse().ok()?),
            });
            rest = after;
            continue;
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        match &rest[..end] {
            "" => return None,
            "*" => segments.push(Segment::All),
            key => segments.push(Segment::Key(key.to_owned())),
        }
        rest = &rest[end..];
    }
    Some(segments)
}

fn select<'v>(path: &[Segment], value: &'v Value) -> Vec<&'v Value> {
    let mut found = vec![value];
    for segment in path {
        found = found.into_iter().flat_map(|value| step(segment, value)).collect();
    }
    found
}

fn step<'v>(segment: &Segment, value: &'v Value) -> Vec<&'v Value> {
    match segment {
        Segment::Key(key) => value.get(key).into_iter().collect(),
        Segment::Index(index) => value.get(index).into_iter().collect(),
        Segment::All => inside(value),
        Segment::Below => {
            let below = inside(value).into_iter().flat_map(|value| step(segment, value));
            std::iter::once(value).chain(below).collect()
        }
    }
}

fn inside(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(list) => list.iter().collect(),
        Value::Object(object) => object.values().collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(expectation: Value, message: Value) -> bool {
        let Value::Object(raw) = expectation else { panic!("an expectation is an object") };
        Expectation::check(raw.into_iter().collect()).unwrap().holds(&message).is_ok()
    }

    #[test]
    fn operators_tell_right_from_wrong() {
        for (expectation, right, wrong) in [
            (json!({"equals": {"a": [1]}}), json!({"a": [1.0]}), json!({"a": [1, 2]})),
            (json!({"type": "array"}), json!([]), json!({})),
            (json!({"above": 1}), json!(1.5), json!(1)),
            (json!({"below": 1}), json!(0), json!("0")),
            (json!({"haveKeys": ["a"]}), json!({"a": 1}), json!({"a": 1, "b": 2})),
            (json!({"includeKeys": ["a"]}), json!({"a": 1, "b": 2}), json!({"b": 2})),
            (json!({"contains": "bs"}), json!("a substring"), json!("a string")),
            (json!({"contains": 2}), json!([1, 2]), json!([1, 3])),
            (json!({"noterror": true}), json!("fine"), json!({"message": "it failed"})),
            (json!({"above": 1, "below": 3}), json!(2), json!(4)),
        ] {
            assert!(holds(expectation.clone(), right), "{expectation}");
            assert!(!holds(expectation.clone(), wrong), "{expectation}");
        }
    }

    #[test]
    fn paths_select() {
        let message = json!({"a": {"b": [1, 2], "c d": 3}, "e": {"b": [4]}});
        for (path, expected) in [
            ("$", json!([message])),
            ("$.a.b[1]", json!([2])),
            ("a.b[0]", json!([1])),
            ("$['a']['c d']", json!([3])),
            ("$.*.b[0]", json!([1, 4])),
            ("$..b[0]", json!([1, 4])),
            ("$..[0]", json!([1, 4])),
            ("$.x", json!([])),
        ] {
            let found: Vec<Value> =
                select(&super::path(path).unwrap(), &message).into_iter().cloned().collect();
            assert_eq!(json!(found), expected, "{path}");
        }
        for wrong in ["$.", "$[a]", "$.a[", "$...a"] {
            assert!(super::path(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn nothing_at_the_path_is_a_failure() {
        assert!(!holds(json!({"path": "$.a", "equals": null}), json!({})));
        assert!(holds(json!({"path": "$.*", "equals": 1}), json!([1, 1])));
        assert!(!holds(json!({"path": "$.*", "equals": 1}), json!([1, 2])));
    }
}
