//! Which transport speaks which URL.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{Broker, BrokerUrl, Client, Error, QueueName};

/// What a coordinator says when it connects.
#[derive(Clone, Debug, Default)]
pub struct BrokerOptions {
    /// The file in which our bindings are remembered. Without one they are forgotten at the end.
    pub ledger: Option<PathBuf>,
    /// The name by which others can speak to our router, where we have one.
    pub instance: Option<String>,
    /// What a [`Carrier`](crate::Carrier) will be asked to pull: a broker that has kept messages of it for us need not wait.
    pub pulled: Vec<QueueName>,
}

/// A way to talk to brokers: one file, one line in a registry.
#[async_trait]
pub trait Transport: Send + Sync {
    /// The URL schemes that it speaks.
    fn schemes(&self) -> &'static [&'static str];

    /// Connects a participant.
    ///
    /// # Errors
    /// When the first connection fails: whether to try again is the caller's to say ([`Error::is_transient`]).
    async fn client(&self, url: &BrokerUrl) -> Result<Arc<dyn Client>, Error>;

    /// Connects a coordinator.
    ///
    /// # Errors
    /// When the first connection fails, or the ledger cannot be read.
    async fn broker(&self, url: &BrokerUrl, options: BrokerOptions) -> Result<Arc<dyn Broker>, Error>;
}

/// The transports that a program has, built in its `main`.
#[derive(Default)]
pub struct Registry {
    transports: Vec<Box<dyn Transport>>,
}

impl Registry {
    /// A registry with one more transport.
    #[must_use]
    pub fn with(mut self, transport: impl Transport + 'static) -> Self {
        self.transports.push(Box::new(transport));
        self
    }

    /// The transport that speaks the scheme of `url`.
    ///
    /// # Errors
    /// [`Error::UnknownScheme`].
    pub fn transport(&self, url: &BrokerUrl) -> Result<&dyn Transport, Error> {
        let mut transports = self.transports.iter().map(AsRef::as_ref);
        transports.find(|transport| transport.schemes().contains(&url.scheme())).ok_or_else(|| {
            let known: Vec<_> =
                self.transports.iter().flat_map(|transport| transport.schemes()).copied().collect();
            Error::UnknownScheme { scheme: url.scheme().to_owned(), known: known.join(", ") }
        })
    }
}
