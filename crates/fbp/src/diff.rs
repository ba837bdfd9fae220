//! What distinguishes two graphs, as values.
//!
//! Law: applying `diff(a, b)` to `a` yields `b`, up to the order of connections between different ends and of groups;
//! `diff(a, a)` is empty. A renamed node shows as one removed and one added.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;

use indexmap::IndexMap;
use serde_json::Value;

use crate::{Connection, Direction, Endpoint, ExportedPort, Graph, Group, NodeName, PortName, Process};

/// One difference.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// Whether case counts in port names.
    CaseSensitive {
        /// The new value.
        to: bool,
    },
    /// A property was added, removed or changed.
    Property {
        /// Its key.
        key: String,
        /// The value before, if there was one.
        from: Option<Value>,
        /// The value after, if there is one.
        to: Option<Value>,
    },
    /// A node was added, removed or changed.
    Node {
        /// Its name.
        name: NodeName,
        /// The node before, if there was one.
        from: Option<Process>,
        /// The node after, if there is one.
        to: Option<Process>,
    },
    /// An exported port was added, removed or changed.
    Export {
        /// Which of the graph's ports.
        direction: Direction,
        /// Its public name.
        public: PortName,
        /// The port before, if there was one.
        from: Option<ExportedPort>,
        /// The port after, if there is one.
        to: Option<ExportedPort>,
    },
    /// A connection was removed.
    Disconnected(Connection),
    /// A connection was added.
    Connected(Connection),
    /// A group was removed.
    Ungrouped(Group),
    /// A group was added.
    Grouped(Group),
}

/// What leads from one graph to another: removed connections first, then nodes, then added connections, so that every
/// step but the removal of a node with its exports leaves a consistent graph.
pub fn diff(from: &Graph, to: &Graph) -> Vec<Change> {
    let mut changes = Vec::new();
    if from.case_sensitive != to.case_sensitive {
        changes.push(Change::CaseSensitive { to: to.case_sensitive });
    }
    let removed = without(&from.connections, &to.connections, ends);
    changes.extend(removed.into_iter().cloned().map(Change::Disconnected));
    changes.extend(without(&from.groups, &to.groups, name).into_iter().cloned().map(Change::Ungrouped));
    let keys =
        from.properties.keys().chain(to.properties.keys().filter(|key| !from.properties.contains_key(*key)));
    changes.extend(keys.filter(|key| from.properties.get(*key) != to.properties.get(*key)).map(|key| {
        let value = |graph: &Graph| graph.properties.get(key).cloned();
        Change::Property { key: key.clone(), from: value(from), to: value(to) }
    }));
    let nodes = differing(&from.processes, &to.processes);
    changes.extend(nodes.into_iter().map(|(name, from, to)| Change::Node { name, from, to }));
    for direction in [Direction::In, Direction::Out] {
        let ports = differing(from.exports(direction), to.exports(direction));
        changes.extend(ports.into_iter().map(|(public, from, to)| Change::Export {
            direction,
            public,
            from,
            to,
        }));
    }
    let added = without(&to.connections, &from.connections, ends);
    changes.extend(added.into_iter().cloned().map(Change::Connected));
    changes.extend(without(&to.groups, &from.groups, name).into_iter().cloned().map(Change::Grouped));
    changes
}

/// The entries that are not the same in both, in the order of the first and then of the second.
fn differing<K: Clone + Eq + Hash, V: Clone + PartialEq>(
    from: &IndexMap<K, V>,
    to: &IndexMap<K, V>,
) -> Vec<(K, Option<V>, Option<V>)> {
    let keys = from.keys().chain(to.keys().filter(|key| !from.contains_key(*key)));
    keys.map(|key| (key.clone(), from.get(key).cloned(), to.get(key).cloned()))
        .filter(|(_, from, to)| from != to)
        .collect()
}

/// The items of one list that the other lacks; of equal ones, as many as it has fewer. Equal items have equal keys.
fn without<'a, T: PartialEq, K: Eq + Hash>(
    items: &'a [T],
    others: &'a [T],
    key: impl Fn(&'a T) -> K,
) -> Vec<&'a T> {
    let mut unmatched: HashMap<K, Vec<&T>> = HashMap::new();
    for other in others {
        unmatched.entry(key(other)).or_default().push(other);
    }
    let mut is_missing = |item: &'a T| {
        let Some(others) = unmatched.get_mut(&key(item)) else { return true };
        let index = others.iter().position(|other| *other == item);
        index.map(|index| others.remove(index)).is_none()
    };
    items.iter().filter(|item| is_missing(item)).collect()
}

fn ends(connection: &Connection) -> (Option<&Endpoint>, &Endpoint) {
    (connection.src(), connection.tgt())
}

fn name(group: &Group) -> &str {
    &group.name
}

impl Graph {
    /// Makes a change. What the change removes may be gone already.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::CaseSensitive { to } => self.case_sensitive = *to,
            Change::Property { key, to: Some(to), .. } => {
                self.properties.insert(key.clone(), to.clone());
            }
            Change::Property { key, to: None, .. } => {
                self.properties.shift_remove(key);
            }
            Change::Node { name, to: Some(to), .. } => {
                self.processes.insert(name.clone(), to.clone());
            }
            Change::Node { name, to: None, .. } => {
                self.processes.shift_remove(name);
            }
            Change::Export { direction, public, to: Some(to), .. } => {
                self.exports_mut(*direction).insert(public.clone(), to.clone());
            }
            Change::Export { direction, public, to: None, .. } => {
                self.exports_mut(*direction).shift_remove(public);
            }
            Change::Disconnected(connection) => remove_first(&mut self.connections, connection),
            Change::Connected(connection) => self.connections.push(connection.clone()),
            Change::Ungrouped(group) => remove_first(&mut self.groups, group),
            Change::Grouped(group) => self.groups.push(group.clone()),
        }
    }
}

fn remove_first<T: PartialEq>(items: &mut Vec<T>, item: &T) {
    if let Some(index) = items.iter().position(|other| other == item) {
        items.remove(index);
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CaseSensitive { to: true } => f.write_str("~ port names are case-sensitive"),
            Self::CaseSensitive { to: false } => f.write_str("~ port names are not case-sensitive"),
            Self::Property { key, from, to } => {
                change(f, &format!("property {key}"), from, to, Value::to_string)
            }
            Self::Node { name, from, to } => change(f, &format!("node {name}"), from, to, |process| {
                let Process { component, metadata } = process;
                if metadata.is_empty() {
                    return component.to_string();
                }
                format!("{component} {}", Value::from(metadata.clone()))
            }),
            Self::Export { direction, public, from, to } => {
                let what = match direction {
                    Direction::In => "inport",
                    Direction::Out => "outport",
                };
                change(f, &format!("{what} {public}"), from, to, |export| {
                    let ExportedPort { process, port, metadata } = export;
                    if metadata.is_empty() {
                        return format!("{process}.{port}");
                    }
                    format!("{process}.{port} {}", Value::from(metadata.clone()))
                })
            }
            Self::Disconnected(connection) => write!(f, "- {}", WithMetadata(connection)),
            Self::Connected(connection) => write!(f, "+ {}", WithMetadata(connection)),
            Self::Ungrouped(group) => write!(f, "- group {}", group.name),
            Self::Grouped(group) => write!(f, "+ group {}", group.name),
        }
    }
}

/// `+ what: new`, `- what: old` or `~ what: old → new`.
fn change<T>(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    from: &Option<T>,
    to: &Option<T>,
    show: impl Fn(&T) -> String,
) -> fmt::Result {
    match (from, to) {
        (Some(from), Some(to)) => write!(f, "~ {what}: {} → {}", show(from), show(to)),
        (None, Some(to)) => write!(f, "+ {what}: {}", show(to)),
        (Some(from), None) => write!(f, "- {what}: {}", show(from)),
        (None, None) => write!(f, "= {what}"),
    }
}

struct WithMetadata<'a>(&'a Connection);

impl fmt::Display for WithMetadata<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)?;
        if self.0.metadata().is_empty() {
            return Ok(());
        }
        write!(f, " {}", Value::from(self.0.metadata().clone()))
    }
}
