//! Which broker, and how we come to be connected to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use msgflo_core::{Broker, BrokerOptions, BrokerUrl, Client, Registry};
use msgflo_transports::{Amqp, Joint, Member, Mqtt};

use crate::broker_embedded as embedded;
use crate::broker_embedded_mqtt as embedded_mqtt;
use crate::outcome::{Failure, Stop, because};

/// What is used by commands that speak to a broker which must already be there.
const LOCAL: &str = "amqp://localhost";
/// The first and the longest pause between two attempts to connect at the start.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// Every transport that this program speaks.
fn registry() -> Registry {
    Registry::default().with(Amqp).with(Mqtt)
}

/// A broker to use.
pub(crate) struct Connected {
    pub(crate) broker: Arc<dyn Broker>,
    /// Where participants connect.
    pub(crate) url: BrokerUrl,
    /// Where else they may connect, by the brokers' labels: every broker, where there are several.
    pub(crate) labelled: BTreeMap<String, BrokerUrl>,
    /// The broker itself, if it is our own.
    pub(crate) embedded: Option<msgflo_broker::Handle>,
    /// The broker for devices, if it is our own.
    pub(crate) embedded_mqtt: Option<embedded_mqtt::Handle>,
}

impl Connected {
    fn to(broker: Arc<dyn Broker>, url: BrokerUrl) -> Self {
        Self { broker, url, labelled: BTreeMap::new(), embedded: None, embedded_mqtt: None }
    }

    /// Says where the brokers are.
    pub(crate) fn describe(&self) {
        let kind = |url: &BrokerUrl| match (&self.embedded, &self.embedded_mqtt) {
            (Some(own), _) if url.expose().as_str() == own.url_with_credentials() => embedded::keeping(own),
            (_, Some(own)) if url.expose().as_str() == own.url() => "embedded, for devices".to_owned(),
            _ => "yours".to_owned(),
        };
        if self.labelled.is_empty() {
            eprintln!("broker: {} ({})", self.url, kind(&self.url));
        }
        for (label, url) in &self.labelled {
            eprintln!("broker {label}: {url} ({})", kind(url));
        }
        if let Some(url) = self.embedded.as_ref().and_then(msgflo_broker::Handle::management_url) {
            eprintln!("management: {url}");
        }
    }

    /// What participants find in their environment: `MSGFLO_BROKER`, and `MSGFLO_BROKER_<LABEL>` for each of several brokers.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let text = |url: &BrokerUrl| url.expose().to_string();
        let mut environment = BTreeMap::from([("MSGFLO_BROKER".to_owned(), text(&self.url))]);
        for (label, url) in &self.labelled {
            let label = label.to_uppercase().replace('-', "_");
            environment.insert(format!("MSGFLO_BROKER_{label}"), text(url));
        }
        environment
    }
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
    let url: BrokerUrl = chosen(said).unwrap_or_else(|| format!("{}:", embedded::SCHEME)).parse()?;
    connect_to(url, state, patience, BrokerOptions::default()).await
}

/// The same for the network `instance`, by whose name its router can be spoken to, and with any number of brokers: its
/// participants may be on any of them, and are connected between them. The first is where those go that do not say.
pub(crate) async fn connect_all(
    said: &[String],
    state: &Path,
    patience: Duration,
    instance: &str,
) -> Result<Connected, Stop> {
    let options = BrokerOptions { instance: Some(instance.to_owned()), ..BrokerOptions::default() };
    if said.len() < 2 {
        let url =
            chosen(said.first().map(String::as_str)).unwrap_or_else(|| format!("{}:", embedded::SCHEME));
        return connect_to(url.parse()?, state, patience, options).await;
    }
    let urls: Vec<BrokerUrl> = said.iter().map(|url| url.parse()).collect::<Result<_, _>>()?;
    let labels = labels(&urls);
    let joint = Joint::open(Some(state.join("between-brokers.json")))?;
    let (mut members, mut connected) = (Vec::new(), Vec::new());
    for (place, (url, label)) in urls.into_iter().zip(&labels).enumerate() {
        let pulled = joint.pulled(label, place == 0);
        let options = BrokerOptions { pulled, ..options.clone() };
        let one = connect_to(url, state, patience, options).await?;
        members.push(Member { label: label.clone(), broker: Arc::clone(&one.broker) });
        connected.push(one);
    }
    let broker = joint.join(members).await;
    let all = labels.into_iter().zip(connected.iter().map(|one| one.url.clone()));
    let labelled = all.collect();
    let mut connected = connected.into_iter();
    let first = connected.next().expect("there are several");
    let mut all = Connected { broker, labelled, ..first };
    for one in connected {
        let twice = (all.embedded.is_some() && one.embedded.is_some())
            || (all.embedded_mqtt.is_some() && one.embedded_mqtt.is_some());
        if twice {
            return Err(Stop::config(
                Failure::new("two embedded brokers of a kind are no use").help("say it once"),
            ));
        }
        all.embedded = all.embedded.or(one.embedded);
        all.embedded_mqtt = all.embedded_mqtt.or(one.embedded_mqtt);
    }
    Ok(all)
}

/// A label for each URL: the protocol, with a number from the second on.
fn labels(urls: &[BrokerUrl]) -> Vec<String> {
    let protocol = |url: &BrokerUrl| match url.scheme() {
        "mqtt" | "mqtts" | embedded_mqtt::SCHEME => "mqtt",
        _ => "amqp",
    };
    let mut labels: Vec<String> = Vec::new();
    for (place, url) in urls.iter().enumerate() {
        let before = urls[..place].iter().filter(|other| protocol(other) == protocol(url)).count();
        labels.push(match before {
            0 => protocol(url).to_owned(),
            _ => format!("{}-{}", protocol(url), before + 1),
        });
    }
    labels
}

async fn connect_to(
    url: BrokerUrl,
    state: &Path,
    patience: Duration,
    options: BrokerOptions,
) -> Result<Connected, Stop> {
    if url.scheme() == embedded::SCHEME {
        let own = msgflo_broker::Options { management_beside: true, ..embedded::options(&url)? };
        let embedded = embedded::start(own).await?;
        // Bindings that outlive the broker must be known as ours the next time.
        let ledger = embedded.data().map(|_| ledger(state, &url));
        let url: BrokerUrl = embedded.url_with_credentials().parse()?;
        let broker = open(&url, BrokerOptions { ledger, ..options }, Duration::ZERO).await?;
        return Ok(Connected { embedded: Some(embedded), ..Connected::to(broker, url) });
    }
    if url.scheme() == embedded_mqtt::SCHEME {
        let handle = embedded_mqtt::start(&url).await?;
        let at: BrokerUrl = handle.url().parse()?;
        // It has no bindings of its own: what the router carries is known as long as the network's state.
        let options = BrokerOptions { ledger: Some(ledger(state, &url)), ..options };
        let broker = open(&at, options, Duration::ZERO).await?;
        return Ok(Connected { embedded_mqtt: Some(handle), ..Connected::to(broker, at) });
    }
    let options = BrokerOptions { ledger: Some(ledger(state, &url)), ..options };
    let broker = open(&url, options, patience).await?;
    Ok(Connected::to(broker, url))
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
    if [embedded::SCHEME, embedded_mqtt::SCHEME].contains(&url.scheme()) {
        let failure = Failure::new("the embedded broker lives in the `msgflo run` that started it");
        return Err(Stop::config(failure.help("use the URL that `msgflo run` printed")));
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
        // Somebody who takes connections and says nothing is not waited for longer, either.
        let left = patience.saturating_sub(started.elapsed()).max(PAUSES.0);
        let attempt = tokio::time::timeout(left, transport.broker(url, options.clone())).await;
        let attempt = attempt.unwrap_or_else(|_| {
            Err(msgflo_core::Error::Timeout { doing: format!("connecting to {url}"), after: patience })
        });
        match attempt {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_told_apart() {
        let urls = ["embedded:", "mqtt://a", "mqtts://b", "amqp://c"].map(|url| url.parse().expect("a URL"));
        assert_eq!(labels(&urls), ["amqp", "mqtt", "mqtt-2", "amqp-2"]);
    }
}
