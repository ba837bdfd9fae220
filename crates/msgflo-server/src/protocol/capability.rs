//! What a client may do and see.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// A permission, by its name in the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Capability {
    Graph,
    GraphReadonly,
    Trace,
    Runtime,
    Component,
    GetSource,
    SetSource,
    Network,
    NetworkControl,
    NetworkData,
    NetworkStatus,
    NetworkPersist,
}

impl Capability {
    /// Every one that we know.
    pub(crate) const ALL: [Self; 12] = [
        Self::Graph,
        Self::GraphReadonly,
        Self::Trace,
        Self::Runtime,
        Self::Component,
        Self::GetSource,
        Self::SetSource,
        Self::Network,
        Self::NetworkControl,
        Self::NetworkData,
        Self::NetworkStatus,
        Self::NetworkPersist,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Graph => "protocol:graph",
            Self::GraphReadonly => "graph:readonly",
            Self::Trace => "protocol:trace",
            Self::Runtime => "protocol:runtime",
            Self::Component => "protocol:component",
            Self::GetSource => "component:getsource",
            Self::SetSource => "component:setsource",
            Self::Network => "protocol:network",
            Self::NetworkControl => "network:control",
            Self::NetworkData => "network:data",
            Self::NetworkStatus => "network:status",
            Self::NetworkPersist => "network:persist",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Capability {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|capability| capability.name() == name).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|capability| capability.name()).collect();
            format!("`{name}` is no capability; there are {}", known.join(", "))
        })
    }
}

/// A set of permissions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub(crate) struct Capabilities(BTreeSet<Capability>);

impl Capabilities {
    /// Everything.
    pub(crate) fn all() -> Self {
        Self(Capability::ALL.into())
    }

    /// Everything but the writing of code, which would be to run it.
    pub(crate) fn all_but_code() -> Self {
        Self(Capability::ALL.into_iter().filter(|capability| *capability != Capability::SetSource).collect())
    }

    /// Whether one of these is given, or implied: `protocol:network` implies what it is made of.
    pub(crate) fn allow(&self, any_of: &[Capability]) -> bool {
        use Capability as C;
        let implied = [C::NetworkControl, C::NetworkData, C::NetworkStatus];
        any_of.iter().any(|wanted| {
            self.0.contains(wanted) || (implied.contains(wanted) && self.0.contains(&C::Network))
        })
    }

    /// Their names.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|capability| capability.name()).collect()
    }
}

impl TryFrom<Vec<String>> for Capabilities {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, String> {
        names.iter().map(|name| name.parse()).collect::<Result<_, _>>().map(Self)
    }
}
