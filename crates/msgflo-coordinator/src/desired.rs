//! What a graph and a library want: processes, connections, initial packets.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use fbp::{Endpoint, Graph};
use indexmap::IndexMap;
use msgflo_core::{ComponentName, PortName, Role};
use serde_json::Value;

use crate::library::{CommandLine, Library, Recipe};

/// The component that stands for a round-robin binding, with the ports IN, OUT and DEADLETTER.
const ROUND_ROBIN: &str = "msgflo/RoundRobin";
/// The component that stands for a publish-subscribe binding, with the ports IN and OUT.
const PUB_SUB: &str = "msgflo/PubSub";

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
}

/// A port of a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRef {
    /// The role.
    pub role: Role,
    /// Its port.
    pub port: PortName,
}

/// As `role.PORT`.
impl fmt::Display for PortRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.role, self.port)
    }
}

impl From<&Endpoint> for PortRef {
    fn from(end: &Endpoint) -> Self {
        Self { role: end.process.as_str().into(), port: end.port.as_str().into() }
    }
}

/// How a connection is made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Routing {
    /// Straight from exchange to queue.
    PubSub,
    /// By way of an exchange of its own, with a place for what was refused.
    RoundRobin {
        /// Where refused messages go.
        deadletter: Option<PortRef>,
    },
}

/// A connection between two participants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connection {
    /// The outport.
    pub source: PortRef,
    /// The inport.
    pub target: PortRef,
    /// How it is made.
    pub routing: Routing,
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

/// What a graph asks for that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// No command is known for a node's component.
    #[error("component `{component}` of `{role}` is not in the library")]
    UnknownComponent {
        /// The node.
        role: Role,
        /// Its component.
        component: ComponentName,
        /// The most similar component of the library.
        similar: Option<ComponentName>,
    },
    /// The component has no process of its own, and its host is not in the graph.
    #[error(
        "component `{component}` of `{role}` is served by the process of `{host}`, which is not in the graph"
    )]
    MissingHost {
        /// The node.
        role: Role,
        /// Its component.
        component: ComponentName,
        /// The component whose process serves it.
        host: ComponentName,
    },
    /// `--only` or `--ignore` names a role that the graph lacks.
    #[error("there is no role `{role}` in the graph; it has {known}")]
    UnknownRole {
        /// The name.
        role: Role,
        /// Those that there are.
        known: String,
    },
}

impl Problem {
    /// The node that it is about, if it is about one.
    pub fn node(&self) -> Option<&Role> {
        match self {
            Self::UnknownComponent { role, .. } | Self::MissingHost { role, .. } => Some(role),
            Self::UnknownRole { .. } => None,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::UnknownComponent { similar: Some(similar), .. } => format!("did you mean `{similar}`?"),
            Self::UnknownComponent { role, .. } => {
                format!("add it to the library, or use `--ignore {role}` if somebody else starts it")
            }
            Self::MissingHost { role, host, .. } => {
                format!("add a node of `{host}`, or use `--ignore {role}` if somebody else starts it")
            }
            Self::UnknownRole { .. } => "check the names after --only and --ignore".into(),
        }
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
    /// What `graph` wants, with the commands of `library` for the roles of `choice`.
    ///
    /// # Errors
    /// Every problem at once.
    pub fn new(graph: &Graph, library: &Library, choice: &Choice) -> Result<Self, Vec<Problem>> {
        let mut desired = Self::default();
        for (name, process) in &graph.processes {
            if !is_binding(process.component.as_str()) {
                let component = ComponentName::from(process.component.as_str());
                desired.nodes.insert(name.as_str().into(), Node { component, unit: None });
            }
        }
        desired.connections = connections(graph);
        desired.initials =
            graph.initials().map(|initial| ((&initial.tgt).into(), initial.data.clone())).collect();
        let mut problems = desired.check_choice(choice);
        desired.assign_units(library, choice, &mut problems);
        if problems.is_empty() { Ok(desired) } else { Err(problems) }
    }

    /// The kind of process that serves `role`.
    pub fn unit_of(&self, role: &Role) -> Option<&UnitName> {
        self.nodes.get(role)?.unit.as_ref()
    }

    fn check_choice(&self, choice: &Choice) -> Vec<Problem> {
        let named = choice.only.iter().chain(&choice.ignore);
        let unknown = named.filter(|role| !self.nodes.contains_key(*role));
        let known = || self.nodes.keys().map(|role| format!("`{role}`")).collect::<Vec<_>>().join(", ");
        unknown.map(|role| Problem::UnknownRole { role: role.clone(), known: known() }).collect()
    }

    fn assign_units(&mut self, library: &Library, choice: &Choice, problems: &mut Vec<Problem>) {
        let ours: Vec<(Role, ComponentName)> = self
            .nodes
            .iter()
            .filter(|(role, _)| choice.starts(role))
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
                problems.push(match library.host(&component) {
                    Some(host) => Problem::MissingHost { role, component, host: host.clone() },
                    None => {
                        let known = library.components().map(ComponentName::as_str);
                        let similar = fbp::did_you_mean(component.as_str(), known).map(Into::into);
                        Problem::UnknownComponent { role, component, similar }
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

fn is_binding(component: &str) -> bool {
    component == ROUND_ROBIN || component == PUB_SUB
}

/// The connections between participants, with the nodes that stand for bindings resolved.
fn connections(graph: &Graph) -> Vec<Connection> {
    let binding = |end: &Endpoint| {
        let component = graph.processes.get(end.process.as_str())?.component.as_str();
        is_binding(component).then_some(component)
    };
    let mut connections = Vec::new();
    for edge in graph.edges() {
        let Some(component) = binding(&edge.tgt) else {
            if binding(&edge.src).is_none() {
                let (source, target) = ((&edge.src).into(), (&edge.tgt).into());
                connections.push(Connection { source, target, routing: Routing::PubSub });
            }
            continue;
        };
        let leaving = |port: &'static str| {
            let node = &edge.tgt.process;
            graph.edges().filter(move |next| {
                next.src.process == *node && next.src.port.as_str().eq_ignore_ascii_case(port)
            })
        };
        let routing = match component {
            ROUND_ROBIN => Routing::RoundRobin {
                deadletter: leaving("deadletter").next().map(|edge| (&edge.tgt).into()),
            },
            _ => Routing::PubSub,
        };
        for next in leaving("out") {
            let (source, target) = ((&edge.src).into(), (&next.tgt).into());
            connections.push(Connection { source, target, routing: routing.clone() });
        }
    }
    connections
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
        Desired::new(&fbp::parse(text).unwrap(), &library(), choice)
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
}
