//! What happens when memory or disk run short: publishers are told to wait, and the shell reads nothing more from
//! them; consumers go on, so that it can end.

use std::fmt;

use amq_protocol::protocol::{AMQPClass, connection};

use super::connection::Life;
use super::value::{ConnectionId, Output, Time};
use super::{Broker, WINDOW};

/// How much memory messages may take (bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Above this, new messages that must wait leave memory for the disk.
    pub(crate) page: usize,
    /// Above this, publishers must wait.
    pub(crate) memory: usize,
}

impl Limits {
    /// Limits for so much memory in all: messages leave it early, since what is on its way needs room, too.
    pub(crate) fn of(memory: usize) -> Self {
        Self { page: memory / 4, memory }
    }
}

/// What runs short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Alarms {
    pub(crate) memory: bool,
    pub(crate) disk: bool,
}

impl Alarms {
    fn any(self) -> bool {
        self.memory || self.disk
    }
}

impl fmt::Display for Alarms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.memory, self.disk) {
            (_, false) => "low on memory",
            (false, true) => "low on disk",
            (true, true) => "low on memory & disk",
        })
    }
}

impl Broker {
    /// Looks at the memory in use. It must have fallen a tenth below the limit before publishers go on.
    pub(crate) fn check_memory(&mut self, now: Time) {
        let used = self.memory_used();
        let limit = self.limits.memory;
        let short = if self.alarms.memory { used > limit - limit / 10 } else { used > limit };
        if short != self.alarms.memory {
            self.alarm(Alarms { memory: short, ..self.alarms }, now);
        }
    }

    /// The disk takes nothing more, or does again.
    pub(crate) fn disk_is_short(&mut self, short: bool, now: Time) {
        self.alarm(Alarms { disk: short, ..self.alarms }, now);
    }

    fn alarm(&mut self, alarms: Alarms, now: Time) {
        self.now = now;
        let was = std::mem::replace(&mut self.alarms, alarms);
        if was.any() == alarms.any() {
            return;
        }
        if alarms.any() {
            tracing::warn!(reason = %alarms, memory = self.memory_used(), "publishers must wait");
        } else {
            tracing::info!("publishers go on");
        }
        let ids: Vec<_> = self.connections.keys().copied().collect();
        for id in ids {
            self.tell_blocked(id);
        }
    }

    /// Tells a connection whether its publishes are read, if that has changed since it was last told.
    pub(super) fn tell_blocked(&mut self, id: ConnectionId) {
        let alarms = self.alarms;
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let blocked = alarms.any() && connection.publishes;
        if connection.blocked == blocked || connection.life != Life::Open {
            return;
        }
        connection.blocked = blocked;
        if connection.peer.takes_blocked {
            let method = if blocked {
                let reason = alarms.to_string();
                connection::AMQPMethod::Blocked(connection::Blocked { reason: reason.as_str().into() })
            } else {
                connection::AMQPMethod::Unblocked(connection::Unblocked {})
            };
            self.send(id, Output::Method(0, AMQPClass::Connection(method)));
        }
    }

    /// Whether nothing should be read from a connection; `unfinished` says that it is in the middle of a message.
    pub(crate) fn is_blocked(&self, id: ConnectionId, unfinished: bool) -> bool {
        self.alarms.any()
            && self.connections.get(&id).is_some_and(|connection| connection.publishes || unfinished)
    }

    /// What messages may take (bytes).
    pub(crate) fn memory_limit(&self) -> usize {
        self.limits.memory
    }

    /// What runs short.
    pub(crate) fn alarms(&self) -> Alarms {
        self.alarms
    }

    /// How much may wait for one connection.
    pub(super) fn window(&self) -> usize {
        // Thousands of slow readers together take a share that matters.
        if self.memory.used() < self.limits.page { WINDOW } else { WINDOW / 16 }
    }
}
