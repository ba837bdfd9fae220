//! What is to be carried where: pure.
//!
//! Several bindings may share a source, and several may mean the same connection; a source is pulled once, and each of its
//! messages goes to each destination once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use msgflo_core::{Binding, Destination, QueueName};

/// Where the messages of a source go.
pub(crate) type Destinations = Arc<[Destination]>;

/// What must be done after the routes have changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing.
    None,
    /// A source is to be pulled.
    Open(QueueName, Destinations),
    /// A source that is pulled has other destinations.
    Redirect(QueueName, Destinations),
    /// A source is to be released.
    Close(QueueName),
}

/// The bindings that a router carries.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    by_source: BTreeMap<QueueName, BTreeSet<Binding>>,
}

impl Routes {
    pub(crate) fn contain(&self, binding: &Binding) -> bool {
        self.by_source.get(binding.source()).is_some_and(|bindings| bindings.contains(binding))
    }

    pub(crate) fn add(&mut self, binding: &Binding) -> Change {
        let source = binding.source();
        let Some(bindings) = self.by_source.get_mut(source) else {
            let bindings = BTreeSet::from([binding.clone()]);
            let destinations = destinations(&bindings);
            self.by_source.insert(source.clone(), bindings);
            return Change::Open(source.clone(), destinations);
        };
        let before = destinations(bindings);
        bindings.insert(binding.clone());
        redirected(source, &before, destinations(bindings))
    }

    pub(crate) fn remove(&mut self, binding: &Binding) -> Change {
        let source = binding.source();
        let Some(bindings) = self.by_source.get_mut(source) else { return Change::None };
        let before = destinations(bindings);
        bindings.remove(binding);
        if bindings.is_empty() {
            self.by_source.remove(source);
            return Change::Close(source.clone());
        }
        redirected(source, &before, destinations(bindings))
    }
}

fn redirected(source: &QueueName, before: &Destinations, now: Destinations) -> Change {
    if *before == now { Change::None } else { Change::Redirect(source.clone(), now) }
}

fn destinations(bindings: &BTreeSet<Binding>) -> Destinations {
    let destination = |binding: &Binding| match binding {
        Binding::Broadcast { target, .. } => Destination::Exchange(target.clone()),
        Binding::PubSub { target, .. } | Binding::RoundRobin { target, .. } => {
            Destination::Queue(target.clone())
        }
    };
    bindings.iter().map(destination).collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pubsub(source: &str, target: &str) -> Binding {
        Binding::PubSub { source: source.into(), target: target.into() }
    }

    fn queues(names: &[&str]) -> Destinations {
        names.iter().map(|name| Destination::Queue((*name).into())).collect()
    }

    #[test]
    fn a_source_is_pulled_once_and_as_long_as_somebody_wants_it() {
        let mut routes = Routes::default();
        assert_eq!(routes.add(&pubsub("a", "x")), Change::Open("a".into(), queues(&["x"])));
        assert_eq!(routes.add(&pubsub("a", "x")), Change::None);
        assert_eq!(routes.add(&pubsub("a", "y")), Change::Redirect("a".into(), queues(&["x", "y"])));
        assert_eq!(routes.add(&pubsub("b", "y")), Change::Open("b".into(), queues(&["y"])));
        assert_eq!(routes.remove(&pubsub("a", "x")), Change::Redirect("a".into(), queues(&["y"])));
        assert_eq!(routes.remove(&pubsub("a", "y")), Change::Close("a".into()));
        assert_eq!(routes.remove(&pubsub("a", "y")), Change::None);
    }

    #[test]
    fn bindings_that_mean_the_same_carry_a_message_once() {
        let mut routes = Routes::default();
        let round_robin =
            Binding::RoundRobin { source: "a".into(), target: "x".into(), deadletter: None, retry: None };
        routes.add(&pubsub("a", "x"));
        assert_eq!(routes.add(&round_robin), Change::None);
        assert_eq!(routes.remove(&pubsub("a", "x")), Change::None, "the other one still wants it");
        assert_eq!(routes.remove(&round_robin), Change::Close("a".into()));
    }
}
