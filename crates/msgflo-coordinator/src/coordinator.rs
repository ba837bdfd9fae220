//! The shell around [`Network`]: carries out its actions and tells it what happened.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::join_all;
use msgflo_core::{Announcements, Binding, Broker, Message, PortName, QueueName, Role};
use rustix::process::Signal;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::desired::Desired;
use crate::guard::Guard;
use crate::network::{Action, Inlet, Input, Network};
use crate::status::{ProcessStatus, QueueStatus, Status};
use crate::supervisor::{self, Forward, Supervisor};

/// How many things the broker is asked at once.
const CONCURRENCY: usize = 64;
/// How many inputs wait for the network. A sender waits when it is full.
const INBOX: usize = 1024;
/// How long the broker is asked for the depth of a queue before it counts as unknown.
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

/// A running coordinator. It ends with its token, after its processes have.
pub struct Coordinator {
    handle: Handle,
    task: JoinHandle<Result<(), Error>>,
}

/// Speaks to a coordinator.
#[derive(Clone)]
pub struct Handle {
    inbox: mpsc::Sender<Request>,
    broker: Arc<dyn Broker>,
}

enum Request {
    Input(Input),
    Status(oneshot::Sender<Status>),
    Processes(Role, oneshot::Sender<Option<ProcessStatus>>),
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
        let known = options.broker.list_bindings().await?;
        let announcements = options.broker.watch_discovery().await?;
        let (inbox, requests) = mpsc::channel(INBOX);
        let (events_in, events) = mpsc::channel(INBOX);
        let handle = Handle { inbox, broker: options.broker.clone() };
        let supervision = supervisor::Options {
            environment: options.environment,
            programs: options.programs,
            forward: options.forward,
        };
        let shell = Shell {
            network: Network::default(),
            broker: options.broker,
            supervisor: Supervisor::new(supervision, guard, events_in),
            events,
            asked: JoinSet::new(),
            waiting: Vec::new(),
            complained: HashSet::new(),
        };
        let remembered = known.into_iter().map(|known| known.binding).collect();
        // In this order: what is remembered is only removed against what is wanted.
        let first = [Input::Desire(Box::new(options.desired)), Input::Remembered(remembered)];
        let task = tokio::spawn(shell.run(first, requests, announcements, token));
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
        self.send(Request::Input(Input::Desire(Box::new(desired)))).await
    }

    /// Changes how many processes serve `role`.
    ///
    /// # Errors
    /// When the coordinator has ended.
    pub async fn scale(&self, role: Role, instances: u32) -> Result<(), Error> {
        self.send(Request::Input(Input::Scale { role, instances })).await
    }

    /// The processes that serve `role`. `None`: it is not ours to start.
    ///
    /// # Errors
    /// When the coordinator has ended.
    pub async fn processes(&self, role: Role) -> Result<Option<ProcessStatus>, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Processes(role, reply)).await?;
        answer.await.map_err(|_| Error::Ended)
    }

    /// The state of everything but the queues.
    ///
    /// # Errors
    /// When the coordinator has ended.
    pub async fn state(&self) -> Result<Status, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Status(reply)).await?;
        answer.await.map_err(|_| Error::Ended)
    }

    /// The state of everything, with the depth of the queues as the broker tells it.
    ///
    /// # Errors
    /// When the coordinator has ended.
    pub async fn status(&self) -> Result<Status, Error> {
        let mut status = self.state().await?;
        for node in &mut status.nodes {
            let named = node.inports.iter().filter_map(|port| Some((port.id.clone(), port.queue.clone()?)));
            let ports: Vec<(PortName, QueueName)> = named.collect();
            let depths = ports.into_iter().map(|(port, queue)| async {
                let asked = tokio::time::timeout(DEPTH_DEADLINE, self.broker.depth(&queue)).await;
                QueueStatus { port, queue, depth: asked.ok().and_then(Result::ok) }
            });
            node.queues = join_all(depths).await;
        }
        Ok(status)
    }

    async fn send(&self, request: Request) -> Result<(), Error> {
        self.inbox.send(request).await.map_err(|_| Error::Ended)
    }
}

struct Shell {
    network: Network,
    broker: Arc<dyn Broker>,
    supervisor: Supervisor,
    events: mpsc::Receiver<Input>,
    /// What the broker is being asked.
    asked: JoinSet<Option<Input>>,
    /// What it will be asked then.
    waiting: Vec<Action>,
    /// Senders whose malformed announcements were logged.
    complained: HashSet<String>,
}

impl Shell {
    async fn run(
        mut self,
        first: [Input; 2],
        mut requests: mpsc::Receiver<Request>,
        mut announcements: Announcements,
        token: CancellationToken,
    ) -> Result<(), Error> {
        for input in first {
            self.take(input);
        }
        let mut stopping = false;
        while !self.network.has_stopped() {
            let wake = self.network.wake();
            let tick = async {
                match wake {
                    Some(wake) => tokio::time::sleep_until(wake.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = token.cancelled(), if !stopping => {
                    stopping = true;
                    self.take(Input::Stop);
                }
                Some(event) = self.events.recv() => {
                    if let Input::Exited { instance, .. } = &event {
                        self.supervisor.forget(instance);
                    }
                    self.take(event);
                }
                Some(answer) = self.asked.join_next() => {
                    if let Ok(Some(input)) = answer {
                        self.take(input);
                    }
                    self.ask_next();
                }
                Some(request) = requests.recv() => self.answer(request),
                announcement = announcements.next() => match announcement {
                    Some(Ok(announcement)) => {
                        let participant = announcement.participant;
                        if !announcement.notes.is_empty() && self.complained.insert(participant.id.to_string()) {
                            let notes = announcement.notes.join("; ");
                            tracing::warn!(id = %participant.id, role = %participant.role, notes, "an announcement is odd");
                        }
                        self.take(Input::Heard(participant));
                    }
                    Some(Err(error)) => {
                        let sender = error.sender().unwrap_or("an unknown sender").to_owned();
                        if self.complained.insert(sender.clone()) {
                            tracing::warn!(sender, %error, "an announcement was ignored");
                        }
                    }
                    None => return Err(Error::Ended),
                },
                () = tick => self.take(Input::Tick),
            }
        }
        self.asked.shutdown().await;
        self.supervisor.stop().await;
        Ok(())
    }

    fn answer(&mut self, request: Request) {
        // Whoever asked and went away needs no answer.
        match request {
            Request::Input(input) => self.take(input),
            Request::Status(reply) => drop(reply.send(self.network.status(Instant::now()))),
            Request::Processes(role, reply) => drop(reply.send(self.network.processes(&role))),
        }
    }

    /// Tells the network, and does what it says.
    fn take(&mut self, input: Input) {
        if let Input::Exited { instance, exit } = &input {
            tracing::debug!(role = %instance.unit, number = instance.number, status = exit.status, "a process ended");
        }
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for action in self.network.handle(input, Instant::now()) {
                match action {
                    Action::Spawn(instance, command) => {
                        inputs.push(self.supervisor.spawn(instance, &command))
                    }
                    Action::Terminate(instance) => self.supervisor.signal(&instance, Signal::TERM),
                    Action::Kill(instance) => self.supervisor.signal(&instance, Signal::KILL),
                    Action::Bind(_) | Action::Unbind(_) | Action::Send(..) => self.waiting.push(action),
                }
            }
        }
        self.ask_next();
    }

    /// Asks the broker as much as it may be asked at once.
    fn ask_next(&mut self) {
        let free = CONCURRENCY.saturating_sub(self.asked.len()).min(self.waiting.len());
        for action in self.waiting.drain(..free) {
            let broker = self.broker.clone();
            self.asked.spawn(async move { ask(&*broker, action).await });
        }
    }
}

async fn ask(broker: &dyn Broker, action: Action) -> Option<Input> {
    match action {
        Action::Bind(binding) => {
            let result = told(&binding, "bound", broker.add_binding(&binding).await);
            Some(Input::Bound(binding, result))
        }
        Action::Unbind(binding) => {
            let result = told(&binding, "unbound", broker.remove_binding(&binding).await);
            Some(Input::Unbound(binding, result))
        }
        Action::Send(inlet, data) => {
            send(broker, &inlet, &data).await;
            None
        }
        Action::Spawn(..) | Action::Terminate(_) | Action::Kill(_) => None,
    }
}

fn told(binding: &Binding, done: &'static str, result: Result<(), msgflo_core::Error>) -> Result<(), String> {
    match result {
        Ok(()) => {
            tracing::info!(%binding, "{done}");
            Ok(())
        }
        Err(error) => {
            let reason = with_sources(&error);
            tracing::warn!(%binding, reason, "a binding could not be changed, trying again");
            Err(reason)
        }
    }
}

async fn send(broker: &dyn Broker, inlet: &Inlet, data: &Value) {
    let sent = match Message::json(data) {
        Err(error) => Err(error.to_string()),
        Ok(message) => match inlet {
            Inlet::Queue(queue) => broker.send_to_queue(queue, message).await,
            Inlet::Exchange(exchange) => broker.send_to_exchange(exchange, message).await,
        }
        .map_err(|error| with_sources(&error)),
    };
    if let Err(reason) = sent {
        tracing::warn!(?inlet, reason, "an initial packet could not be sent");
    }
}

/// An error with all that caused it, on one line.
fn with_sources(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
