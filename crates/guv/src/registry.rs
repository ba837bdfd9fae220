//! The sources and actuators that there are, and which of them serve a role.

use std::sync::Arc;

use guv_model::{Part, Role, RoleConfig};

use crate::{Actuator, Source};

/// The sources and actuators that there are. It is built where the program starts; nothing else names one.
#[derive(Clone, Default)]
pub struct Registry {
    sources: Vec<(&'static str, Arc<dyn Source>)>,
    actuators: Vec<(&'static str, Arc<dyn Actuator>)>,
}

/// Which source and actuator serve a role, as indices into the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) source: usize,
    /// `None` only in a dry run.
    pub(crate) actuator: Option<usize>,
}

/// A role that cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("role `{role}` has no {kind}: {}", reasons.join("; "))]
pub struct Unserved {
    /// The role.
    pub role: Role,
    /// "source" or "actuator".
    pub kind: &'static str,
    /// Why each of them declined.
    pub reasons: Vec<String>,
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a source, after those added before.
    pub fn with_source(mut self, name: &'static str, source: Arc<dyn Source>) -> Self {
        self.sources.push((name, source));
        self
    }

    /// Adds an actuator, after those added before.
    pub fn with_actuator(mut self, name: &'static str, actuator: Arc<dyn Actuator>) -> Self {
        self.actuators.push((name, actuator));
        self
    }

    pub(crate) fn source(&self, index: usize) -> &Arc<dyn Source> {
        &self.sources[index].1
    }

    pub(crate) fn actuator(&self, index: usize) -> &Arc<dyn Actuator> {
        &self.actuators[index].1
    }

    /// Finds a source and an actuator for a role. In a dry run the actuator may be missing.
    pub(crate) fn assign(&self, role: &RoleConfig, dry_run: bool) -> Result<Assignment, Unserved> {
        let unserved = |kind, reasons| Unserved { role: role.role.clone(), kind, reasons };
        let source = first(
            role.source.as_ref(),
            self.sources.iter().map(|(name, source)| (*name, || source.accepts(role))),
        )
        .map_err(|reasons| unserved("source", reasons))?;
        let actuator = first(
            role.actuator.as_ref(),
            self.actuators.iter().map(|(name, actuator)| (*name, || actuator.accepts(role))),
        );
        let actuator = match actuator {
            Ok(index) => Some(index),
            Err(_) if dry_run => None,
            Err(reasons) => return Err(unserved("actuator", reasons)),
        };
        Ok(Assignment { source, actuator })
    }
}

/// The index of the one that is wanted, else of the first that accepts; else why each declined.
fn first<F: FnOnce() -> Result<(), String>>(
    wanted: Option<&Part>,
    offers: impl Iterator<Item = (&'static str, F)>,
) -> Result<usize, Vec<String>> {
    let mut reasons = Vec::new();
    let mut names = Vec::new();
    for (index, (name, accepts)) in offers.enumerate() {
        names.push(name);
        if wanted.is_some_and(|wanted| wanted.kind() != name) {
            continue;
        }
        match accepts() {
            Ok(()) => return Ok(index),
            Err(reason) => reasons.push(format!("{name}: {reason}")),
        }
    }
    if reasons.is_empty() {
        reasons.push(match (wanted, names.as_slice()) {
            (Some(wanted), [_, ..]) => {
                format!("`{}` is not to be had here; there are {}", wanted.kind(), names.join(", "))
            }
            _ => "none is registered".to_owned(),
        });
    }
    Err(reasons)
}
