//! The index of a topic exchange: binding patterns as a tree of words.
//!
//! A pattern is words separated by dots; `*` is one word, `#` is any number of words, also none. Matching is a walk
//! over the set of reachable nodes, word by word, so that a hostile pattern (`#.#.#.#…`) costs words × nodes and not
//! an exponential number of paths.

use std::collections::{BTreeSet, HashMap};

use super::exchange::Destination;

/// A node of the tree: what is bound to the words so far, and the words that may follow. But for the root none is empty.
#[derive(Debug, Default)]
struct Node {
    words: HashMap<Box<str>, usize>,
    star: Option<usize>,
    hash: Option<usize>,
    /// This node is a `#`: it may take further words and stay.
    is_hash: bool,
    bound: Vec<Destination>,
}

impl Node {
    fn next(&self, word: &str) -> Option<usize> {
        match word {
            "*" => self.star,
            "#" => self.hash,
            word => self.words.get(word).copied(),
        }
    }

    fn is_empty(&self) -> bool {
        self.bound.is_empty() && self.words.is_empty() && self.star.is_none() && self.hash.is_none()
    }
}

/// Patterns and where they lead.
#[derive(Debug)]
pub(crate) struct Topics {
    nodes: Vec<Node>,
    /// Nodes that are no part of the tree, for the next patterns.
    free: Vec<usize>,
    patterns: usize,
}

const ROOT: usize = 0;

impl Default for Topics {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], free: Vec::new(), patterns: 0 }
    }
}

impl Topics {
    pub(crate) fn insert(&mut self, pattern: &str, destination: Destination) {
        let mut node = ROOT;
        for word in words(pattern) {
            node = match self.nodes[node].next(word) {
                Some(next) => next,
                None => self.grow(node, word),
            };
        }
        self.nodes[node].bound.push(destination);
        self.patterns += 1;
    }

    /// Makes the node behind a word that no pattern has had there.
    fn grow(&mut self, parent: usize, word: &str) -> usize {
        let node = Node { is_hash: word == "#", ..Node::default() };
        let next = self.free.pop().unwrap_or(self.nodes.len());
        match self.nodes.get_mut(next) {
            Some(free) => *free = node,
            None => self.nodes.push(node),
        }
        let parent = &mut self.nodes[parent];
        match word {
            "*" => parent.star = Some(next),
            "#" => parent.hash = Some(next),
            word => {
                parent.words.insert(word.into(), next);
            }
        }
        next
    }

    pub(crate) fn remove(&mut self, pattern: &str, destination: &Destination) {
        let mut node = ROOT;
        let mut path = Vec::new();
        for word in words(pattern) {
            let Some(next) = self.nodes[node].next(word) else { return };
            path.push((node, word));
            node = next;
        }
        let bound = &mut self.nodes[node].bound;
        let Some(place) = bound.iter().position(|other| other == destination) else { return };
        bound.swap_remove(place);
        self.patterns -= 1;
        if self.patterns == 0 {
            // Gives back all the room that there has been need for.
            *self = Self::default();
            return;
        }
        for (parent, word) in path.into_iter().rev() {
            if !self.nodes[node].is_empty() {
                return;
            }
            self.cut(parent, word);
            self.nodes[node] = Node::default();
            self.free.push(node);
            node = parent;
        }
    }

    /// Forgets what is behind a word.
    fn cut(&mut self, parent: usize, word: &str) {
        let parent = &mut self.nodes[parent];
        match word {
            "*" => parent.star = None,
            "#" => parent.hash = None,
            word => {
                parent.words.remove(word);
            }
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

    #[test]
    fn patterns_that_come_and_go_leave_nothing() {
        let mut topics = Topics::default();
        topics.insert("stays.*", to("x"));
        for number in 0..1_000 {
            let pattern = format!("reply.{number}.#.*.end");
            topics.insert(&pattern, to("y"));
            topics.insert(&format!("reply.{number}"), to("y"));
            topics.remove(&pattern, &to("y"));
            topics.remove(&format!("reply.{number}"), &to("y"));
        }
        assert_eq!((topics.nodes.len(), topics.nodes[ROOT].words.len()), (8, 1));
        let mut found = Vec::new();
        topics.matches("stays.here", &mut found);
        assert_eq!(found, [to("x")]);
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            gone in prop::collection::vec(prop::collection::vec(prop::sample::select(vec!["a", "b", "", "*", "#"]), 0..5), 0..6),
            patterns in prop::collection::vec(prop::collection::vec(prop::sample::select(vec!["a", "b", "", "*", "#"]), 0..5), 1..6),
            key in prop::collection::vec(prop::sample::select(vec!["a", "b", ""]), 0..6),
        ) {
            // A single empty word is the empty text, which has no words.
            fn normal<'a>(words: &[&'a str]) -> Vec<&'a str> {
                if words == [""] { Vec::new() } else { words.to_vec() }
            }
            let mut topics = Topics::default();
            for pattern in &gone {
                topics.insert(&pattern.join("."), to("gone"));
            }
            // Those that stay come among those that go, and have the places of some.
            for (index, pattern) in patterns.iter().enumerate() {
                topics.insert(&pattern.join("."), to(&index.to_string()));
                if let Some(pattern) = gone.get(index) {
                    topics.remove(&pattern.join("."), &to("gone"));
                }
            }
            for pattern in gone.iter().skip(patterns.len()) {
                topics.remove(&pattern.join("."), &to("gone"));
            }
            let mut found = Vec::new();
            topics.matches(&key.join("."), &mut found);
            for (index, pattern) in patterns.iter().enumerate() {
                let expected = matches_by_definition(&normal(pattern), &normal(&key));
                let times = found.iter().filter(|other| **other == to(&index.to_string())).count();
                prop_assert_eq!(times, usize::from(expected));
            }
            prop_assert!(!found.contains(&to("gone")));
            let in_tree = (1..topics.nodes.len()).filter(|node| !topics.free.contains(node));
            prop_assert!(in_tree.into_iter().all(|node| !topics.nodes[node].is_empty()));
        }
    }
}
