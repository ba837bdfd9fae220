//! What a graph asks for that cannot be had.

use msgflo_core::{ComponentName, Role};

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
    /// A node that stands for a binding stands for none.
    #[error("{what}")]
    Binding {
        /// The node.
        node: Role,
        /// What is wrong with it.
        what: String,
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
            Self::Binding { node, .. } => Some(node),
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
            Self::Binding { .. } => "messages would be lost there".into(),
            Self::UnknownRole { .. } => "check the names after --only and --ignore".into(),
        }
    }
}
