//! A wire that can be cut.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use msgflo_core::BrokerUrl;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Passes connections on to a broker, until they are cut.
pub(crate) struct Proxy {
    address: SocketAddr,
    broker: BrokerUrl,
    /// Cancelled to cut the connections that there are; those that come later hang on the next one.
    wire: Arc<Mutex<CancellationToken>>,
    _end: DropGuard,
}

impl Proxy {
    /// Starts a proxy in front of `broker`.
    pub(crate) async fn start(broker: &BrokerUrl) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let host = broker.expose().host_str().expect("a broker has a host").to_owned();
        let port = broker.expose().port().expect("a test's broker is on no default port");
        let wire = Arc::new(Mutex::new(CancellationToken::new()));
        let end = CancellationToken::new();
        let accept = accept(listener, (host, port), Arc::clone(&wire));
        tokio::spawn(end.clone().run_until_cancelled_owned(accept));
        Self { address, broker: broker.clone(), wire, _end: end.drop_guard() }
    }

    /// The broker's URL by way of this proxy.
    pub(crate) fn url(&self) -> BrokerUrl {
        let mut url = self.broker.expose().clone();
        url.set_host(Some(&self.address.ip().to_string())).expect("an address is a host");
        url.set_port(Some(self.address.port())).expect("a broker's URL takes a port");
        url.as_str().parse().expect("it was a URL before")
    }

    /// Cuts every connection. New ones are passed on.
    pub(crate) fn cut(&self) {
        let mut wire = self.wire.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *wire).cancel();
    }
}

async fn accept(listener: TcpListener, broker: (String, u16), wire: Arc<Mutex<CancellationToken>>) {
    while let Ok((mut inner, _)) = listener.accept().await {
        let wire = wire.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let broker = broker.clone();
        tokio::spawn(wire.run_until_cancelled_owned(async move {
            if let Ok(mut outer) = TcpStream::connect(broker).await {
                // However it ends, both sides see their connection closed.
                let _ = copy_bidirectional(&mut inner, &mut outer).await;
            }
        }));
    }
}
