//! The URL of our own MQTT broker: `embedded+mqtt:[FOLDER][?port=N]`.

use std::path::PathBuf;

use msgflo_core::BrokerUrl;

use crate::outcome::{Failure, Stop};

/// The scheme of our own MQTT broker.
pub(crate) const SCHEME: &str = "embedded+mqtt";

#[cfg(feature = "mqtt")]
pub(crate) use msgflo_mqtt_broker::Handle;

/// Starts the broker that a URL describes.
#[cfg(feature = "mqtt")]
pub(crate) async fn start(url: &BrokerUrl) -> Result<Handle, Stop> {
    serve(options(url)?).await
}

/// Starts the broker on a port of this machine. Retained messages and sessions are kept in a folder, if there is one.
#[cfg(feature = "mqtt")]
pub(crate) async fn start_on(port: u16, folder: Option<PathBuf>) -> Result<Handle, Stop> {
    let mut options = msgflo_mqtt_broker::Options { folder, ..msgflo_mqtt_broker::Options::default() };
    options.listen.set_port(port);
    serve(options).await
}

#[cfg(feature = "mqtt")]
async fn serve(options: msgflo_mqtt_broker::Options) -> Result<Handle, Stop> {
    msgflo_mqtt_broker::Server::start(options).await.map_err(|error| {
        Stop::failed(
            crate::outcome::because(&error).help("another broker may be running there; say another port"),
        )
    })
}

#[cfg(feature = "mqtt")]
fn options(url: &BrokerUrl) -> Result<msgflo_mqtt_broker::Options, Stop> {
    let url = url.expose();
    let mut options =
        msgflo_mqtt_broker::Options { any_port_if_busy: true, ..msgflo_mqtt_broker::Options::default() };
    if url.has_host() {
        let failure =
            Failure::new("the embedded MQTT broker lets everybody in, and so serves this machine only");
        return Err(Stop::config(
            failure.help("say `embedded+mqtt:`, or install a broker such as Mosquitto"),
        ));
    }
    if !url.path().is_empty() {
        options.folder = Some(url.path().into());
    }
    for (key, value) in url.query_pairs() {
        match (&*key, value.parse()) {
            ("port", Ok(port)) => {
                options.listen.set_port(port);
                options.any_port_if_busy = port == 0;
            }
            _ => {
                let failure = Failure::new(format!("`{key}={value}` means nothing to the embedded broker"));
                return Err(Stop::config(
                    failure.help("say `embedded+mqtt:?port=1883`, or only `embedded+mqtt:`"),
                ));
            }
        }
    }
    Ok(options)
}

/// None is ever made: the program was built without it.
#[cfg(not(feature = "mqtt"))]
#[derive(Debug)]
pub(crate) enum Handle {}

#[cfg(not(feature = "mqtt"))]
impl Handle {
    pub(crate) fn url(&self) -> String {
        match *self {}
    }

    pub(crate) async fn shutdown(self) {
        match self {}
    }
}

#[cfg(not(feature = "mqtt"))]
pub(crate) async fn start(_: &BrokerUrl) -> Result<Handle, Stop> {
    Err(missing())
}

#[cfg(not(feature = "mqtt"))]
pub(crate) async fn start_on(_: u16, _: Option<PathBuf>) -> Result<Handle, Stop> {
    Err(missing())
}

/// Says that there is none.
#[cfg(not(feature = "mqtt"))]
fn missing() -> Stop {
    let failure = Failure::new("this msgflo was built without a broker of MQTT");
    Stop::config(failure.help("build it with the feature `mqtt`, or install a broker such as Mosquitto"))
}

#[cfg(all(test, feature = "mqtt"))]
mod tests {
    use super::*;

    #[test]
    fn the_url_says_where() {
        let read = |url: &str| options(&url.parse().expect("a URL"));
        let plain = read("embedded+mqtt:").unwrap();
        assert_eq!((plain.listen.port(), plain.any_port_if_busy, plain.folder), (1883, true, None));
        let kept = read("embedded+mqtt:state/mqtt?port=0").unwrap();
        assert_eq!((kept.listen.port(), kept.folder), (0, Some("state/mqtt".into())));
        assert!(read("embedded+mqtt://0.0.0.0").is_err());
        assert!(read("embedded+mqtt:?users=no").is_err());
    }
}
