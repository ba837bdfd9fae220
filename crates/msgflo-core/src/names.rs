//! Names that must not be mixed up, each a type of its own.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as it is written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(name.into())
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self(name.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }
    };
}

name! {
    /// The part that a participant plays in a network: the name of a node in its graph.
    Role
}
name! {
    /// One running participant. Several ids may share a [`Role`].
    ParticipantId
}
name! {
    /// What a participant runs, such as `imageresize/ResizeImage`.
    ComponentName
}
name! {
    /// A port of a participant, such as `IN`. Matched without regard to case where a graph is not case-sensitive.
    PortName
}
name! {
    /// What a port is connected to in the broker: a queue or an exchange on AMQP, a topic on MQTT.
    QueueName
}

impl PortName {
    /// Whether both name the same port when case does not count, as in graphs by default.
    pub fn matches(&self, other: &PortName) -> bool {
        self.as_str().eq_ignore_ascii_case(other.as_str())
    }
}

impl QueueName {
    /// The name that Node, NoFlo and Rust participants give a port's queue or exchange by default: `role.PORT`.
    pub fn conventional(role: &Role, port: &PortName) -> Self {
        Self::from(format!("{role}.{port}"))
    }
}
