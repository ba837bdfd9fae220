//! Encrypted connections (amqps).

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use crate::options::Error;

/// Where encrypted connections are accepted, and by which certificate.
#[derive(Clone)]
pub struct Tls {
    pub(crate) listen: SocketAddr,
    pub(crate) config: Arc<ServerConfig>,
}

impl Tls {
    /// Reads a certificate chain and its private key, both PEM.
    ///
    /// # Errors
    /// [`Error::Certificate`] if one of the files cannot be read, or they do not belong together.
    pub fn from_files(listen: SocketAddr, certificates: &Path, key: &Path) -> Result<Self, Error> {
        let error = |path: &Path, source: Box<dyn std::error::Error + Send + Sync>| Error::Certificate {
            path: path.to_owned(),
            source,
        };
        let chain: Vec<_> = CertificateDer::pem_file_iter(certificates)
            .and_then(Iterator::collect)
            .map_err(|source| error(certificates, source.into()))?;
        let key_der = PrivateKeyDer::from_pem_file(key).map_err(|source| error(key, source.into()))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key_der))
            .map_err(|source: rustls::Error| error(certificates, source.into()))?;
        Ok(Self { listen, config: Arc::new(config) })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("listen", &self.listen).finish_non_exhaustive()
    }
}
