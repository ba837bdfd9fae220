//! Where the management API of a broker is.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

/// Where the queues of a virtual host are asked for.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Endpoint {
    /// Ends with a slash; without credentials.
    pub(super) base: Url,
    pub(super) user: String,
    pub(super) password: String,
    /// Percent-encoded.
    pub(super) virtual_host: String,
}

/// Without the password.
impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{} {}", self.user, self.base, self.virtual_host)
    }
}

impl Endpoint {
    /// That of a broker; `management` and `vhost` win over what follows from its address.
    pub(super) fn of(broker: &Url, management: Option<&Url>, vhost: Option<&str>) -> Self {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let amqp = broker.scheme().starts_with("amqp");
        let mut base = match management {
            Some(management) => management.clone(),
            None if amqp => derived(broker),
            None => broker.clone(),
        };
        let credentials = if base.username().is_empty() { broker } else { &base };
        let (user, password) = match (credentials.username(), credentials.password()) {
            ("", None) => ("guest".to_owned(), "guest".to_owned()),
            (user, password) => (decoded(user), decoded(password.unwrap_or_default())),
        };
        // Both only fail for URLs without a host, and this one has a host.
        let _ = base.set_username("");
        let _ = base.set_password(None);
        base.set_query(None);
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let virtual_host = match (vhost, broker.path().trim_start_matches('/')) {
            (Some(vhost), _) => encode(vhost),
            (None, path) if amqp && !path.is_empty() => encode(&decoded(path)),
            _ => encode("/"),
        };
        Self { base, user, password, virtual_host }
    }
}

/// The address of a broker with another virtual host. By a slash alone the usual one is meant, as for the management API; a
/// client would take it for one without a name.
pub(super) fn with_vhost(broker: &Url, vhost: Option<&str>) -> Url {
    let mut url = broker.clone();
    match vhost {
        Some(vhost) => url.set_path(&format!("/{}", encode(vhost))),
        None if broker.path().trim_start_matches('/').is_empty() => {
            url.set_path(&format!("/{}", encode("/")))
        }
        None => {}
    }
    url
}

/// The address of the management API that belongs to a broker.
fn derived(broker: &Url) -> Url {
    let host = broker.host_str().unwrap_or("localhost");
    let address = match broker.scheme() {
        _ if host.ends_with(".cloudamqp.com") => format!("https://{host}/"),
        "amqps" => format!("https://{host}:15671/"),
        _ => format!("http://{host}:15672/"),
    };
    let mut url = Url::parse(&address).expect("a host out of a URL makes a URL again");
    if !broker.username().is_empty() {
        let _ = url.set_username(broker.username());
        let _ = url.set_password(broker.password());
    }
    url
}

pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(broker: &str, management: Option<&str>, vhost: Option<&str>) -> String {
        let management = management.map(|url| Url::parse(url).unwrap());
        let Endpoint { base, user, password, virtual_host } =
            Endpoint::of(&Url::parse(broker).unwrap(), management.as_ref(), vhost);
        format!("{user}:{password} {base} {virtual_host}")
    }

    #[test]
    fn the_management_api_is_found_from_the_brokers_url() {
        assert_eq!(endpoint("amqp://localhost", None, None), "guest:guest http://localhost:15672/ %2F");
        assert_eq!(endpoint("amqp://u:p%40@h:5673/v%2Fw", None, None), "u:p@ http://h:15672/ v%2Fw");
        assert_eq!(endpoint("amqps://u:p@h/v", None, None), "u:p https://h:15671/ v");
        assert_eq!(
            endpoint("amqp://u:p@rat.rmq.cloudamqp.com/u", None, None),
            "u:p https://rat.rmq.cloudamqp.com/ u"
        );
        assert_eq!(endpoint("http://u:p@h:1/rabbit", None, None), "u:p http://h:1/rabbit/ %2F");
        assert_eq!(endpoint("amqp://u:p@h/v", Some("https://m/x"), None), "u:p https://m/x/ v");
        assert_eq!(endpoint("amqp://u:p@h/v", Some("https://a:b@m"), None), "a:b https://m/ v");
    }

    #[test]
    fn a_virtual_host_of_its_own() {
        assert_eq!(endpoint("http://h", None, Some("a/b")), "guest:guest http://h/ a%2Fb");
        let url = with_vhost(&Url::parse("amqp://h/v").unwrap(), Some("a/b"));
        assert_eq!(url.as_str(), "amqp://h/a%2Fb");
    }

    #[test]
    fn without_a_name_it_is_the_usual_virtual_host_for_both() {
        for broker in ["amqp://h", "amqp://h/", "amqp://h:5672//"] {
            let url = Url::parse(broker).unwrap();
            assert_eq!(Endpoint::of(&url, None, None).virtual_host, "%2F", "{broker}");
            assert_eq!(with_vhost(&url, None).path(), "/%2F", "{broker}");
        }
    }
}
