//! Several brokers as one.
//!
//! The first broker's names stay as they are. Those of the others begin with the broker's label and a colon, as
//! `mqtt:sensor/temperature`; so does a name of the first one that would be taken for another's. A participant is known by
//! the broker that it announced itself on. A binding within a broker is that broker's affair; one between two is carried
//! by a [router](crate::router).

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::select_all;
use msgflo_core::{
    Announcements, Binding, Broker, Carrier, Confirmation, Confirmed, Deliveries, Depth, Destination, Error,
    JobReports, KnownBinding, Message, Participant, QueueName, Reconnections, Traffic,
};

use crate::ledger::{Ledger, Owner};
use crate::router::Router;

/// One of several brokers.
#[derive(Clone)]
pub struct Member {
    /// What the names of the broker begin with. No two are the same, and none has a colon.
    pub label: String,
    /// The connection to it.
    pub broker: Arc<dyn Broker>,
}

/// Brokers that are about to be joined.
pub struct Joint {
    ledger: Ledger,
}

impl Joint {
    /// Opens the memory of the bindings between brokers in the file `ledger`, which need not exist. Without one they are
    /// forgotten at the end.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn open(ledger: Option<PathBuf>) -> Result<Self, Error> {
        Ok(Self { ledger: Ledger::open(ledger)? })
    }

    /// What will be pulled of the broker `label`, the `first` of the members or not. See
    /// [`BrokerOptions::pulled`](msgflo_core::BrokerOptions::pulled).
    pub fn pulled(&self, label: &str, first: bool) -> Vec<QueueName> {
        let remembered = self.ledger.all();
        let sources = remembered.iter().map(Binding::source);
        let of = |source: &QueueName| match source.as_str().split_once(':') {
            Some((said, name)) if said == label => Some(name.into()),
            // Whether it is another's label is not known here. Pulling in vain does no harm.
            _ if first => Some(source.clone()),
            _ => None,
        };
        sources.filter_map(of).collect()
    }

    /// Makes one broker out of `members`, of which there is at least one.
    pub async fn join(self, members: Vec<Member>) -> Arc<dyn Broker> {
        let names = Arc::new(Members(members));
        let ends = Arc::clone(&names);
        let end = move |name: &QueueName| {
            let (place, name) = ends.resolve(name);
            Ok((Arc::clone(&ends.0[place].broker) as Arc<dyn Carrier>, name))
        };
        let router = Router::start(self.ledger, end).await;
        Arc::new(Joined { members: names, router })
    }
}

struct Joined {
    members: Arc<Members>,
    router: Router,
}

struct Members(Vec<Member>);

impl Members {
    fn place(&self, label: &str) -> Option<usize> {
        self.0.iter().position(|member| member.label == label)
    }

    /// Whose `name` is, and how it is called there.
    fn resolve(&self, name: &QueueName) -> (usize, QueueName) {
        let labelled = name.as_str().split_once(':');
        match labelled.and_then(|(label, rest)| Some((self.place(label)?, rest))) {
            Some((place, rest)) => (place, rest.into()),
            None => (0, name.clone()),
        }
    }

    fn broker(&self, name: &QueueName) -> (&dyn Broker, QueueName) {
        let (place, name) = self.resolve(name);
        (&*self.0[place].broker, name)
    }

    /// How the name of a broker is called among all.
    fn qualify(&self, place: usize, name: &QueueName) -> QueueName {
        let is_misleading =
            name.as_str().split_once(':').is_some_and(|(label, _)| self.place(label).is_some());
        if place == 0 && !is_misleading {
            return name.clone();
        }
        QueueName::from(format!("{}:{name}", self.0[place].label))
    }

    fn qualify_participant(&self, place: usize, participant: &mut Participant) {
        for port in participant.inports.iter_mut().chain(&mut participant.outports) {
            port.queue = port.queue.as_ref().map(|queue| self.qualify(place, queue));
        }
    }

    /// `binding` with each of its names changed.
    fn renamed(binding: &Binding, rename: impl Fn(&QueueName) -> QueueName) -> Binding {
        let (source, target) = (rename(binding.source()), rename(binding.target()));
        match binding {
            Binding::PubSub { .. } => Binding::PubSub { source, target },
            Binding::Broadcast { .. } => Binding::Broadcast { source, target },
            Binding::RoundRobin { deadletter, retry, .. } => {
                let deadletter = deadletter.as_ref().map(rename);
                Binding::RoundRobin { source, target, deadletter, retry: *retry }
            }
        }
    }

    /// The broker that all names of `binding` are of, if it is one.
    fn within(&self, binding: &Binding) -> Option<(&dyn Broker, Binding)> {
        let deadletter = match binding {
            Binding::RoundRobin { deadletter, .. } => deadletter.as_ref(),
            _ => None,
        };
        let (place, _) = self.resolve(binding.source());
        let same = |name: &QueueName| self.resolve(name).0 == place;
        let is_within = same(binding.target()) && deadletter.is_none_or(same);
        is_within.then(|| (&*self.0[place].broker, Self::renamed(binding, |name| self.resolve(name).1)))
    }
}

#[async_trait]
impl Carrier for Joined {
    async fn pull(&self, source: &QueueName) -> Result<Deliveries, Error> {
        let (broker, source) = self.members.broker(source);
        broker.pull(&source).await
    }

    async fn keep(&self, source: &QueueName) -> Result<(), Error> {
        let (broker, source) = self.members.broker(source);
        broker.keep(&source).await
    }

    async fn release(&self, source: &QueueName) -> Result<(), Error> {
        let (broker, source) = self.members.broker(source);
        broker.release(&source).await
    }

    async fn push(&self, destination: &Destination, message: Message) -> Result<Option<Confirmed>, Error> {
        let (broker, name) = self.members.broker(destination.name());
        let destination = match destination {
            Destination::Queue(_) => Destination::Queue(name),
            Destination::Exchange(_) => Destination::Exchange(name),
        };
        broker.push(&destination, message).await
    }
}

#[async_trait]
impl Broker for Joined {
    fn address(&self) -> String {
        let addresses: Vec<_> = self.members.0.iter().map(|member| member.broker.address()).collect();
        addresses.join(" ")
    }

    fn is_connected(&self) -> bool {
        self.members.0.iter().all(|member| member.broker.is_connected())
    }

    fn reconnections(&self) -> Reconnections {
        select_all(self.members.0.iter().map(|member| member.broker.reconnections())).boxed()
    }

    async fn add_binding(&self, binding: &Binding) -> Result<(), Error> {
        if let Some((broker, binding)) = self.members.within(binding) {
            return broker.add_binding(&binding).await;
        }
        if let Binding::RoundRobin { deadletter: Some(_), .. } = binding {
            let what =
                "keep refused messages of another broker: leave DEADLETTER out, or have the source on the \
                        worker's broker"
                    .to_owned();
            return Err(Error::Unsupported { broker: self.address(), what });
        }
        self.router.add(binding, Owner::Network).await
    }

    async fn remove_binding(&self, binding: &Binding) -> Result<(), Error> {
        match self.members.within(binding) {
            Some((broker, binding)) => broker.remove_binding(&binding).await,
            None => self.router.remove(binding, Owner::Network).await,
        }
    }

    async fn list_bindings(&self) -> Result<Vec<KnownBinding>, Error> {
        let mut known = Vec::new();
        for (place, member) in self.members.0.iter().enumerate() {
            for KnownBinding { binding, confirmation } in member.broker.list_bindings().await? {
                let binding = Members::renamed(&binding, |name| self.members.qualify(place, name));
                known.push(KnownBinding { binding, confirmation });
            }
        }
        let carried = |binding| KnownBinding { binding, confirmation: Confirmation::Present };
        known.extend(self.router.list(Owner::Network).into_iter().map(carried));
        Ok(known)
    }

    async fn tap(&self, source: &QueueName, buffer: u32) -> Result<Deliveries, Error> {
        let (broker, source) = self.members.broker(source);
        broker.tap(&source, buffer).await
    }

    async fn depth(&self, queue: &QueueName) -> Result<Depth, Error> {
        let (broker, queue) = self.members.broker(queue);
        broker.depth(&queue).await
    }

    async fn traffic(&self) -> Result<Traffic, Error> {
        let mut traffic = Traffic { rates: self.router.rates().await, ..Traffic::default() };
        for (place, member) in self.members.0.iter().enumerate() {
            let Traffic { rates, oldest } = member.broker.traffic().await?;
            let ours = |name| self.members.qualify(place, &name);
            traffic.rates.extend(rates.into_iter().map(|(name, rate)| (ours(name), rate)));
            traffic.oldest.extend(oldest.into_iter().map(|(name, sent)| (ours(name), sent)));
        }
        Ok(traffic)
    }

    async fn send_to_queue(&self, queue: &QueueName, message: Message) -> Result<(), Error> {
        let (broker, queue) = self.members.broker(queue);
        broker.send_to_queue(&queue, message).await
    }

    async fn send_to_exchange(&self, exchange: &QueueName, message: Message) -> Result<(), Error> {
        let (broker, exchange) = self.members.broker(exchange);
        broker.send_to_exchange(&exchange, message).await
    }

    async fn consume(&self, queue: &QueueName, prefetch: u16) -> Result<Deliveries, Error> {
        let (broker, queue) = self.members.broker(queue);
        broker.consume(&queue, prefetch).await
    }

    async fn watch_discovery(&self) -> Result<Announcements, Error> {
        let mut all = Vec::new();
        for (place, member) in self.members.0.iter().enumerate() {
            let members = Arc::clone(&self.members);
            let announcements = member.broker.watch_discovery().await?;
            all.push(announcements.map(move |heard| {
                let mut announcement = heard?;
                members.qualify_participant(place, &mut announcement.participant);
                Ok(announcement)
            }));
        }
        Ok(select_all(all).boxed())
    }

    async fn watch_jobs(&self) -> Result<JobReports, Error> {
        let mut all = Vec::new();
        for (place, member) in self.members.0.iter().enumerate() {
            let members = Arc::clone(&self.members);
            all.push(member.broker.watch_jobs().await?.map(move |mut report| {
                report.queue = members.qualify(place, &report.queue);
                report
            }));
        }
        Ok(select_all(all).boxed())
    }

    async fn close(&self) -> Result<(), Error> {
        self.router.stop().await;
        let mut closed = Ok(());
        for member in &self.members.0 {
            closed = closed.and(member.broker.close().await);
        }
        closed
    }
}
