//! The shell around [`Network`]: carries out its actions and tells it what happened.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use futures_util::{Stream, StreamExt};
use msgflo_core::discovery::{self, Announcement};
use msgflo_core::{Announcements, Binding, Broker, Participant, QueueName, Reconnections, Role};
use rustix::process::Signal;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::coordinator::{Error, Event};
use crate::desired::PortRef;
use crate::network::{Action, Inlet, Input, Network, Packet};
use crate::processes::Ended;
use crate::status::{ProcessStatus, Status};
use crate::supervisor::Supervisor;

/// How many things the broker is asked at once.
const CONCURRENCY: usize = 256;
/// How many announcements are taken at once, when so many have come.
const ANNOUNCEMENTS: usize = 256;
/// How many messages of an outport that is watched wait for us, before the broker drops the oldest.
const TAP_BUFFER: u32 = 1000;

/// What a coordinator is asked.
pub(crate) enum Request {
    Input(Input),
    Status(oneshot::Sender<Status>),
    Processes(Role, oneshot::Sender<Option<ProcessStatus>>),
    Participants(oneshot::Sender<Vec<Participant>>),
}

pub(crate) struct Shell {
    network: Network,
    broker: Arc<dyn Broker>,
    supervisor: Supervisor,
    /// Where what happens outside of this task is told.
    happened: mpsc::Sender<Input>,
    events: broadcast::Sender<Event>,
    /// What the broker is being asked.
    asked: JoinSet<Option<Input>>,
    /// What it will be asked then.
    waiting: Vec<Action>,
    taps: HashMap<PortRef, AbortOnDropHandle<()>>,
    /// Senders whose malformed announcements were logged.
    complained: HashSet<String>,
    /// What was logged of bindings that cannot be made or removed.
    failing: HashMap<Binding, String>,
    /// The revision of the network that listeners know of.
    told: u64,
}

impl Shell {
    pub(crate) fn new(
        network: Network,
        broker: Arc<dyn Broker>,
        supervisor: Supervisor,
        happened: mpsc::Sender<Input>,
        events: broadcast::Sender<Event>,
    ) -> Self {
        Self {
            network,
            broker,
            supervisor,
            happened,
            events,
            asked: JoinSet::new(),
            waiting: Vec::new(),
            taps: HashMap::new(),
            complained: HashSet::new(),
            failing: HashMap::new(),
            told: 0,
        }
    }

    pub(crate) async fn run(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        mut happened: mpsc::Receiver<Input>,
        announcements: Announcements,
        reconnections: Reconnections,
        token: CancellationToken,
    ) -> Result<(), Error> {
        let mut announcements = announcements.ready_chunks(ANNOUNCEMENTS);
        let mut reconnections = reconnections.fuse();
        self.take([Input::Tick]);
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
                    self.take([Input::Stop]);
                }
                Some(input) = happened.recv() => {
                    if let Input::Exited { instance, .. } = &input {
                        self.supervisor.forget(instance);
                    }
                    self.take([input]);
                }
                Some(answer) = self.asked.join_next() => {
                    if let Ok(Some(input)) = answer {
                        self.log(&input);
                        self.take([input]);
                    }
                    self.ask_next();
                }
                Some(request) = requests.recv() => self.answer(request),
                heard = announcements.next() => {
                    let Some(heard) = heard else { return Err(Error::Ended) };
                    let heard: Vec<Input> = heard.into_iter().filter_map(|heard| self.heard(heard)).collect();
                    self.take(heard);
                }
                Some(()) = reconnections.next() => self.take([Input::Reconnected]),
                () = tick => self.take([Input::Tick]),
            }
        }
        self.taps.clear();
        self.asked.shutdown().await;
        self.supervisor.stop().await;
        Ok(())
    }

    fn heard(&mut self, heard: Result<Announcement, discovery::Error>) -> Option<Input> {
        match heard {
            Ok(Announcement { participant, notes }) => {
                if !notes.is_empty() && self.complained.insert(participant.id.to_string()) {
                    let notes = notes.join("; ");
                    tracing::warn!(id = %participant.id, role = %participant.role, notes, "an announcement is odd");
                }
                Some(Input::Heard(participant))
            }
            Err(error) => {
                let sender = error.sender().unwrap_or("an unknown sender").to_owned();
                if self.complained.insert(sender.clone()) {
                    tracing::warn!(sender, %error, "an announcement was ignored");
                }
                None
            }
        }
    }

    /// Logs what has come of a binding; what goes on failing for the same reason, once.
    fn log(&mut self, input: &Input) {
        match input {
            Input::Bound(binding, Ok(())) => {
                self.failing.remove(binding);
                tracing::info!(%binding, "bound");
            }
            Input::Unbound(binding, Ok(())) => {
                self.failing.remove(binding);
                tracing::info!(%binding, "unbound");
            }
            Input::Bound(binding, Err(reason))
            | Input::Unbound(binding, Err(reason))
            | Input::Checked(binding, Err(reason)) => {
                let before = self.failing.insert(binding.clone(), reason.clone());
                if before.as_ref() != Some(reason) {
                    tracing::warn!(%binding, reason, "a binding could not be changed, trying again");
                }
            }
            _ => {}
        }
    }

    fn answer(&mut self, request: Request) {
        // Whoever asked and went away needs no answer.
        match request {
            Request::Input(input) => self.take([input]),
            Request::Status(reply) => drop(reply.send(self.network.status(Instant::now()))),
            Request::Processes(role, reply) => drop(reply.send(self.network.processes(&role))),
            Request::Participants(reply) => drop(reply.send(self.network.described().cloned().collect())),
        }
    }

    /// Tells the network, and does what it says.
    fn take(&mut self, inputs: impl IntoIterator<Item = Input>) {
        let mut inputs: Vec<Input> = inputs.into_iter().collect();
        while !inputs.is_empty() {
            for action in self.network.handle(std::mem::take(&mut inputs), Instant::now()) {
                inputs.extend(self.act(action));
            }
        }
        self.ask_next();
        if self.network.revision() != self.told {
            self.told = self.network.revision();
            self.tell(Event::Changed);
        }
    }

    /// Does what can be done at once, or has it done.
    fn act(&mut self, action: Action) -> Option<Input> {
        match action {
            Action::Spawn(instance, command) => return Some(self.supervisor.spawn(instance, &command)),
            Action::Terminate(instance) => self.supervisor.signal(&instance, Signal::TERM),
            Action::Kill(instance) => self.supervisor.signal(&instance, Signal::KILL),
            Action::Tell(Ended { instance, status, pause, times }) => {
                let role = &instance.unit;
                tracing::warn!(%role, status, ?pause, times, "a process ended, and is started again after a pause");
            }
            Action::Tap(port, queue) => {
                let tap =
                    tap(self.broker.clone(), port.clone(), queue, self.happened.clone(), self.events.clone());
                self.taps.insert(port, AbortOnDropHandle::new(tokio::spawn(tap)));
            }
            Action::Untap(port) => drop(self.taps.remove(&port)),
            Action::Return(packet, reason) => {
                tracing::warn!(target_port = %packet.target, reason, "a packet could not be sent");
                self.tell(Event::Returned(Arc::new(packet), reason.into()));
            }
            Action::Bind(_) | Action::Check(_) | Action::Unbind(_) | Action::Send(..) => {
                self.waiting.push(action)
            }
        }
        None
    }

    fn tell(&self, event: Event) {
        // Without a listener nobody needs to know.
        let _ = self.events.send(event);
    }

    /// Asks the broker as much as it may be asked at once.
    fn ask_next(&mut self) {
        let free = CONCURRENCY.saturating_sub(self.asked.len()).min(self.waiting.len());
        for action in self.waiting.drain(..free) {
            let (broker, events) = (self.broker.clone(), self.events.clone());
            self.asked.spawn(async move { ask(&*broker, action, &events).await });
        }
    }
}

async fn ask(broker: &dyn Broker, action: Action, events: &broadcast::Sender<Event>) -> Option<Input> {
    match action {
        Action::Bind(binding) => {
            let result = told(broker.add_binding(&binding).await);
            Some(Input::Bound(binding, result))
        }
        Action::Check(binding) => Some(match broker.add_binding(&binding).await {
            Err(error) if error.is_transient() => Input::Unchecked(binding),
            result => Input::Checked(binding, told(result)),
        }),
        Action::Unbind(binding) => {
            let result = told(broker.remove_binding(&binding).await);
            Some(Input::Unbound(binding, result))
        }
        Action::Send(inlet, packet) => {
            send(broker, &inlet, packet, events).await;
            None
        }
        _ => None,
    }
}

fn told(result: Result<(), msgflo_core::Error>) -> Result<(), String> {
    result.map_err(|error| with_sources(&error))
}

async fn send(broker: &dyn Broker, inlet: &Inlet, packet: Packet, events: &broadcast::Sender<Event>) {
    let packet = Arc::new(packet);
    // Told before, so that no listener sees an effect before its cause.
    let _ = events.send(Event::Sent(packet.clone()));
    let message = packet.message.clone();
    let sent = match inlet {
        Inlet::Queue(queue) => broker.send_to_queue(queue, message).await,
        Inlet::Exchange(exchange) => broker.send_to_exchange(exchange, message).await,
    };
    if let Err(error) = sent {
        let reason = with_sources(&error);
        tracing::warn!(target_port = %packet.target, reason, "a packet could not be sent");
        let _ = events.send(Event::Returned(packet, reason.into()));
    }
}

/// Tells of every message that is sent to `queue`, until it is aborted or the tap ends.
async fn tap(
    broker: Arc<dyn Broker>,
    port: PortRef,
    queue: QueueName,
    happened: mpsc::Sender<Input>,
    events: broadcast::Sender<Event>,
) {
    let tapped = |is_open| Input::Tapped { port: port.clone(), queue: queue.clone(), is_open };
    match broker.tap(&queue, TAP_BUFFER).await {
        Ok(messages) => {
            // If the network has ended, so will this task.
            let _ = happened.send(tapped(true)).await;
            forward(messages, &port, &events).await;
        }
        Err(error) => {
            tracing::warn!(%port, reason = with_sources(&error), "an outport cannot be watched, trying again")
        }
    }
    let _ = happened.send(tapped(false)).await;
}

async fn forward(
    mut messages: impl Stream<Item = msgflo_core::Delivery> + Unpin,
    port: &PortRef,
    events: &broadcast::Sender<Event>,
) {
    while let Some(mut delivery) = messages.next().await {
        let message = std::mem::take(&mut delivery.message);
        delivery.ack();
        let _ = events.send(Event::Message(port.clone(), Arc::new(message)));
    }
}

/// An error with all that caused it, on one line.
fn with_sources(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
