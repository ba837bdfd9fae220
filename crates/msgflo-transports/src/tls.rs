//! TLS for every transport: rustls with ring, and the machine's own certificates.
//!
//! What is made here depends on nothing that a program may or may not have installed for its process.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};

/// How a client of ours speaks TLS. The machine's certificates are read once, at the first call; `SSL_CERT_FILE` and
/// `SSL_CERT_DIR` say where, if they are elsewhere.
pub(crate) fn client_config() -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let make = || {
        let mut roots = RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        for error in native.errors {
            tracing::warn!(%error, "some of the machine's certificates cannot be read");
        }
        roots.add_parsable_certificates(native.certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has the ciphers of TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    };
    CONFIG.get_or_init(make).clone()
}
