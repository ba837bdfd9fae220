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
pub mod deadletters;
mod desired;
pub mod guard;
mod library;
mod network;
mod processes;
mod shell;
mod status;
mod supervisor;

pub use coordinator::{Coordinator, Error, Event, Handle, Options};
pub use desired::{
    Choice, Connection, Desired, Node, PUB_SUB, Part, PortRef, Problem, ROUND_ROBIN, Routing, Unit, UnitName,
    is_binding,
};
pub use library::{CommandLine, Fingerprint, Library, LibraryError, LibraryOrigin, Recipe, SourceError};
pub use network::{Action, Inlet, Input, Network, Origin, Packet};
pub use processes::{Ended, Exit, Instance};
pub use status::{EdgeState, EdgeStatus, NodeState, NodeStatus, ProcessStatus, QueueStatus, Status};
pub use supervisor::Forward;
