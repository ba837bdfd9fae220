//! What an `mqtt:` URL says.

use std::time::Duration;

use msgflo_core::{BrokerUrl, Error};
use percent_encoding::percent_decode_str;

use super::packet::Version;

/// How a broker is reached, and how we introduce ourselves there.
#[derive(Clone)]
pub(crate) struct Options {
    /// The URL without its password, for errors and logs.
    pub(crate) broker: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    /// The longest silence on the wire.
    pub(crate) keep_alive: Duration,
    /// The version to speak. Without one, 5 is tried, then 3.1.1.
    pub(crate) version: Option<Version>,
    /// The name of our session, if it is to outlive us.
    pub(crate) client_id: Option<String>,
}

/// Unless the URL says otherwise: a dead peer is noticed after two of them.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

impl Options {
    /// Reads `mqtt://user:password@host:port?version=3.1.1&keepalive=SECONDS&client_id=NAME`.
    pub(crate) fn parse(url: &BrokerUrl) -> Result<Self, Error> {
        let broker = url.to_string();
        let invalid = |reason: &str| Error::InvalidUrl { url: broker.clone(), reason: reason.to_owned() };
        let said = url.expose();
        let text = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let tls = said.scheme() == "mqtts";
        if !matches!(said.path(), "" | "/") {
            return Err(invalid(
                "MQTT knows no path; expected something like mqtt://user:password@host:1883",
            ));
        }
        let host = said.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| invalid("it names no host, as mqtt://host:1883 does"))?;
        let mut options = Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: said.port().unwrap_or(if tls { 8883 } else { 1883 }),
            tls,
            user: Some(text(said.username())).filter(|user| !user.is_empty()),
            password: said.password().map(text),
            keep_alive: KEEP_ALIVE,
            version: None,
            client_id: None,
            broker: broker.clone(),
        };
        for (key, value) in said.query_pairs() {
            match &*key {
                "version" => {
                    options.version = Some(match &*value {
                        "3.1.1" | "4" => Version::V311,
                        "5" | "5.0" => Version::V5,
                        _ => return Err(invalid("`version` is 3.1.1 or 5")),
                    });
                }
                "keepalive" => {
                    let seconds = value.parse::<u16>().ok().filter(|seconds| *seconds > 0);
                    let seconds =
                        seconds.ok_or_else(|| invalid("`keepalive` is a number of seconds, 1 to 65535"))?;
                    options.keep_alive = Duration::from_secs(seconds.into());
                }
                "client_id" if !value.is_empty() => options.client_id = Some(value.into_owned()),
                _ => {
                    return Err(invalid(
                        "it says something unknown; known are `version`, `keepalive` and `client_id`",
                    ));
                }
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Options, Error> {
        Options::parse(&url.parse().expect("a URL"))
    }

    #[test]
    fn a_url_says_how_to_connect() {
        let options =
            parse("mqtts://me:p%40ss@[::1]?version=3.1.1&keepalive=5&client_id=door").expect("right");
        assert_eq!((options.host.as_str(), options.port, options.tls), ("::1", 8883, true));
        assert_eq!((options.user.as_deref(), options.password.as_deref()), (Some("me"), Some("p@ss")));
        assert_eq!((options.version, options.keep_alive), (Some(Version::V311), Duration::from_secs(5)));
        assert_eq!(options.client_id.as_deref(), Some("door"));
        assert_eq!(parse("mqtt://host/").expect("right").port, 1883);
    }

    #[test]
    fn what_means_nothing_is_told() {
        for url in
            ["mqtt:host", "mqtt://h/prefix", "mqtt://h?version=3", "mqtt://h?keepalive=0", "mqtt://h?qos=2"]
        {
            assert!(matches!(parse(url), Err(Error::InvalidUrl { .. })), "{url}");
        }
    }
}
