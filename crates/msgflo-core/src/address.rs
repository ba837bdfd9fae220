//! Where a broker is.

use std::fmt;
use std::str::FromStr;

use url::Url;

use crate::Error;

/// A broker's URL. It never shows its password.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl(Url);

impl BrokerUrl {
    /// The URL's scheme, which chooses the transport.
    pub fn scheme(&self) -> &str {
        self.0.scheme()
    }

    /// The URL with its password, for the transport that connects, and for children who must connect themselves.
    pub fn expose(&self) -> &Url {
        &self.0
    }
}

impl FromStr for BrokerUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Url::parse(text).map(Self).map_err(|error| Error::InvalidUrl {
            url: redact(text),
            reason: format!("{error}; expected something like amqp://user:password@host:5672/vhost"),
        })
    }
}

/// The URL, with `***` for its password.
impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.cannot_be_a_base() {
            return f.write_str(&redact(self.0.as_str()));
        }
        let mut shown = self.0.clone();
        if shown.password().is_some() && shown.set_password(Some("***")).is_err() {
            return f.write_str(shown.scheme());
        }
        write!(f, "{shown}")
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BrokerUrl({self})")
    }
}

/// Hides what may be a password in a text that is no URL with a host.
fn redact(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let url: BrokerUrl = "amqp://me:secret@host:5672/vhost".parse().expect("a URL");
        assert_eq!(url.to_string(), "amqp://me:***@host:5672/vhost");
        assert!(!format!("{url:?}").contains("secret"));
        let no_url = "amqp://me:secret@host:port".parse::<BrokerUrl>().expect_err("no URL");
        assert!(!no_url.to_string().contains("secret"), "{no_url}");
        let opaque: BrokerUrl = "me:secret@host".parse().expect("a URL of the scheme `me`");
        assert!(!opaque.to_string().contains("secret"), "{opaque}");
    }
}
