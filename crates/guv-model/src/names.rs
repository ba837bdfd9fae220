//! Names, addresses and secrets: strings that must not be mixed up, nor printed by accident.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps the given text as it is.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }
    };
}

name! {
    /// A role: one kind of worker that takes jobs from one queue; the key of a block of the configuration.
    Role
}
name! {
    /// The name of a queue in its broker.
    QueueName
}
name! {
    /// The platform's name of a worker, for instance a Heroku process type.
    WorkerName
}
name! {
    /// The platform's name of an application: its workers are changed in one request.
    AppName
}

/// The queues of a role, at least one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QueueNames(Vec<QueueName>);

impl QueueNames {
    /// `None` when there is none.
    pub fn new(names: Vec<QueueName>) -> Option<Self> {
        (!names.is_empty()).then_some(Self(names))
    }

    /// The first.
    pub fn first(&self) -> &QueueName {
        // There is at least one, by construction.
        &self.0[0]
    }

    /// All of them, in the order of the configuration.
    pub fn iter(&self) -> std::slice::Iter<'_, QueueName> {
        self.0.iter()
    }
}

impl From<QueueName> for QueueNames {
    fn from(name: QueueName) -> Self {
        Self(vec![name])
    }
}

impl<'a> IntoIterator for &'a QueueNames {
    type Item = &'a QueueName;
    type IntoIter = std::slice::Iter<'a, QueueName>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The address of a broker.
///
/// Its `Display` and `Debug` replace the password by `***`, so that it can be logged. It is not
/// serialisable: records must never carry credentials.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BrokerUrl(Url);

impl BrokerUrl {
    /// Parses an absolute URL with a host or an opaque part.
    ///
    /// # Errors
    /// When the text is not an absolute URL.
    pub fn parse(text: &str) -> Result<Self, url::ParseError> {
        Url::parse(text).map(Self)
    }

    /// The whole address, credentials included. Do not log it.
    pub fn reveal(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.password().is_none() {
            return write!(f, "{}", self.0);
        }
        let mut redacted = self.0.clone();
        // A URL that has a password can be given another one, so this cannot fail.
        let _ = redacted.set_password(Some("***"));
        write!(f, "{redacted}")
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BrokerUrl({self})")
    }
}

/// A token or a key. `Debug` hides it, there is no `Display`, and it is not serialisable.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself. Do not log it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_printed() {
        let url = BrokerUrl::parse("amqps://user:hunter2@broker.example/vhost").unwrap();
        assert_eq!(url.to_string(), "amqps://user:***@broker.example/vhost");
        assert!(!format!("{url:?} {:?}", Secret::new("hunter2")).contains("hunter2"));
        assert_eq!(url.reveal().password(), Some("hunter2"));
    }
}
