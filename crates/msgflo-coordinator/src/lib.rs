//! Keeps a network as its graph wants it.
//!
//! What is wanted ([`Desired`]) comes from a graph and a component [`Library`]. What is there is observed: participants announce
//! themselves, processes start and exit, the broker says what is bound. [`Network`] compares the two, purely, and yields
//! actions; [`Coordinator`] carries them out on a broker and on the processes of this machine.
//!
//! Invariants:
//! - nothing waits for a participant: what cannot be bound yet is bound when it appears;
//! - only bindings that are ours, by the broker's ledger, are ever removed;
//! - no process outlives this one, however it ends (see [`guard`]).
//!
//! It is not on the way of any message.

mod coordinator;
mod desired;
pub mod guard;
mod library;
mod network;
mod processes;
mod status;
mod supervisor;

pub use coordinator::{Coordinator, Error, Handle, Options};
pub use desired::{Choice, Connection, Desired, Node, PortRef, Problem, Routing, Unit, UnitName};
pub use library::{CommandLine, Library, LibraryError, Recipe};
pub use network::{Action, Inlet, Input, Network};
pub use processes::{Exit, Instance};
pub use status::{EdgeState, EdgeStatus, NodeState, NodeStatus, ProcessStatus, QueueStatus, Status};
pub use supervisor::Forward;
