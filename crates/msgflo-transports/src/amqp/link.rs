//! A connection that comes back.
//!
//! A [`Link`] keeps one [`Session`] alive: when it ends, a new one is made, with growing pauses, for as long as the link is
//! open. What this client has declared is declared again before anybody gets the new session.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::{Stream, StreamExt, stream};
use lapin::uri::AMQPUri;
use msgflo_core::Error;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::client::Declaration;
use super::session::{DEADLINE, Session};

/// The shortest and the longest pause between two attempts to connect.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// A cheap handle. The connection is cut when the last one is gone.
#[derive(Clone)]
pub(crate) struct Link {
    shared: Arc<Shared>,
}

struct Shared {
    broker: String,
    session: watch::Receiver<Option<Arc<Session>>>,
    declarations: Mutex<Vec<Declaration>>,
    closing: CancellationToken,
    /// The tasks that tell the broker what became of its messages.
    answering: TaskTracker,
    _cut: DropGuard,
}

impl Link {
    /// Connects for the first time. `broker` names the broker in errors and logs, without its password.
    pub(crate) async fn connect(broker: String, uri: AMQPUri, name: &'static str) -> Result<Self, Error> {
        let first = Arc::new(Session::open(uri.clone(), &broker, name).await?);
        let (sender, session) = watch::channel(Some(first));
        let closing = CancellationToken::new();
        let cut = closing.clone().drop_guard();
        let declarations = Mutex::default();
        let shared = Shared {
            broker,
            session,
            declarations,
            closing: closing.clone(),
            answering: TaskTracker::new(),
            _cut: cut,
        };
        let shared = Arc::new(shared);
        let keeper = Keeper { uri, name, shared: Arc::downgrade(&shared), sender };
        tokio::spawn(async move {
            closing.run_until_cancelled_owned(keeper.run()).await;
        });
        Ok(Self { shared })
    }

    /// The broker's URL, without its password.
    pub(crate) fn broker(&self) -> &str {
        &self.shared.broker
    }

    /// Whether there is a connection now.
    pub(crate) fn is_connected(&self) -> bool {
        self.shared.session.borrow().as_ref().is_some_and(|session| session.is_connected())
    }

    /// The session there is, or the next one, waited for at most [`DEADLINE`].
    pub(crate) async fn session(&self, doing: &str) -> Result<Arc<Session>, Error> {
        let mut session = self.shared.session.clone();
        let live = session.wait_for(|session| session.as_ref().is_some_and(|session| session.is_connected()));
        match timeout(DEADLINE, live).await {
            Ok(Ok(session)) => Ok(session.clone().expect("just waited for it to be there")),
            Ok(Err(_)) => Err(Error::Disconnected { doing: doing.to_owned() }),
            Err(_) => Err(Error::Timeout { doing: doing.to_owned(), after: DEADLINE }),
        }
    }

    /// Like [`session`](Self::session), but waits as long as the link is open. `None`: it is closed.
    pub(crate) async fn next_session(&self) -> Option<Arc<Session>> {
        let mut session = self.shared.session.clone();
        let live = session.wait_for(|session| session.as_ref().is_some_and(|session| session.is_connected()));
        let session = live.await.ok()?.clone();
        // While it closes, there may still be a session, but nothing new begins on it.
        session.filter(|_| !self.shared.closing.is_cancelled())
    }

    /// Resolves when a session has come that was not there at the call.
    pub(crate) async fn reconnected(&self) {
        if pin!(self.reconnections()).next().await.is_none() {
            std::future::pending().await
        }
    }

    /// Tells of every session that was not there at the call.
    pub(crate) fn reconnections(&self) -> impl Stream<Item = ()> + Send + use<> {
        let mut session = self.shared.session.clone();
        session.mark_unchanged();
        stream::unfold(session, |mut session| async move {
            loop {
                session.changed().await.ok()?;
                let is_there = session.borrow_and_update().is_some();
                if is_there {
                    return Some(((), session));
                }
            }
        })
    }

    /// Makes `declaration` now and after every reconnection.
    pub(crate) async fn declare(&self, declaration: Declaration) -> Result<(), Error> {
        let known = self.declarations().contains(&declaration);
        declaration.make(&*self.session("declaring a port").await?).await?;
        if !known {
            self.declarations().push(declaration);
        }
        Ok(())
    }

    /// Makes `declaration` no more.
    pub(crate) fn forget(&self, declaration: &Declaration) {
        self.declarations().retain(|known| known != declaration);
    }

    /// Whether `declaration` was made by this link.
    pub(crate) fn has_declared(&self, declaration: &Declaration) -> bool {
        self.declarations().contains(declaration)
    }

    fn declarations(&self) -> std::sync::MutexGuard<'_, Vec<Declaration>> {
        self.shared.declarations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a task that answers for messages. It ends soon after its token is cancelled, and the connection after it.
    pub(crate) fn answer<T>(&self, task: impl FnOnce(CancellationToken) -> T)
    where
        T: Future<Output = ()> + Send + 'static,
    {
        self.shared.answering.spawn(task(self.shared.closing.clone()));
    }

    /// Closes the connection for good, after the answers that were given are told.
    pub(crate) async fn close(&self) -> Result<(), Error> {
        self.shared.closing.cancel();
        self.shared.answering.close();
        if timeout(DEADLINE, self.shared.answering.wait()).await.is_err() {
            tracing::warn!("the broker does not take our answers: it will deliver some messages again");
        }
        let session = self.shared.session.borrow().clone();
        match session {
            Some(session) if session.is_connected() => session.close().await,
            _ => Ok(()),
        }
    }
}

/// The task that keeps a session alive.
struct Keeper {
    uri: AMQPUri,
    name: &'static str,
    shared: std::sync::Weak<Shared>,
    sender: watch::Sender<Option<Arc<Session>>>,
}

impl Keeper {
    async fn run(self) {
        loop {
            let session = self.sender.borrow().clone();
            if let Some(session) = session {
                session.ended().await;
            }
            self.sender.send_replace(None);
            let Some(session) = self.reconnect().await else { return };
            self.sender.send_replace(Some(Arc::new(session)));
        }
    }

    /// Tries until it succeeds. `None`: nobody is interested any more.
    async fn reconnect(&self) -> Option<Session> {
        let builder = ExponentialBuilder::default()
            .with_min_delay(PAUSES.0)
            .with_max_delay(PAUSES.1)
            .with_jitter()
            .without_max_times();
        for pause in builder.build() {
            tokio::time::sleep(pause).await;
            let broker = self.shared.upgrade()?.broker.clone();
            match self.restore(&broker).await {
                Ok(session) => {
                    tracing::info!(broker, "connected to the broker again");
                    return Some(session);
                }
                Err(error) => {
                    let source = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(broker, %error, source, "the broker is away, trying again");
                }
            }
        }
        None
    }

    async fn restore(&self, broker: &str) -> Result<Session, Error> {
        let session = Session::open(self.uri.clone(), broker, self.name).await?;
        let declarations = match self.shared.upgrade() {
            Some(shared) => shared.declarations.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            None => Vec::new(),
        };
        for declaration in declarations {
            match declaration.make(&session).await {
                Err(error) if !error.is_transient() => {
                    // The broker is not what it was; everything else goes on.
                    let source = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(broker, %error, source, "what was declared there cannot be declared again");
                }
                made => made?,
            }
        }
        Ok(session)
    }
}
