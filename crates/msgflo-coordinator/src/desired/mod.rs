//! What a graph and a library want: processes, connections, initial packets.

mod problem;
mod retry;
mod routing;

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use fbp::{Endpoint, Graph};
use indexmap::IndexMap;
use msgflo_core::{ComponentName, Role};
use serde_json::Value;

use crate::library::{CommandLine, Library, Recipe};

pub use problem::Problem;
pub use routing::{Connection, PUB_SUB, PortRef, ROUND_ROBIN, Routing, is_binding};

/// A kind of process: its name is the first role that it serves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitName(pub Role);

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A kind of process that we run, once or many times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The roles that one process serves.
    pub roles: Vec<Role>,
    /// What is run.
    pub command: CommandLine,
}

/// A node of the graph that is a participant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it runs.
    pub component: ComponentName,
    /// The process that serves it. `None`: somebody else starts it.
    pub unit: Option<UnitName>,
    /// Why we cannot start it although we should.
    pub problem: Option<Problem>,
    /// Whether its graph has been started.
    pub started: bool,
}

/// Which roles are ours to start.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Start these and no others. Empty: start all.
    pub only: BTreeSet<Role>,
    /// Do not start these.
    pub ignore: BTreeSet<Role>,
}

impl Choice {
    /// Whether `role` is ours to start.
    pub fn starts(&self, role: &Role) -> bool {
        (self.only.is_empty() || self.only.contains(role)) && !self.ignore.contains(role)
    }
}

/// One of the graphs that a network is made of.
#[derive(Clone, Copy, Debug)]
pub struct Part<'g> {
    /// The graph.
    pub graph: &'g Graph,
    /// What comes, with a slash, before its nodes' names to make their roles, so that graphs with equal names do not meet in
    /// the broker.
    pub scope: Option<&'g str>,
    /// Whether its processes are to run and its initial packets to be sent. Its connections are made in any case.
    pub started: bool,
}

impl Part<'_> {
    /// The role that a node of this graph plays.
    pub fn role(&self, node: &str) -> Role {
        match self.scope {
            Some(scope) => format!("{scope}/{node}").into(),
            None => node.into(),
        }
    }

    /// The port of a participant that an end in this graph means.
    pub fn port(&self, end: &Endpoint) -> PortRef {
        PortRef { role: self.role(end.process.as_str()), port: end.port.as_str().into() }
    }
}

/// What a network is to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desired {
    /// The participants, in the order of the graph.
    pub nodes: IndexMap<Role, Node>,
    /// The kinds of processes that we run.
    pub units: IndexMap<UnitName, Unit>,
    /// The connections.
    pub connections: Vec<Connection>,
    /// Packets to send to a role whenever it appears.
    pub initials: Vec<(PortRef, Value)>,
}

impl Desired {
    /// What `graph` wants, with the commands of `library` for the roles of `choice`, and all that cannot be had of it.
    pub fn checked(graph: &Graph, library: &Library, choice: &Choice) -> (Self, Vec<Problem>) {
        let desired = Self::of(&[Part { graph, scope: None, started: true }], library, choice);
        let mut problems = desired.check_choice(choice);
        problems.extend(desired.nodes.values().filter_map(|node| node.problem.clone()));
        let complaints = routing::complaints(graph).into_iter();
        problems.extend(complaints.map(|(node, what)| Problem::Binding { node: node.as_str().into(), what }));
        (desired, problems)
    }

    /// What all these graphs want together. A node that cannot be started says why, and hinders nothing else.
    pub fn of(parts: &[Part<'_>], library: &Library, choice: &Choice) -> Self {
        let mut desired = Self::default();
        for part in parts {
            desired.add(part);
        }
        desired.assign_units(library, choice);
        desired
    }

    /// The kind of process that serves `role`.
    pub fn unit_of(&self, role: &Role) -> Option<&UnitName> {
        self.nodes.get(role)?.unit.as_ref()
    }

    fn add(&mut self, part: &Part<'_>) {
        for (name, process) in &part.graph.processes {
            if !is_binding(process.component.as_str()) {
                let component = ComponentName::from(process.component.as_str());
                let node = Node { component, unit: None, problem: None, started: part.started };
                self.nodes.insert(part.role(name.as_str()), node);
            }
        }
        self.connections.extend(routing::connections(part.graph, |end| part.port(end)));
        if part.started {
            // Those of a node that stands for a binding say how it is made.
            let is_process = |initial: &&fbp::Initial| {
                let node = part.graph.processes.get(initial.tgt.process.as_str());
                !node.is_some_and(|node| is_binding(node.component.as_str()))
            };
            let initials = part.graph.initials().filter(is_process);
            self.initials.extend(initials.map(|initial| (part.port(&initial.tgt), initial.data.clone())));
        }
    }

    fn check_choice(&self, choice: &Choice) -> Vec<Problem> {
        let named = choice.only.iter().chain(&choice.ignore);
        let unknown = named.filter(|role| !self.nodes.contains_key(*role));
        let known = || self.nodes.keys().map(|role| format!("`{role}`")).collect::<Vec<_>>().join(", ");
        unknown.map(|role| Problem::UnknownRole { role: role.clone(), known: known() }).collect()
    }

    fn assign_units(&mut self, library: &Library, choice: &Choice) {
        let ours: Vec<(Role, ComponentName)> = self
            .nodes
            .iter()
            .filter(|(role, node)| node.started && choice.starts(role))
            .map(|(role, node)| (role.clone(), library.full_name(&node.component)))
            .collect();
        let mut guests: HashMap<Role, UnitName> = HashMap::new();
        for (role, component) in &ours {
            let Some(recipe) = library.recipe(component) else { continue };
            let mut roles = vec![(role.clone(), component.clone())];
            for wanted in &recipe.with {
                let free = |(role, component): &&(Role, ComponentName)| {
                    component == wanted && !guests.contains_key(role)
                };
                if let Some(guest) = ours.iter().find(free) {
                    guests.insert(guest.0.clone(), UnitName(role.clone()));
                    roles.push(guest.clone());
                }
            }
            self.add_unit(library, recipe, &roles);
        }
        for (role, component) in ours {
            if let Some(host) = guests.remove(&role) {
                // A component that can also run alone does not, where a host serves it.
                self.units.shift_remove(&UnitName(role.clone()));
                self.nodes[&role].unit = Some(host);
            } else if library.recipe(&component).is_none() {
                self.nodes[&role].problem = Some(match library.host(&component) {
                    Some(host) => Problem::MissingHost { role: role.clone(), component, host: host.clone() },
                    None => {
                        let known = library.components().map(ComponentName::as_str);
                        let similar = fbp::did_you_mean(component.as_str(), known).map(Into::into);
                        Problem::UnknownComponent { role: role.clone(), component, similar }
                    }
                });
            }
        }
    }

    fn add_unit(&mut self, library: &Library, recipe: &Recipe, roles: &[(Role, ComponentName)]) {
        let Some((first, _)) = roles.first() else { return };
        let own = self.initials.iter().filter(|(target, _)| target.role == *first);
        let initials: serde_json::Map<_, _> =
            own.map(|(target, data)| (target.port.to_string(), data.clone())).collect();
        let command = library.command(recipe, roles, &Value::Object(initials).to_string());
        let name = UnitName(first.clone());
        self.nodes[first].unit = Some(name.clone());
        self.units
            .insert(name, Unit { roles: roles.iter().map(|(role, _)| role.clone()).collect(), command });
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn library() -> Library {
        let text = r#"{"components": {
            "ir/Http": {"command": "ir serve", "with": ["ir/Store"]}, "ir/Resize": "ir resize --role #ROLE"}}"#;
        Library::parse(text, Path::new(".")).unwrap()
    }

    fn desired(text: &str, choice: &Choice) -> Result<Desired, Vec<Problem>> {
        let (desired, problems) = Desired::checked(&fbp::parse(text).unwrap(), &library(), choice);
        if problems.is_empty() { Ok(desired) } else { Err(problems) }
    }

    const SERVICE: &str = "web(ir/Http) RESIZE -> IN resize(ir/Resize) OUT -> IN store(ir/Store)";

    #[test]
    fn roles_share_the_process_that_the_library_names() {
        let desired = desired(SERVICE, &Choice::default()).unwrap();
        let units: Vec<_> = desired.units.values().map(|unit| unit.roles.clone()).collect();
        assert_eq!(units, [vec![Role::from("web"), "store".into()], vec!["resize".into()]]);
        assert_eq!(desired.unit_of(&"store".into()), Some(&UnitName("web".into())));
        assert_eq!(desired.units[&UnitName("resize".into())].command.command, "ir resize --role resize");
    }

    #[test]
    fn what_is_ignored_is_bound_but_not_started() {
        let choice = Choice { ignore: ["resize".into()].into(), ..Choice::default() };
        let desired = desired(SERVICE, &choice).unwrap();
        assert_eq!(desired.unit_of(&"resize".into()), None);
        assert_eq!(desired.connections.len(), 2);
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let choice =
            Choice { only: ["rezise".into(), "resize".into(), "store".into()].into(), ..Choice::default() };
        let text = "resize(ir/Rezize) OUT -> IN store(ir/Store)";
        let problems = desired(text, &choice).unwrap_err();
        let told: Vec<_> = problems.iter().map(|problem| format!("{problem} ({})", problem.help())).collect();
        assert_eq!(
            told,
            [
                "there is no role `rezise` in the graph; it has `resize`, `store` (check the names after --only and --ignore)",
                "component `ir/Rezize` of `resize` is not in the library (did you mean `ir/Resize`?)",
                "component `ir/Store` of `store` is served by the process of `ir/Http`, which is not in the graph \
                 (add a node of `ir/Http`, or use `--ignore store` if somebody else starts it)",
            ]
        );
    }

    #[test]
    fn nodes_that_stand_for_bindings_are_resolved() {
        let text = "a(ir/Resize) OUT -> IN rr(msgflo/RoundRobin) OUT -> IN b(ir/Resize)
                    rr DEADLETTER -> FAILED c(ir/Resize)
                    a OUT -> IN ps(msgflo/PubSub) OUT -> IN c";
        let desired = desired(text, &Choice::default()).unwrap();
        assert_eq!(desired.nodes.len(), 3);
        let shown: Vec<_> = desired
            .connections
            .iter()
            .map(|connection| {
                format!("{} -> {} {:?}", connection.source, connection.target, connection.routing)
            })
            .collect();
        assert_eq!(shown.len(), 2, "{shown:?}");
        assert!(shown[0].starts_with("a.out -> b.in RoundRobin") && shown[0].contains("failed"), "{shown:?}");
        assert!(shown[1].starts_with("a.out -> c.in PubSub"), "{shown:?}");
    }

    fn routings(text: &str) -> Vec<Routing> {
        let (desired, _) = Desired::checked(&fbp::parse(text).unwrap(), &library(), &Choice::default());
        assert_eq!(desired.initials, []);
        desired.connections.into_iter().map(|connection| connection.routing).collect()
    }

    #[test]
    fn a_round_robin_tries_again_where_its_initial_packets_say_so() {
        let text = "a(ir/Resize) OUT -> IN rr(msgflo/RoundRobin) OUT -> IN b(ir/Resize)\n'2s' -> DELAY rr\n'5' -> RETRIES rr\n";
        let routing = routings(&format!("{text}rr DEADLETTER -> IN c(ir/Resize)")).remove(0);
        let expected = msgflo_core::Retry { delay: std::time::Duration::from_secs(2), times: 5 };
        assert!(
            matches!(&routing, Routing::RoundRobin { retry: Some(retry), .. } if *retry == expected),
            "{routing:?}"
        );
        let routing = routings(text).remove(0);
        assert!(
            matches!(&routing, Routing::Impossible(reason) if reason.contains("DEADLETTER")),
            "{routing:?}"
        );
        let routing =
            routings(&format!("{text}'never' -> DELAY rr\nrr DEADLETTER -> IN c(ir/Resize)")).remove(0);
        assert!(matches!(&routing, Routing::Impossible(reason) if reason.contains("never")), "{routing:?}");
    }

    #[test]
    fn a_node_that_stands_for_no_binding_is_complained_of() {
        let said = |text: &str| {
            let text = format!("a(ir/Resize)\nb(ir/Resize)\n{text}");
            let problems =
                desired(&text, &Choice::default()).map(|_| Vec::new()).unwrap_or_else(|problems| problems);
            problems.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let rr = "a OUT -> IN rr(msgflo/RoundRobin) OUT -> IN b\n";
        assert_eq!(said(&format!("{rr}rr DEADLETTER -> IN b\n'1s' -> DELAY rr")), Vec::<String>::new());
        assert_eq!(
            said("a OUT -> IN rr(msgflo/RoundRobin) OUT -> IN r2(msgflo/RoundRobin) OUT -> IN b"),
            ["`rr` and `r2` both stand for connections: a participant must be between them"]
        );
        assert_eq!(
            said(&format!("{rr}rr oops -> IN b")),
            ["`rr` has no outport oops; it has OUT and DEADLETTER"]
        );
        assert_eq!(
            said(&format!("{rr}'1' -> FOO rr")),
            ["`rr` takes no packets at foo; it takes DELAY and RETRIES"]
        );
        assert_eq!(
            said("a OUT -> IN rr(msgflo/RoundRobin) DEADLETTER -> IN b"),
            ["what comes to `rr` goes nowhere: connect its OUT"]
        );
        assert!(
            said(&format!("{rr}rr DEADLETTER -> IN b\n'abc' -> DELAY rr"))[0].starts_with("DELAY of `rr`")
        );
        assert_eq!(
            said(&format!("{rr}rr DEADLETTER -> IN a\nrr DEADLETTER -> IN b")),
            ["`rr` has several connections at DEADLETTER; only one is made"]
        );
    }

    #[test]
    fn a_queue_tries_again_in_one_way() {
        let text = "a(ir/Resize) OUT -> IN r1(msgflo/RoundRobin) OUT -> IN b(ir/Resize)
            z(ir/Resize) OUT -> IN r2(msgflo/RoundRobin) OUT -> IN b
            r1 DEADLETTER -> IN c(ir/Resize)\nr2 DEADLETTER -> IN c\n'1' -> RETRIES r2\n";
        let shown = routings(text);
        assert!(matches!(&shown[0], Routing::Impossible(_)), "{shown:?}");
        assert!(matches!(&shown[1], Routing::RoundRobin { retry: Some(_), .. }), "{shown:?}");
        let shown = routings(&format!("{text}'1' -> RETRIES r1"));
        assert_eq!(shown[0], shown[1]);
    }
}
