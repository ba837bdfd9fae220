//! Who may do what: secrets, and what each of them allows. Pure.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};

use crate::protocol::{Capabilities, Capability, Command, Fault, Request, Signal};
use crate::socket::is_trusted_request;

/// What secrets allow.
#[derive(Clone, Debug)]
pub struct Permissions {
    /// What is allowed without a secret.
    open: Capabilities,
    secrets: BTreeMap<String, Capabilities>,
}

/// Why a list of permissions cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("this is no list of permissions")]
pub struct PermissionsError(#[from] serde_json::Error);

impl Permissions {
    /// Everything but the writing of code is allowed to everybody who can connect.
    pub fn open() -> Self {
        Self { open: Capabilities::all_but_code(), secrets: BTreeMap::new() }
    }

    /// Everything is allowed with this secret, nothing without.
    pub fn secret(secret: String) -> Self {
        Self { open: Capabilities::default(), secrets: BTreeMap::from([(secret, Capabilities::all())]) }
    }

    /// Reads `{"a secret": ["protocol:graph", …], …}`. What the empty secret allows is allowed without one.
    ///
    /// # Errors
    /// When it is not such JSON, or names a capability that does not exist.
    pub fn parse(text: &str) -> Result<Self, PermissionsError> {
        let mut secrets: BTreeMap<String, Capabilities> = serde_json::from_str(text)?;
        Ok(Self { open: secrets.remove("").unwrap_or_default(), secrets })
    }

    /// Whether anything is allowed without a secret.
    pub fn are_open(&self) -> bool {
        self.open != Capabilities::default()
    }

    /// Whether one of these is allowed to whoever asks with these headers: by the secret that they say, or without any where it
    /// is open, and they are of no page of a foreign site. `origins` are those of pages that count as our own.
    pub(crate) fn admit(&self, headers: &HeaderMap, origins: &[String], any_of: &[Capability]) -> bool {
        let is_open = self.open.allow(any_of) && is_trusted_request(headers, origins);
        is_open || bearer(headers).is_some_and(|secret| self.of(secret).allow(any_of))
    }

    /// What a secret allows; a wrong one allows nothing.
    fn of(&self, secret: &str) -> Capabilities {
        // All are compared, and each to its end, so that the time tells nothing.
        let mut found = Capabilities::default();
        for (known, capabilities) in &self.secrets {
            if is_same(known, secret) {
                found = capabilities.clone();
            }
        }
        found
    }
}

/// The secret that a request says.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn is_same(a: &str, b: &str) -> bool {
    let differing = a.bytes().zip(b.bytes()).fold(0, |differing, (a, b)| differing | (a ^ b));
    a.len() == b.len() && differing == 0
}

/// What one client may do. It grows or shrinks with the secret that the client says last.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    permissions: Permissions,
    /// Whether what is open to everybody is open to this client: not to pages of foreign web sites.
    is_trusted: bool,
    capabilities: Capabilities,
}

impl Grant {
    pub(crate) fn new(permissions: Permissions, is_trusted: bool) -> Self {
        let capabilities = if is_trusted { permissions.open.clone() } else { Capabilities::default() };
        Self { permissions, is_trusted, capabilities }
    }

    /// What the client may do now.
    pub(crate) fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Whether the client may be told this without having asked.
    pub(crate) fn shows(&self, signal: &Signal) -> bool {
        self.capabilities.allow(signal.audience())
    }

    /// Takes note of the secret, and lets the command through if it is allowed.
    pub(crate) fn admit(&mut self, request: Request) -> Result<Command, Fault> {
        if let Some(secret) = request.secret.as_deref().filter(|secret| !secret.is_empty()) {
            let given = self.permissions.of(secret);
            // With open access, a secret that means nothing here takes nothing away.
            let open = if self.is_trusted { &self.permissions.open } else { &Capabilities::default() };
            self.capabilities = if given == Capabilities::default() { open.clone() } else { given };
        }
        match request.command.needs() {
            Some(any_of) if !self.capabilities.allow(any_of) => {
                let message = format!("this needs the permission `{}`: say the right secret", any_of[0]);
                Err(Fault { signal: Signal::error(request.protocol, message), id: request.id })
            }
            _ => Ok(request.command),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asks(grant: &mut Grant, protocol: &str, command: &str, secret: Option<&str>) -> bool {
        let payload = json!({"graph": "g", "name": "a", "language": "python", "code": "", "id": "a", "port": "p",
            "event": "data", "edges": [], "enable": true, "component": "A"});
        let message = json!({"protocol": protocol, "command": command, "payload": payload, "secret": secret});
        grant.admit(Request::decode(&message.to_string()).unwrap()).is_ok()
    }

    #[test]
    fn open_access_is_everything_but_the_writing_of_code() {
        let mut grant = Grant::new(Permissions::open(), true);
        for (protocol, command) in [
            ("runtime", "packet"),
            ("graph", "addnode"),
            ("network", "start"),
            ("network", "persist"),
            ("network", "edges"),
            ("component", "getsource"),
            ("trace", "dump"),
        ] {
            assert!(asks(&mut grant, protocol, command, None), "{protocol}:{command}");
        }
        assert!(!asks(&mut grant, "component", "source", None));
        assert!(asks(&mut grant, "graph", "clear", Some("unknown")), "an unneeded secret does no harm");
    }

    #[test]
    fn a_page_of_a_foreign_site_gets_nothing_without_a_secret() {
        let mut grant = Grant::new(Permissions::open(), false);
        assert!(!asks(&mut grant, "graph", "addnode", None));
        assert!(asks(&mut grant, "runtime", "getruntime", None));
        assert!(grant.capabilities().names().is_empty());
    }

    #[test]
    fn a_secret_allows_what_it_stands_for_and_nothing_else() {
        let text = r#"{"view": ["graph:readonly", "network:status"], "": ["protocol:component"]}"#;
        let mut grant = Grant::new(Permissions::parse(text).unwrap(), true);
        assert!(asks(&mut grant, "component", "list", None));
        assert!(!asks(&mut grant, "network", "getstatus", None));
        assert!(asks(&mut grant, "network", "getstatus", Some("view")));
        assert!(!asks(&mut grant, "graph", "addnode", Some("view")));
        assert!(!asks(&mut grant, "component", "list", Some("view")));
        assert!(grant.shows(&Signal::new(crate::protocol::Protocol::Graph, "addnode", json!({}))));
        assert!(!asks(&mut grant, "network", "getstatus", Some("vieW")), "a wrong secret takes it away");
    }

    #[test]
    fn the_network_permission_implies_its_parts() {
        let mut grant = Grant::new(Permissions::parse(r#"{"s": ["protocol:network"]}"#).unwrap(), true);
        for command in ["start", "stop", "getstatus", "edges", "debug"] {
            assert!(asks(&mut grant, "network", command, Some("s")), "{command}");
        }
        assert!(!asks(&mut grant, "network", "persist", Some("s")));
    }

    #[test]
    fn unknown_capabilities_are_named() {
        let error = Permissions::parse(r#"{"s": ["protocol:grapf"]}"#).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("`protocol:grapf` is no capability"), "{source}");
    }
}
