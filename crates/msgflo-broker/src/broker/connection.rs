//! A connection as a value: who it is, its channels, and what waits to be written to it.

use std::collections::{BTreeMap, VecDeque};

use amq_protocol::types::{ChannelId, FieldTable};

use super::channel_state::{Channel, Mode, Waiting};
use super::pressure::Pressure;
use super::queue::QueueId;
use super::value::{Name, Output, Time};

/// When this much waits to be written, consumers of the connection get nothing more until it is taken (bytes).
///
/// What is being written comes on top, so a connection that reads nothing costs at most about twice this, and its
/// messages stay in their queues for others.
pub(crate) const WINDOW: usize = 1024 * 1024;

/// Who a connection is, as the handshake found.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// The authenticated user.
    pub(crate) user: Name,
    /// The virtual host that it opened.
    pub(crate) vhost: Name,
    /// Channels above this are refused.
    pub(crate) channel_max: u16,
    /// The client understands `basic.cancel` from the broker.
    pub(crate) takes_cancels: bool,
    /// The client understands `connection.blocked`.
    pub(crate) takes_blocked: bool,
    /// What lists call the connection; empty for one of the broker itself.
    pub(crate) name: String,
    /// What the client says of itself.
    pub(crate) client: FieldTable,
    pub(crate) since: Time,
    pub(crate) tls: bool,
}

impl Peer {
    /// The broker itself.
    pub(crate) fn inside(user: Name, vhost: Name) -> Self {
        Self {
            user,
            vhost,
            channel_max: 1,
            takes_cancels: false,
            takes_blocked: false,
            name: String::new(),
            client: FieldTable::default(),
            since: Time(0),
            tls: false,
        }
    }

    /// Whether this is the broker itself.
    pub(crate) fn is_inside(&self) -> bool {
        self.name.is_empty()
    }
}

/// What happens with the commands of a channel number.
#[derive(Debug)]
pub(crate) enum ChannelState {
    /// Entered by channel.open.
    Open(Box<Channel>),
    /// Entered when the broker closed it; everything is ignored until channel.close-ok (or channel.close) frees it.
    Closing,
}

/// Where a connection is in its life after the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// Commands are served.
    Open,
    /// The broker has sent connection.close: only close and close-ok are heard.
    Closing,
    /// Nothing is heard any more; the socket closes when everything is written.
    Closed,
}

/// A connection. See the module.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) peer: Peer,
    /// Index of the virtual host.
    pub(crate) vhost: usize,
    pub(crate) life: Life,
    pub(crate) channels: BTreeMap<ChannelId, ChannelState>,
    pub(crate) exclusive_queues: Vec<QueueId>,
    outbox: Vec<Output>,
    outbox_bytes: usize,
    held_bytes: usize,
    /// Outputs that wait until an effect is safe, in their order.
    pub(crate) held: VecDeque<(u64, Output)>,
    /// Channels with confirms that are due.
    pub(crate) confirming: Vec<ChannelId>,
    /// The shell has been told that there is output.
    pub(crate) announced: bool,
    /// A consumer was refused because the window was full.
    pub(crate) throttled: bool,
    /// It has published something.
    pub(crate) publishes: bool,
    /// Bytes of messages that it is in the middle of, when it was last read from.
    pub(crate) unfinished: usize,
    /// It was told that its publishes are not read.
    pub(crate) blocked: bool,
}

impl Connection {
    pub(crate) fn new(peer: Peer, vhost: usize) -> Self {
        Self {
            peer,
            vhost,
            life: Life::Open,
            channels: BTreeMap::new(),
            exclusive_queues: Vec::new(),
            outbox: Vec::new(),
            outbox_bytes: 0,
            held_bytes: 0,
            held: VecDeque::new(),
            confirming: Vec::new(),
            announced: false,
            throttled: false,
            publishes: false,
            unfinished: 0,
            blocked: false,
        }
    }

    /// The open channel of that number.
    pub(crate) fn channel(&mut self, id: ChannelId) -> Option<&mut Channel> {
        match self.channels.get_mut(&id)? {
            ChannelState::Open(channel) => Some(channel),
            ChannelState::Closing => None,
        }
    }

    /// From which pressure on it must not publish. One that takes messages out is needed longer.
    pub(crate) fn waits_from(&self) -> Pressure {
        let consumes = self.channels.values().any(|channel| match channel {
            ChannelState::Open(channel) => channel.consumes(),
            ChannelState::Closing => false,
        });
        if consumes { Pressure::Severe } else { Pressure::High }
    }

    /// Bytes that wait to be written, estimated.
    pub(crate) fn backlog(&self) -> usize {
        self.outbox_bytes + self.held_bytes
    }

    /// Whether something is held back that this output may not overtake: the channel's own, and at the end of the
    /// connection everything.
    pub(crate) fn must_wait(&self, output: &Output) -> bool {
        !self.held.is_empty()
            && match output {
                Output::Hangup | Output::Method(0, _) => true,
                Output::Method(channel, _)
                | Output::Deliver { channel, .. }
                | Output::Got { channel, .. } => {
                    self.held.iter().any(|(_, held)| held.channel() == Some(*channel))
                }
                _ => false,
            }
    }

    /// Keeps an output back until an effect is safe, and what was kept back before it.
    pub(crate) fn hold(&mut self, effect: u64, output: Output) {
        self.held_bytes += output.footprint();
        self.held.push_back((effect, output));
    }

    /// Sends what has waited for nothing but safe effects.
    pub(crate) fn release(&mut self, is_safe: impl Fn(u64) -> bool) {
        while let Some((effect, _)) = self.held.front()
            && is_safe(*effect)
            && let Some((_, output)) = self.held.pop_front()
        {
            self.held_bytes -= output.footprint();
            self.push(output);
        }
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.outbox_bytes += output.footprint();
        self.outbox.push(output);
    }

    /// Makes the answer to a publish due: an acceptance with others, a refusal at once, after what was accepted
    /// before it.
    pub(crate) fn settle(&mut self, id: ChannelId, tag: u64, ack: bool) {
        if !ack {
            self.flush_confirms(id);
        }
        let Some(Channel { mode: Mode::Confirm(confirms), .. }) = self.channel(id) else {
            return;
        };
        confirms.settled = tag;
        let first = confirms.told + 1 == tag;
        if !ack {
            confirms.told = tag;
            self.push(Output::Confirm { channel: id, tag, multiple: false, ack: false });
        } else if first {
            self.confirming.push(id);
        }
    }

    /// Moves the confirms of a channel that still wait for the storage to what is held back, since the channel ends.
    pub(crate) fn hold_confirms(&mut self, id: ChannelId) {
        let Some(Channel { mode: Mode::Confirm(confirms), .. }) = self.channel(id) else {
            return;
        };
        let waiting = std::mem::take(&mut confirms.waiting);
        let mut accepted = 0;
        let mut held = Vec::new();
        for Waiting { tag, effect, ack } in waiting {
            let multiple = ack && accepted > 0;
            if multiple {
                held.pop();
            }
            accepted = if ack { accepted + 1 } else { 0 };
            held.push((effect, Output::Confirm { channel: id, tag, multiple, ack }));
        }
        held.into_iter().for_each(|(effect, output)| self.hold(effect, output));
    }

    /// Puts the confirms of a channel that are due among what waits.
    pub(crate) fn flush_confirms(&mut self, id: ChannelId) {
        let Some(Channel { mode: Mode::Confirm(confirms), .. }) = self.channel(id) else {
            return;
        };
        if confirms.told < confirms.settled {
            let multiple = confirms.told + 1 < confirms.settled;
            confirms.told = confirms.settled;
            let tag = confirms.told;
            self.push(Output::Confirm { channel: id, tag, multiple, ack: true });
        }
    }

    /// Moves everything that waits into `into`, which must be empty (its allocation is used for what comes next).
    pub(crate) fn take(&mut self, into: &mut Vec<Output>) {
        debug_assert!(into.is_empty());
        std::mem::swap(&mut self.outbox, into);
        self.outbox_bytes = 0;
        self.announced = false;
    }
}
