//! The URL of our own broker: `embedded:[PATH][?port=N]`, or with an address and a user
//! `embedded://USER:PASSWORD@HOST:PORT/PATH`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use msgflo_broker::{Credentials, Handle, Options, Server};
use msgflo_core::BrokerUrl;
use percent_encoding::percent_decode_str;
use url::Host;

use crate::outcome::{Failure, Stop, because};

/// The scheme of our own broker.
pub(crate) const SCHEME: &str = "embedded";
/// Where clients look for it.
const PORT: u16 = 5672;

/// What the URL says.
pub(crate) fn options(url: &BrokerUrl) -> Result<Options, Stop> {
    let url = url.expose();
    let mut options = Options { any_port_if_busy: true, ..Options::default() };
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    if let Some(host) = url.host() {
        let ip: Option<IpAddr> = match host {
            Host::Ipv4(ip) => Some(ip.into()),
            Host::Ipv6(ip) => Some(ip.into()),
            Host::Domain("localhost") => Some(IpAddr::from([127, 0, 0, 1])),
            // The host of a URL with a scheme of its own is not read as an address.
            Host::Domain(text) => text.parse().ok(),
        };
        let ip = ip.ok_or_else(|| {
            let failure = Failure::new(format!("`{host}` is no address of this machine"));
            Stop::config(failure.help("say an IP address, such as 127.0.0.1, or 0.0.0.0 for all"))
        })?;
        options.listen = SocketAddr::new(ip, url.port().unwrap_or(PORT));
        options.any_port_if_busy = url.port().is_none();
    }
    if !url.username().is_empty() {
        options.credentials = Credentials {
            user: decoded(url.username()),
            password: decoded(url.password().unwrap_or_default()),
        };
    }
    let path = decoded(url.path());
    if !path.is_empty() && path != "/" {
        options.data = Some(PathBuf::from(path));
    }
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
    Ok(options)
}

/// Starts the broker.
pub(crate) async fn start(options: Options) -> Result<Handle, Stop> {
    use msgflo_broker::Error as E;
    Server::start(options).await.map_err(|error| {
        let failure = because(&error);
        match error {
            E::Listen { .. } => {
                Stop::failed(failure.help("another broker may be running there; say another port"))
            }
            E::Storage { .. } => Stop::failed(
                failure.help("choose a folder that can be written to, and that no other broker uses"),
            ),
            E::Unprotected { .. } => Stop::config(
                failure
                    .help("say `embedded://USER:PASSWORD@HOST:PORT`, or give --definitions-file with users"),
            ),
            _ => Stop::config(failure),
        }
    })
}

/// Where it keeps messages, for people.
pub(crate) fn keeping(broker: &Handle) -> String {
    match broker.data() {
        Some(path) => format!("embedded, kept in {}", path.display()),
        None => "embedded, in memory".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Options, Stop> {
        options(&url.parse().expect("a URL"))
    }

    #[test]
    fn the_url_says_where_and_who() {
        let plain = read("embedded:").unwrap();
        assert_eq!((plain.listen.to_string().as_str(), plain.any_port_if_busy), ("127.0.0.1:5672", true));
        assert_eq!(plain.data, None);
        let kept = read("embedded:/var/lib/msgflo?port=7000").unwrap();
        assert_eq!((kept.listen.port(), kept.any_port_if_busy), (7000, false));
        assert_eq!(kept.data, Some(PathBuf::from("/var/lib/msgflo")));
        assert_eq!(read("embedded:state/broker").unwrap().data, Some(PathBuf::from("state/broker")));
        let full = read("embedded://me:p%40ss@0.0.0.0:5673/data").unwrap();
        assert_eq!(full.listen.to_string(), "0.0.0.0:5673");
        assert_eq!((full.credentials.user.as_str(), full.credentials.password.as_str()), ("me", "p@ss"));
        assert_eq!(full.data, Some(PathBuf::from("/data")));
        assert!(read("embedded:?colour=red").is_err());
        assert!(read("embedded://example.org/").is_err());
    }
}
