//! A connection as a value: who it is, its channels, and what waits to be written to it.

use std::collections::BTreeMap;

use amq_protocol::types::ChannelId;

use super::channel_state::{Channel, Mode};
use super::queue::QueueId;
use super::value::{Name, Output};

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
    /// Channels with confirms that are due.
    pub(crate) confirming: Vec<ChannelId>,
    /// The shell has been told that there is output.
    pub(crate) announced: bool,
    /// A consumer was refused because the window was full.
    pub(crate) throttled: bool,
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
            confirming: Vec::new(),
            announced: false,
            throttled: false,
        }
    }

    /// The open channel of that number.
    pub(crate) fn channel(&mut self, id: ChannelId) -> Option<&mut Channel> {
        match self.channels.get_mut(&id)? {
            ChannelState::Open(channel) => Some(channel),
            ChannelState::Closing => None,
        }
    }

    /// Bytes that wait to be written, estimated.
    pub(crate) fn backlog(&self) -> usize {
        self.outbox_bytes
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.outbox_bytes += output.footprint();
        self.outbox.push(output);
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
