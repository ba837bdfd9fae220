//! What somebody may do with an interface that is served beside ours, and has permissions of its own.

use axum::http::HeaderMap;

use crate::access::Permissions;
use crate::protocol::Capability;

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// See how the network is: `network:status`.
    Watch,
    /// Change what it does: `network:control`.
    Control,
}

impl Permissions {
    /// What whoever sends these headers may do; `origins` are those of pages that count as our own.
    pub fn standing(&self, headers: &HeaderMap, origins: &[String]) -> Option<Standing> {
        let allows = |capability| self.admit(headers, origins, &[capability]);
        if allows(Capability::NetworkControl) {
            Some(Standing::Control)
        } else {
            allows(Capability::NetworkStatus).then_some(Standing::Watch)
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header::{AUTHORIZATION, ORIGIN};

    use super::*;

    #[test]
    fn whoever_may_control_may_watch_and_pages_of_others_get_nothing_without_a_secret() {
        let asked = |name, value: &str| HeaderMap::from_iter([(name, value.parse().unwrap())]);
        let some = Permissions::parse(r#"{"look": ["network:status"], "do": ["protocol:network"]}"#).unwrap();
        assert_eq!(some.standing(&asked(AUTHORIZATION, "Bearer look"), &[]), Some(Standing::Watch));
        assert_eq!(some.standing(&asked(AUTHORIZATION, "Bearer do"), &[]), Some(Standing::Control));
        assert_eq!(some.standing(&HeaderMap::new(), &[]), None);
        let open = Permissions::open();
        assert_eq!(open.standing(&HeaderMap::new(), &[]), Some(Standing::Control));
        assert_eq!(open.standing(&asked(ORIGIN, "https://elsewhere.example"), &[]), None);
        let ours = ["https://elsewhere.example".to_owned()];
        assert_eq!(
            open.standing(&asked(ORIGIN, "https://elsewhere.example"), &ours),
            Some(Standing::Control)
        );
    }
}
