//! What .fbp text cannot hold of a graph.

use std::fmt;

use serde_json::Value;

use crate::{Connection, Group, NodeName, PortName};

/// Something of a graph that its .fbp text does not hold, or holds differently.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Loss {
    /// Case counts in this graph, but only who reads the text can say so ([`crate::Options::case_sensitive`]).
    CaseSensitive,
    /// A property has no annotation that would set it to that value.
    Property {
        /// The key in [`crate::Graph::properties`].
        key: String,
    },
    /// Groups cannot be written.
    Group(Group),
    /// The name of a node cannot be written.
    NodeName {
        /// Its name.
        node: NodeName,
        /// What is written.
        written: String,
    },
    /// The name of a node's component cannot be written.
    Component {
        /// The node.
        node: NodeName,
        /// What is written.
        written: String,
    },
    /// An entry of a node's metadata cannot be written.
    NodeMetadata {
        /// The node.
        node: NodeName,
        /// The entry's key.
        key: String,
        /// The entry's value.
        value: Value,
        /// What is written, if anything.
        written: Option<String>,
    },
    /// The name of a port or a public name cannot be written, or loses its case.
    Port {
        /// The name.
        port: PortName,
        /// How it reads afterwards.
        written: String,
    },
    /// Metadata of a connection cannot be written.
    ConnectionMetadata(Connection),
    /// `true`, `false` and `null` would read as nodes, so the packet is left out.
    Packet(Connection),
    /// The connection is left out, since it leads to a node that does not exist.
    Connection(Connection),
    /// The exported port is left out, since it belongs to a node that does not exist.
    Export {
        /// The public name.
        public: PortName,
    },
    /// Metadata of an exported port cannot be written.
    ExportMetadata {
        /// The public name.
        public: PortName,
    },
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CaseSensitive => f.write_str("that port names are case-sensitive"),
            Self::Property { key } => write!(f, "property `{key}`"),
            Self::Group(group) => write!(f, "group `{}`", group.name),
            Self::NodeName { node, written } => write!(f, "name of node `{node}`, written as `{written}`"),
            Self::Component { node, written } => {
                write!(f, "component of node `{node}`, written as `{written}`")
            }
            Self::NodeMetadata { node, key, value, written: None } => {
                write!(f, "metadata `{key}` = {value} of node `{node}`")
            }
            Self::NodeMetadata { node, key, value, written: Some(written) } => {
                write!(f, "metadata `{key}` = {value} of node `{node}`, written as `{written}`")
            }
            Self::Port { port, written } => write!(f, "port name `{port}`, which reads as `{written}`"),
            Self::ConnectionMetadata(connection) => write!(f, "metadata of `{connection}`"),
            Self::Packet(packet) => write!(f, "packet `{packet}`"),
            Self::Connection(connection) => write!(f, "connection `{connection}` of an undefined node"),
            Self::Export { public } => write!(f, "exported port `{public}` of an undefined node"),
            Self::ExportMetadata { public } => write!(f, "metadata of exported port `{public}`"),
        }
    }
}
