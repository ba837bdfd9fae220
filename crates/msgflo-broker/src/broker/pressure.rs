//! What happens when memory or disk run short: publishers are told to wait, and the shell reads nothing more from
//! them; consumers go on, so that it can end.
//!
//! There are two marks. Above the first one those wait who only publish. Who consumes, too, is read on, since
//! acknowledgements come on the same connection, until the second one: above that everybody waits who publishes.

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
    /// Above this, publishers must wait, and a quarter above it also those that consume.
    pub(crate) memory: usize,
}

impl Limits {
    /// Limits for so much memory in all: messages leave it early, since what is on its way needs room, too.
    pub(crate) fn of(memory: usize) -> Self {
        Self { page: memory / 4, memory }
    }
}

/// How short something runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Pressure {
    /// There is enough.
    #[default]
    None,
    /// Entered at the first mark: who only publishes must wait. Left well below it.
    High,
    /// Entered at the second mark: whoever publishes must wait. Left well below that.
    Severe,
}

impl Pressure {
    /// Whether anybody must wait.
    pub(crate) fn is_any(self) -> bool {
        self != Self::None
    }
}

/// What runs short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Alarms {
    pub(crate) memory: Pressure,
    pub(crate) disk: Pressure,
}

impl Alarms {
    /// The worse of the two.
    pub(crate) fn pressure(self) -> Pressure {
        self.memory.max(self.disk)
    }
}

impl fmt::Display for Alarms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.memory.is_any(), self.disk.is_any()) {
            (_, false) => "low on memory",
            (false, true) => "low on disk",
            (true, true) => "low on memory & disk",
        })
    }
}

impl Broker {
    /// Looks at the memory in use. It must have fallen a tenth of the limit below a mark before publishers go on.
    pub(crate) fn check_memory(&mut self, now: Time) {
        let (used, limit, was) = (self.memory_used(), self.limits.memory, self.alarms.memory);
        let is_above = |mark: usize, was: bool| used > if was { mark - limit / 10 } else { mark };
        let memory = if is_above(limit.saturating_add(limit / 4), was == Pressure::Severe) {
            Pressure::Severe
        } else if is_above(limit, was.is_any()) {
            Pressure::High
        } else {
            Pressure::None
        };
        if memory != was {
            self.alarm(Alarms { memory, ..self.alarms }, now);
        }
    }

    /// How short the disk runs now.
    pub(crate) fn disk_is_short(&mut self, disk: Pressure, now: Time) {
        self.alarm(Alarms { disk, ..self.alarms }, now);
    }

    fn alarm(&mut self, alarms: Alarms, now: Time) {
        self.now = now;
        let was = std::mem::replace(&mut self.alarms, alarms);
        if was.pressure() == alarms.pressure() {
            return;
        }
        let memory = self.memory_used();
        match alarms.pressure() {
            Pressure::None => tracing::info!("publishers go on"),
            Pressure::High => tracing::warn!(reason = %alarms, memory, "those that only publish must wait"),
            Pressure::Severe => tracing::warn!(reason = %alarms, memory, "whoever publishes must wait"),
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
        let blocked = connection.publishes && alarms.pressure() >= connection.waits_from();
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

    /// From which pressure on nothing should be read from a connection, if ever; it is in the middle of messages that take
    /// `unfinished` bytes so far.
    pub(crate) fn waits_from(&mut self, id: ConnectionId, unfinished: usize) -> Option<Pressure> {
        let connection = self.connections.get_mut(&id)?;
        connection.unfinished = unfinished;
        (connection.publishes || unfinished > 0).then(|| connection.waits_from())
    }

    /// Whether a connection that waits must give up what it is in the middle of: when beginnings of messages take most of the
    /// memory, nothing else may make room. Then those go that hold no less than the others, so always somebody; who publishes
    /// small messages waits, however long.
    pub(crate) fn must_give_up(&self, id: ConnectionId) -> bool {
        let open = self.connections.values().filter(|connection| connection.life == Life::Open);
        let (count, all) =
            open.fold((0, 0), |(count, all), connection| (count + 1, all + connection.unfinished));
        let own = self.connections.get(&id).map_or(0, |connection| connection.unfinished);
        all > self.limits.memory / 2 && own.saturating_mul(count) >= all
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
