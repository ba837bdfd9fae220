//! What the network is told, and what it says is to be done.

use std::collections::BTreeSet;

use msgflo_core::{Binding, Message, Participant, QueueName, Role};

use super::packets::{Inlet, Packet};
use crate::desired::{Desired, PortRef};
use crate::library::CommandLine;
use crate::processes::{Ended, Exit, Instance};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// The network is to be another one.
    Desire(Box<Desired>),
    /// That many processes are to serve the role.
    Scale {
        /// The role.
        role: Role,
        /// How many processes.
        instances: u32,
    },
    /// The processes that serve these roles are to be replaced by new ones, each after its successor is up.
    Restart(Vec<Role>),
    /// What these outports send is to be looked at, and nothing else.
    Watch(BTreeSet<PortRef>),
    /// Somebody sends a packet to an inport.
    Send(PortRef, Message),
    /// A participant announced itself.
    Heard(Participant),
    /// The broker made a binding, or said why not.
    Bound(Binding, Result<(), String>),
    /// A binding that was there is there, or cannot be.
    Checked(Binding, Result<(), String>),
    /// Whether a binding that was there still is could not be told: the broker does not answer.
    Unchecked(Binding),
    /// The broker removed a binding, or said why not.
    Unbound(Binding, Result<(), String>),
    /// The connection to the broker is there again. What was bound may have gone with what the broker has forgotten.
    Reconnected,
    /// What an outport sends to `queue` is looked at, or no longer.
    Tapped {
        /// The outport.
        port: PortRef,
        /// What it sends to.
        queue: QueueName,
        /// Whether it is.
        is_open: bool,
    },
    /// A process was started.
    Started {
        /// Which.
        instance: Instance,
        /// Its process id, which is also its process group.
        pid: u32,
    },
    /// A process ended. Others of its group are left.
    LeaderEnded {
        /// Which.
        instance: Instance,
    },
    /// A process ended with all of its group, or could not be started.
    Exited {
        /// Which.
        instance: Instance,
        /// How.
        exit: Exit,
    },
    /// Every process is to end. The bindings stay.
    Stop,
    /// Time has passed.
    Tick,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Start a process.
    Spawn(Instance, CommandLine),
    /// Ask a process to end.
    Terminate(Instance),
    /// End a process.
    Kill(Instance),
    /// Say that a process ended.
    Tell(Ended),
    /// Make a binding.
    Bind(Binding),
    /// Make a binding again that should be there: somebody may have removed it.
    Check(Binding),
    /// Remove a binding.
    Unbind(Binding),
    /// Look at what an outport sends to the exchange or topic.
    Tap(PortRef, QueueName),
    /// Look no longer.
    Untap(PortRef),
    /// Send a packet.
    Send(Inlet, Packet),
    /// A packet cannot be sent, for this reason.
    Return(Packet, String),
}
