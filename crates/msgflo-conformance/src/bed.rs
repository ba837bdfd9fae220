//! What a case runs on.

use std::any::Any;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use msgflo_core::{Broker, BrokerOptions, BrokerUrl, Client, QueueName, Transport};

/// A transport, and a broker for one case alone.
pub struct Bed {
    transport: Box<dyn Transport>,
    url: BrokerUrl,
    folder: tempfile::TempDir,
    _keep: Vec<Box<dyn Any + Send + Sync>>,
}

impl Bed {
    /// A bed on the broker at `url`, which must be empty.
    ///
    /// # Panics
    /// When there is no room for temporary files.
    pub fn new(transport: impl Transport + 'static, url: BrokerUrl) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { transport: Box::new(transport), url, folder, _keep: Vec::new() }
    }

    /// The bed, with something that must live as long, such as the handle of its broker.
    #[must_use]
    pub fn keeping(mut self, keep: impl Any + Send + Sync) -> Self {
        self._keep.push(Box::new(keep));
        self
    }

    pub(crate) fn transport(&self) -> &dyn Transport {
        &*self.transport
    }

    pub(crate) fn url(&self) -> &BrokerUrl {
        &self.url
    }

    /// A new participant's connection.
    pub(crate) async fn client(&self) -> Arc<dyn Client> {
        self.client_at(&self.url).await
    }

    /// A new participant's connection by way of `url`.
    pub(crate) async fn client_at(&self, url: &BrokerUrl) -> Arc<dyn Client> {
        self.transport.client(url).await.expect("a client connects")
    }

    /// A new coordinator's connection, without a memory of earlier ones.
    pub(crate) async fn broker(&self) -> Arc<dyn Broker> {
        self.broker_at(&self.url).await
    }

    /// A new coordinator's connection by way of `url`.
    pub(crate) async fn broker_at(&self, url: &BrokerUrl) -> Arc<dyn Broker> {
        self.transport.broker(url, BrokerOptions::default()).await.expect("a coordinator connects")
    }

    /// A new coordinator's connection that remembers its bindings in `ledger`.
    pub(crate) async fn broker_with(&self, ledger: PathBuf) -> Arc<dyn Broker> {
        let options = BrokerOptions { ledger: Some(ledger), ..Default::default() };
        self.transport.broker(&self.url, options).await.expect("a coordinator connects")
    }

    /// The place of a file that does not exist yet.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl fmt::Debug for Bed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bed").field("url", &self.url).finish_non_exhaustive()
    }
}

/// A name in the broker.
pub(crate) fn queue(name: &str) -> QueueName {
    QueueName::from(name)
}
