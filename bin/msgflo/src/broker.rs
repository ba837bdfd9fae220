//! Which broker, and how we come to be connected to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use msgflo_core::{Broker, BrokerOptions, BrokerUrl, Client, Registry};
use msgflo_transports::Amqp;

use crate::outcome::{Failure, Stop, because};

/// What is used by commands that speak to a broker which must already be there.
const LOCAL: &str = "amqp://localhost";
/// The scheme of our own broker.
const EMBEDDED: &str = "embedded";
/// The first and the longest pause between two attempts to connect at the start.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// Every transport that this program speaks.
fn registry() -> Registry {
    Registry::default().with(Amqp)
}

/// A broker to use.
pub(crate) struct Connected {
    pub(crate) broker: Arc<dyn Broker>,
    /// Where participants connect.
    pub(crate) url: BrokerUrl,
    /// The broker itself, if it is our own.
    pub(crate) embedded: Option<msgflo_broker::Handle>,
}

/// The URL that was said, or that the environment says.
pub(crate) fn chosen(said: Option<&str>) -> Option<String> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    said.map(str::to_owned).or_else(|| variable("MSGFLO_BROKER")).or_else(|| variable("CLOUDAMQP_URL"))
}

/// Connects a coordinator to the broker that was chosen, else to one of our own, which is started.
///
/// A broker that is away is tried again for `patience`. The ledger lies in the folder `state`.
pub(crate) async fn connect(said: Option<&str>, state: &Path, patience: Duration) -> Result<Connected, Stop> {
    let url: BrokerUrl = chosen(said).unwrap_or_else(|| format!("{EMBEDDED}:")).parse()?;
    if url.scheme() == EMBEDDED {
        let embedded = start_embedded(&url).await?;
        let url: BrokerUrl = embedded.url().parse()?;
        let broker = open(&url, BrokerOptions::default(), Duration::ZERO).await?;
        return Ok(Connected { broker, url, embedded: Some(embedded) });
    }
    let options = BrokerOptions { ledger: Some(ledger(state, &url)), ..BrokerOptions::default() };
    let broker = open(&url, options, patience).await?;
    Ok(Connected { broker, url, embedded: None })
}

/// Connects to a broker that must already be there, for a command that asks and leaves.
pub(crate) async fn connect_existing(said: Option<&str>) -> Result<Arc<dyn Broker>, Stop> {
    let url: BrokerUrl = chosen(said).unwrap_or_else(|| LOCAL.to_owned()).parse()?;
    open(&existing(url)?, BrokerOptions::default(), Duration::ZERO).await
}

/// The same for a command that acts for participants.
pub(crate) async fn connect_client(said: Option<&str>) -> Result<Arc<dyn Client>, Stop> {
    let url = existing(chosen(said).unwrap_or_else(|| LOCAL.to_owned()).parse()?)?;
    Ok(registry().transport(&url)?.client(&url).await?)
}

fn existing(url: BrokerUrl) -> Result<BrokerUrl, Stop> {
    if url.scheme() == EMBEDDED {
        let failure = Failure::new("the embedded broker lives in the `msgflo run` that started it");
        return Err(Stop::config(failure.help("use the amqp: URL that `msgflo run` printed")));
    }
    Ok(url)
}

/// One ledger for each broker: a binding is ours only where we made it.
fn ledger(state: &Path, url: &BrokerUrl) -> PathBuf {
    let place = url.expose();
    let name =
        format!("{}:{}{}", place.host_str().unwrap_or_default(), place.port().unwrap_or(5672), place.path());
    let safe: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' }).collect();
    state.join(format!("bindings-{}.json", safe.trim_end_matches('_')))
}

async fn open(url: &BrokerUrl, options: BrokerOptions, patience: Duration) -> Result<Arc<dyn Broker>, Stop> {
    let registry = registry();
    let transport = registry.transport(url)?;
    let (started, mut pause) = (Instant::now(), PAUSES.0);
    loop {
        match transport.broker(url, options.clone()).await {
            Ok(broker) => return Ok(broker),
            Err(error) if error.is_transient() && started.elapsed() + pause < patience => {
                eprintln!("{}; trying again", because(&error));
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Starts a broker in this process, on loopback.
async fn start_embedded(url: &BrokerUrl) -> Result<msgflo_broker::Handle, Stop> {
    let url = url.expose();
    if !url.path().is_empty() {
        let failure = Failure::new(format!("the embedded broker cannot keep messages in `{}`", url.path()));
        return Err(Stop::config(failure.help("it keeps them in memory: say `embedded:`, or use RabbitMQ")));
    }
    let mut options = msgflo_broker::Options { any_port_if_busy: true, ..msgflo_broker::Options::default() };
    for (key, value) in url.query_pairs() {
        match (&*key, value.parse()) {
            ("port", Ok(port)) => {
                options.listen.set_port(port);
                options.any_port_if_busy = port == 0;
            }
            _ => {
                let failure = Failure::new(format!("`{key}={value}` means nothing to the embedded broker"));
                return Err(Stop::config(failure.help("say `embedded:?port=5672`, or only `embedded:`")));
            }
        }
    }
    msgflo_broker::Server::start(options).await.map_err(|error| Stop::failed(because(&error)))
}
