//! The index of a topic exchange: binding patterns as a tree of words.
//!
//! A pattern is words separated by dots; `*` is one word, `#` is any number of words, also none. Matching is a walk
//! over the set of reachable nodes, word by word, so that a hostile pattern (`#.#.#.#…`) costs words × nodes and not
//! an exponential number of paths.

use std::collections::{BTreeSet, HashMap};

use super::exchange::Destination;

/// A node of the tree: what is bound to the words so far, and the words that may follow.
#[derive(Debug, Default)]
struct Node {
    words: HashMap<Box<str>, usize>,
    star: Option<usize>,
    hash: Option<usize>,
    /// This node is a `#`: it may take further words and stay.
    is_hash: bool,
    bound: Vec<Destination>,
}

/// Patterns and where they lead. Empty nodes are kept until the last pattern is gone.
#[derive(Debug)]
pub(crate) struct Topics {
    nodes: Vec<Node>,
    patterns: usize,
}

const ROOT: usize = 0;

impl Default for Topics {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], patterns: 0 }
    }
}

impl Topics {
    pub(crate) fn insert(&mut self, pattern: &str, destination: Destination) {
        let mut node = ROOT;
        for word in words(pattern) {
            let next = self.nodes.len();
            let edge = match word {
                "*" => self.nodes[node].star.get_or_insert(next),
                "#" => self.nodes[node].hash.get_or_insert(next),
                word => self.nodes[node].words.entry(word.into()).or_insert(next),
            };
            node = *edge;
            if node == next {
                self.nodes.push(Node { is_hash: word == "#", ..Node::default() });
            }
        }
        self.nodes[node].bound.push(destination);
        self.patterns += 1;
    }

    pub(crate) fn remove(&mut self, pattern: &str, destination: &Destination) {
        let mut node = ROOT;
        for word in words(pattern) {
            let next = match word {
                "*" => self.nodes[node].star,
                "#" => self.nodes[node].hash,
                word => self.nodes[node].words.get(word).copied(),
            };
            let Some(next) = next else { return };
            node = next;
        }
        let bound = &mut self.nodes[node].bound;
        if let Some(place) = bound.iter().position(|other| other == destination) {
            bound.swap_remove(place);
            self.patterns -= 1;
        }
        if self.patterns == 0 {
            *self = Self::default();
        }
    }

    /// Appends the destinations of every matching pattern.
    pub(crate) fn matches(&self, key: &str, found: &mut Vec<Destination>) {
        let mut here = BTreeSet::new();
        self.enter(ROOT, &mut here);
        for word in words(key) {
            let mut next = BTreeSet::new();
            for &node in &here {
                let node_value = &self.nodes[node];
                if node_value.is_hash {
                    self.enter(node, &mut next);
                }
                for edge in [node_value.words.get(word).copied(), node_value.star].into_iter().flatten() {
                    self.enter(edge, &mut next);
                }
            }
            if next.is_empty() {
                return;
            }
            here = next;
        }
        for node in here {
            found.extend(self.nodes[node].bound.iter().cloned());
        }
    }

    /// Adds a node and, because `#` may take no word at all, the chain of `#` after it.
    fn enter(&self, mut node: usize, set: &mut BTreeSet<usize>) {
        while set.insert(node) {
            match self.nodes[node].hash {
                Some(next) => node = next,
                None => return,
            }
        }
    }
}

/// The words of a pattern or key; an empty text has none.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let whole = if text.is_empty() { None } else { Some(text) };
    whole.into_iter().flat_map(|text| text.split('.'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::value::Name;
    use super::*;

    fn to(name: &str) -> Destination {
        Destination::Exchange(Name::new(name))
    }

    fn matching(patterns: &[&str], key: &str) -> Vec<String> {
        let mut topics = Topics::default();
        for pattern in patterns {
            topics.insert(pattern, to(pattern));
        }
        let mut found = Vec::new();
        topics.matches(key, &mut found);
        let mut names: Vec<_> = found
            .into_iter()
            .map(|destination| match destination {
                Destination::Exchange(name) => name.to_string(),
                Destination::Queue(_) => unreachable!("only exchanges are bound here"),
            })
            .collect();
        names.sort();
        names
    }

    /// The definition, word for word.
    fn matches_by_definition(pattern: &[&str], key: &[&str]) -> bool {
        match (pattern.split_first(), key.split_first()) {
            (None, None) => true,
            (Some((&"#", pattern_rest)), _) => {
                matches_by_definition(pattern_rest, key)
                    || key.split_first().is_some_and(|(_, rest)| matches_by_definition(pattern, rest))
            }
            (Some((&"*", pattern)), Some((_, key))) => matches_by_definition(pattern, key),
            (Some((word, pattern)), Some((other, key))) => {
                word == other && matches_by_definition(pattern, key)
            }
            _ => false,
        }
    }

    #[test]
    fn stars_and_hashes() {
        let patterns = ["a.*.c", "a.#", "#", "a.b", "*", "#.c", ""];
        assert_eq!(matching(&patterns, "a.b.c"), ["#", "#.c", "a.#", "a.*.c"]);
        assert_eq!(matching(&patterns, "a"), ["#", "*", "a.#"]);
        assert_eq!(matching(&patterns, ""), ["", "#"]);
        assert_eq!(matching(&patterns, "a."), ["#", "a.#"]);
    }

    #[test]
    fn removing_forgets_only_that_pattern() {
        let mut topics = Topics::default();
        topics.insert("a.#", to("x"));
        topics.insert("a.#", to("y"));
        topics.remove("a.#", &to("x"));
        topics.remove("never.there", &to("x"));
        let mut found = Vec::new();
        topics.matches("a.b", &mut found);
        assert_eq!(found, [to("y")]);
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            patterns in prop::collection::vec(prop::collection::vec(prop::sample::select(vec!["a", "b", "", "*", "#"]), 0..5), 1..6),
            key in prop::collection::vec(prop::sample::select(vec!["a", "b", ""]), 0..6),
        ) {
            // A single empty word is the empty text, which has no words.
            fn normal<'a>(words: &[&'a str]) -> Vec<&'a str> {
                if words == [""] { Vec::new() } else { words.to_vec() }
            }
            let mut topics = Topics::default();
            for (index, pattern) in patterns.iter().enumerate() {
                topics.insert(&pattern.join("."), to(&index.to_string()));
            }
            let mut found = Vec::new();
            topics.matches(&key.join("."), &mut found);
            for (index, pattern) in patterns.iter().enumerate() {
                let expected = matches_by_definition(&normal(pattern), &normal(&key));
                let times = found.iter().filter(|other| **other == to(&index.to_string())).count();
                prop_assert_eq!(times, usize::from(expected));
            }
        }
    }
}
