//! An exchange as a value: its bindings, and which of them a message follows.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use amq_protocol::types::generation::gen_field_table;
use amq_protocol::types::{AMQPValue, FieldTable};

use super::queue::QueueId;
use super::topic::Topics;
use super::value::Name;
use crate::wire::table;

/// How an exchange chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExchangeKind {
    Direct,
    Fanout,
    Topic,
    Headers,
}

impl ExchangeKind {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "direct" => Self::Direct,
            "fanout" => Self::Fanout,
            "topic" => Self::Topic,
            "headers" => Self::Headers,
            _ => return None,
        })
    }
}

impl ExchangeKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
        }
    }
}

impl fmt::Display for ExchangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a binding leads.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Destination {
    Queue(QueueId),
    Exchange(Name),
}

/// What makes a binding of an exchange different from its others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BindingKey {
    pub(crate) destination: Destination,
    pub(crate) routing_key: Name,
    /// The arguments in their canonical encoding: field tables have no order or hash of their own.
    arguments: Vec<u8>,
}

impl BindingKey {
    pub(crate) fn new(destination: Destination, routing_key: Name, arguments: &FieldTable) -> Self {
        let context = gen_field_table(arguments)(Vec::new().into()).expect("writing to a vector cannot fail");
        Self { destination, routing_key, arguments: context.into_inner().0 }
    }
}

/// What an exchange is declared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExchangeDeclaration {
    pub(crate) kind: ExchangeKind,
    pub(crate) durable: bool,
    /// Goes with its last binding.
    pub(crate) auto_delete: bool,
    /// Clients cannot publish to it.
    pub(crate) internal: bool,
    /// Takes what no binding takes.
    pub(crate) alternate: Option<Name>,
}

/// An exchange. See the module.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) declaration: ExchangeDeclaration,
    /// Messages that clients published to it, since it was declared or the broker started.
    pub(crate) published: u64,
    bindings: BTreeMap<BindingKey, FieldTable>,
    /// By routing key, for a direct exchange.
    direct: HashMap<Name, Vec<Destination>>,
    /// By pattern, for a topic exchange.
    topics: Topics,
}

impl Exchange {
    pub(crate) fn new(declaration: ExchangeDeclaration) -> Self {
        Self {
            declaration,
            published: 0,
            bindings: BTreeMap::new(),
            direct: HashMap::new(),
            topics: Topics::default(),
        }
    }

    pub(crate) fn bindings(&self) -> impl Iterator<Item = (&BindingKey, &FieldTable)> {
        self.bindings.iter()
    }

    pub(crate) fn is_bound(&self) -> bool {
        !self.bindings.is_empty()
    }

    /// Adds a binding; one that is there already stays as it is. Returns whether it is new.
    pub(crate) fn bind(&mut self, key: BindingKey, arguments: FieldTable) -> bool {
        if self.bindings.contains_key(&key) {
            return false;
        }
        match self.declaration.kind {
            ExchangeKind::Direct => {
                self.direct.entry(key.routing_key.clone()).or_default().push(key.destination.clone());
            }
            ExchangeKind::Topic => self.topics.insert(key.routing_key.as_str(), key.destination.clone()),
            ExchangeKind::Fanout | ExchangeKind::Headers => {}
        }
        self.bindings.insert(key, arguments);
        true
    }

    /// Removes a binding; returns its arguments if it was there.
    pub(crate) fn unbind(&mut self, key: &BindingKey) -> Option<FieldTable> {
        let arguments = self.bindings.remove(key)?;
        match self.declaration.kind {
            ExchangeKind::Direct => {
                if let Some(destinations) = self.direct.get_mut(&key.routing_key) {
                    if let Some(place) = destinations.iter().position(|other| *other == key.destination) {
                        destinations.swap_remove(place);
                    }
                    if destinations.is_empty() {
                        self.direct.remove(&key.routing_key);
                    }
                }
            }
            ExchangeKind::Topic => self.topics.remove(key.routing_key.as_str(), &key.destination),
            ExchangeKind::Fanout | ExchangeKind::Headers => {}
        }
        Some(arguments)
    }

    /// Removes every binding to a destination; returns them.
    pub(crate) fn unbind_all(&mut self, destination: &Destination) -> Vec<(BindingKey, FieldTable)> {
        let first = BindingKey {
            destination: destination.clone(),
            routing_key: Name::new(""),
            arguments: Vec::new(),
        };
        let keys: Vec<_> = self
            .bindings
            .range(first..)
            .map(|(key, _)| key)
            .take_while(|key| key.destination == *destination)
            .cloned()
            .collect();
        keys.into_iter()
            .filter_map(|key| {
                let arguments = self.unbind(&key)?;
                Some((key, arguments))
            })
            .collect()
    }

    /// Appends where a message with this key and these raw headers goes; repetitions are possible.
    pub(crate) fn route(&self, routing_key: &str, headers: Option<&[u8]>, found: &mut Vec<Destination>) {
        match self.declaration.kind {
            ExchangeKind::Direct => found.extend(self.direct.get(routing_key).into_iter().flatten().cloned()),
            ExchangeKind::Fanout => found.extend(self.bindings.keys().map(|key| key.destination.clone())),
            ExchangeKind::Topic => self.topics.matches(routing_key, found),
            ExchangeKind::Headers => found.extend(
                self.bindings
                    .iter()
                    .filter(|(_, pattern)| headers_match(pattern, headers.unwrap_or_default()))
                    .map(|(key, _)| key.destination.clone()),
            ),
        }
    }
}

/// Whether a binding of a headers exchange can be: its `x-match` is one of the four known words.
pub(crate) fn is_header_pattern(pattern: &FieldTable) -> bool {
    match pattern.inner().get("x-match") {
        None => true,
        Some(AMQPValue::LongString(text)) => {
            matches!(text.as_bytes(), b"all" | b"any" | b"all-with-x" | b"any-with-x")
        }
        Some(_) => false,
    }
}

/// Values match when type and value are equal; a void in the pattern asks for presence only. Keys that begin with
/// `x-` are no part of the pattern, unless `x-match` ends with `-with-x`.
fn headers_match(pattern: &FieldTable, headers: &[u8]) -> bool {
    let mode = match pattern.inner().get("x-match") {
        Some(AMQPValue::LongString(text)) => text.as_bytes(),
        _ => b"all",
    };
    let with_x = mode.ends_with(b"-with-x");
    let mut conditions = pattern
        .inner()
        .iter()
        .filter(|(key, _)| key.as_str() != "x-match" && (with_x || !key.as_str().starts_with("x-")))
        .map(|(key, wanted)| match table::find(headers, key.as_str()) {
            None => false,
            Some(raw) => *wanted == AMQPValue::Void || table::value(raw).as_ref() == Some(wanted),
        });
    if mode.starts_with(b"any") { conditions.any(|met| met) } else { conditions.all(|met| met) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(kind: ExchangeKind) -> Exchange {
        Exchange::new(ExchangeDeclaration {
            kind,
            durable: false,
            auto_delete: false,
            internal: false,
            alternate: None,
        })
    }

    fn to(name: &str) -> Destination {
        Destination::Exchange(Name::new(name))
    }

    fn bind(exchange: &mut Exchange, target: &str, key: &str, arguments: FieldTable) {
        exchange.bind(BindingKey::new(to(target), Name::new(key), &arguments), arguments);
    }

    fn routed(exchange: &Exchange, key: &str, headers: &[u8]) -> Vec<Destination> {
        let mut found = Vec::new();
        exchange.route(key, Some(headers), &mut found);
        found.sort();
        found.dedup();
        found
    }

    fn pattern(entries: &[(&str, AMQPValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (key, value) in entries {
            table.insert((*key).into(), value.clone());
        }
        table
    }

    #[test]
    fn direct_follows_equal_keys_only() {
        let mut direct = exchange(ExchangeKind::Direct);
        bind(&mut direct, "a", "k", FieldTable::default());
        bind(&mut direct, "b", "k", FieldTable::default());
        bind(&mut direct, "c", "other", FieldTable::default());
        assert_eq!(routed(&direct, "k", &[]), [to("a"), to("b")]);
        assert_eq!(direct.unbind_all(&to("a")).len(), 1);
        assert!(direct.unbind_all(&to("a")).is_empty());
        assert_eq!(routed(&direct, "k", &[]), [to("b")]);
    }

    #[test]
    fn bindings_with_other_arguments_are_other_bindings() {
        let mut direct = exchange(ExchangeKind::Direct);
        let with = pattern(&[("n", AMQPValue::LongInt(1))]);
        bind(&mut direct, "a", "k", FieldTable::default());
        bind(&mut direct, "a", "k", with.clone());
        bind(&mut direct, "a", "k", with.clone());
        assert_eq!(direct.bindings().count(), 2);
        assert_eq!(direct.unbind(&BindingKey::new(to("a"), Name::new("k"), &with)), Some(with));
        assert_eq!(routed(&direct, "k", &[]), [to("a")]);
    }

    #[test]
    fn headers_all_and_any() {
        let text = |text: &str| AMQPValue::LongString(text.into());
        let mut headers = exchange(ExchangeKind::Headers);
        bind(
            &mut headers,
            "all",
            "",
            pattern(&[("x-match", text("all")), ("a", text("1")), ("b", AMQPValue::Void)]),
        );
        bind(
            &mut headers,
            "any",
            "",
            pattern(&[("x-match", text("any")), ("a", text("1")), ("x-b", text("2"))]),
        );
        bind(&mut headers, "x", "", pattern(&[("x-match", text("any-with-x")), ("x-b", text("2"))]));
        bind(&mut headers, "empty", "", FieldTable::default());
        let message = |entries: &[(&str, AMQPValue)]| {
            let mut raw = Vec::new();
            for (key, value) in entries {
                table::append(&mut raw, key, value);
            }
            raw
        };
        let both = message(&[("a", text("1")), ("b", AMQPValue::LongInt(3))]);
        assert_eq!(routed(&headers, "", &both), [to("all"), to("any"), to("empty")]);
        assert_eq!(routed(&headers, "", &message(&[("x-b", text("2"))])), [to("empty"), to("x")]);
        assert_eq!(routed(&headers, "", &message(&[("a", AMQPValue::LongInt(1))])), [to("empty")]);
    }
}
