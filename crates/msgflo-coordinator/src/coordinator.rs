//! A running coordinator, and how others speak to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt, stream};
use msgflo_core::{Broker, Message, Participant, Role, Timestamp, Traffic};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::desired::{Desired, PortRef};
use crate::guard::Guard;
use crate::network::{Input, Network, Packet};
use crate::shell::{Request, Shell};
use crate::status::{ProcessStatus, QueueStatus, Status};
use crate::supervisor::{self, Forward, Supervisor};

/// How many inputs wait for the network. A sender waits when it is full.
pub(crate) const INBOX: usize = 1024;
/// How many events wait for a listener. One that is further behind is told how many it has missed.
const EVENTS: usize = 4096;
/// How many queues the broker is asked for at once.
const DEPTHS: usize = 64;
/// How long the broker is asked for the depth of a queue, or for rates, before they count as unknown.
const DEPTH_DEADLINE: Duration = Duration::from_secs(2);

/// What a coordinator needs to know.
#[derive(Clone)]
pub struct Options {
    /// The broker that carries the messages.
    pub broker: Arc<dyn Broker>,
    /// What the network is to be, at first.
    pub desired: Desired,
    /// What processes find in their environment, `MSGFLO_BROKER` among it.
    pub environment: BTreeMap<String, String>,
    /// Folders in which commands are looked for after those of `PATH`.
    pub programs: Vec<PathBuf>,
    /// What is forwarded of what they write.
    pub forward: Forward,
    /// The program, and its arguments, that calls [`guard::watch`](crate::guard::watch).
    pub guard: (PathBuf, &'static [&'static str]),
}

/// Why a coordinator cannot start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The broker could not be asked.
    #[error("the broker cannot be used")]
    Broker(#[from] msgflo_core::Error),
    /// Without it, processes might outlive us.
    #[error("the guard process cannot be started")]
    Guard(#[source] std::io::Error),
    /// Announcements come no more.
    #[error("the connection to the broker has ended")]
    Ended,
}

/// Something that listeners are told.
#[derive(Clone, Debug)]
pub enum Event {
    /// The status is another one.
    Changed,
    /// A packet is being sent.
    Sent(Arc<Packet>),
    /// A packet could not be sent, for this reason.
    Returned(Arc<Packet>, Arc<str>),
    /// An outport that is watched has sent a message.
    Message(PortRef, Arc<Message>),
}

/// A running coordinator. It ends with its token, after its processes have.
pub struct Coordinator {
    handle: Handle,
    task: JoinHandle<Result<(), Error>>,
}

/// Speaks to a coordinator.
#[derive(Clone)]
pub struct Handle {
    inbox: mpsc::Sender<Request>,
    events: broadcast::Sender<Event>,
    broker: Arc<dyn Broker>,
}

impl Coordinator {
    /// Starts to bring the network to what is desired. Cancel `token` to stop the processes and then the coordinator; the
    /// bindings stay.
    ///
    /// # Errors
    /// When the broker or the guard cannot be used.
    pub async fn start(options: Options, token: CancellationToken) -> Result<Self, Error> {
        let (program, arguments) = &options.guard;
        let guard = Guard::start(program, arguments).map_err(Error::Guard)?;
        let reconnections = options.broker.reconnections();
        let known = options.broker.list_bindings().await?;
        let announcements = options.broker.watch_discovery().await?;
        let (inbox, requests) = mpsc::channel(INBOX);
        let (happened_in, happened) = mpsc::channel(INBOX);
        let events = broadcast::Sender::new(EVENTS);
        let handle = Handle { inbox, events: events.clone(), broker: options.broker.clone() };
        let supervision = supervisor::Options {
            environment: options.environment,
            programs: options.programs,
            forward: options.forward,
        };
        let remembered = known.into_iter().map(|known| known.binding).collect();
        let network = Network::new(options.desired, remembered);
        let supervisor = Supervisor::new(supervision, guard, happened_in.clone());
        let shell = Shell::new(network, options.broker, supervisor, happened_in, events);
        let task = tokio::spawn(shell.run(requests, happened, announcements, reconnections, token));
        Ok(Self { handle, task })
    }

    /// For those who speak to it.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Resolves when it has ended.
    ///
    /// # Errors
    /// When it could not go on.
    pub async fn ended(&mut self) -> Result<(), Error> {
        match (&mut self.task).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Error::Ended),
            },
        }
    }
}

impl Handle {
    /// Changes what the network is to be.
    ///
    /// # Errors
    /// When the coordinator has ended.
    pub async fn desire(&self, desired: Desired) -> Result<(), Error> {
        self.tell(Input::Desire(Box::new(desired))).await
    }

    /// Changes how many processes serve `role`.
    ///
    /// # Errors
    /// When the coordinator has ended.
    pub async fn scale(&self, role: Role, instances: u32) -> Result<(), Error> {
        self.tell(Input::Scale { role, instances }).await
    }

    /// Replaces the processes that serve these roles, each after its successor is up.
    ///
    /// # Errors
    /// When the coordinator has ended.
    pub async fn restart(&self, roles: Vec<Role>) -> Result<(), Error> {
        self.tell(Input::Restart(roles)).await
    }

    /// Has [`Event::Message`] told for these outports, and no others.
    ///
    /// # Errors
    /// When the coordinator has ended.
    pub async fn watch(&self, outports: BTreeSet<PortRef>) -> Result<(), Error> {
        self.tell(Input::Watch(outports)).await
    }

    /// Sends a message to an inport, as soon as its participant is there and the network has settled. What becomes of it is
    /// told by [`Event::Sent`] or [`Event::Returned`].
    ///
    /// # Errors
    /// When the coordinator has ended.
    pub async fn send(&self, target: PortRef, message: Message) -> Result<(), Error> {
        self.tell(Input::Send(target, message)).await
    }

    /// What happens from now on. A listener that is too far behind is told how much it has missed.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// The processes that serve `role`. `None`: it is not ours to start.
    ///
    /// # Errors
    /// When the coordinator has ended.
    pub async fn processes(&self, role: Role) -> Result<Option<ProcessStatus>, Error> {
        self.ask(|reply| Request::Processes(role, reply)).await
    }

    /// What participants have last said of themselves, one for each role.
    ///
    /// # Errors
    /// When the coordinator has ended.
    pub async fn participants(&self) -> Result<Vec<Participant>, Error> {
        self.ask(Request::Participants).await
    }

    /// The state of everything but the queues.
    ///
    /// # Errors
    /// When the coordinator has ended.
    pub async fn state(&self) -> Result<Status, Error> {
        self.ask(Request::Status).await
    }

    /// What flows and waits, as the broker tells it; empty where it does not in time.
    pub async fn traffic(&self) -> Traffic {
        let asked = tokio::time::timeout(DEPTH_DEADLINE, self.broker.traffic()).await;
        asked.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// The state of everything, with the depth of the queues as the broker tells it.
    ///
    /// # Errors
    /// When the coordinator has ended.
    pub async fn status(&self) -> Result<Status, Error> {
        let mut status = self.state().await?;
        let traffic = self.traffic().await;
        status.set_rates(&traffic.rates);
        let now = Timestamp::from(SystemTime::now());
        let places = status.nodes.iter().enumerate().flat_map(|(node, it)| {
            let ports = it.inports.iter();
            ports.filter_map(move |port| Some((node, port.id.clone(), port.queue.clone()?)))
        });
        let asked = places.collect::<Vec<_>>().into_iter().map(|(node, port, queue)| async move {
            let asked = tokio::time::timeout(DEPTH_DEADLINE, self.broker.depth(&queue)).await;
            (node, port, queue, asked.ok().and_then(Result::ok))
        });
        let mut answers = stream::iter(asked).buffered(DEPTHS);
        while let Some((node, port, queue, depth)) = answers.next().await {
            let sent = traffic.oldest.get(&queue).copied();
            status.nodes[node].queues.push(QueueStatus::new(port, queue, depth, sent, now));
        }
        Ok(status)
    }

    async fn tell(&self, input: Input) -> Result<(), Error> {
        self.inbox.send(Request::Input(input)).await.map_err(|_| Error::Ended)
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.inbox.send(request(reply)).await.map_err(|_| Error::Ended)?;
        answer.await.map_err(|_| Error::Ended)
    }
}
