//! The graph of a network: the .fbp language and JSON graphs, parsed, printed and compared.

mod model;
mod name;

pub use model::{Connection, Edge, Endpoint, ExportedPort, Graph, Group, Initial, Metadata, Process};
pub use name::{ComponentName, NodeName, PortName};
