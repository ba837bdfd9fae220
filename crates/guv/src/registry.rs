//! The sources and actuators that there are, and which of them serve a role.

use std::sync::Arc;

use guv_model::{Part, Role, RoleConfig};

use crate::{Actuator, Source};

/// The sources and actuators that there are. It is built where the program starts; nothing else names one.
#[derive(Clone, Default)]
pub struct Registry {
    sources: Vec<Entry<dyn Source>>,
    actuators: Vec<Entry<dyn Actuator>>,
}

/// A source or an actuator.
struct Entry<T: ?Sized> {
    name: &'static str,
    /// It serves only roles that name it.
    on_demand: bool,
    part: Arc<T>,
}

impl<T: ?Sized> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self { part: self.part.clone(), ..*self }
    }
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
    pub fn with_source(mut self, name: &'static str, part: Arc<dyn Source>) -> Self {
        self.sources.push(Entry { name, on_demand: false, part });
        self
    }

    /// Adds a source that serves only roles that name it.
    pub fn with_named_source(mut self, name: &'static str, part: Arc<dyn Source>) -> Self {
        self.sources.push(Entry { name, on_demand: true, part });
        self
    }

    /// Adds an actuator, after those added before.
    pub fn with_actuator(mut self, name: &'static str, part: Arc<dyn Actuator>) -> Self {
        self.actuators.push(Entry { name, on_demand: false, part });
        self
    }

    /// Adds an actuator that serves only roles that name it.
    pub fn with_named_actuator(mut self, name: &'static str, part: Arc<dyn Actuator>) -> Self {
        self.actuators.push(Entry { name, on_demand: true, part });
        self
    }

    pub(crate) fn source(&self, index: usize) -> &Arc<dyn Source> {
        &self.sources[index].part
    }

    pub(crate) fn actuator(&self, index: usize) -> &Arc<dyn Actuator> {
        &self.actuators[index].part
    }

    /// The actuators, in the order of their indices.
    pub(crate) fn actuators(&self) -> impl Iterator<Item = &Arc<dyn Actuator>> {
        self.actuators.iter().map(|entry| &entry.part)
    }

    /// Finds a source and an actuator for every role.
    ///
    /// # Errors
    /// All roles that cannot be served.
    pub(crate) fn assign_all(
        &self,
        roles: &[RoleConfig],
        dry_run: bool,
    ) -> Result<Vec<Assignment>, Vec<Unserved>> {
        let (assignments, unserved): (Vec<_>, Vec<_>) =
            roles.iter().map(|role| self.assign(role, dry_run)).partition(Result::is_ok);
        let unserved: Vec<_> = unserved.into_iter().filter_map(Result::err).collect();
        if unserved.is_empty() {
            Ok(assignments.into_iter().filter_map(Result::ok).collect())
        } else {
            Err(unserved)
        }
    }

    /// Finds a source and an actuator for a role. In a dry run the actuator may be missing.
    pub(crate) fn assign(&self, role: &RoleConfig, dry_run: bool) -> Result<Assignment, Unserved> {
        let unserved = |kind, reasons| Unserved { role: role.role.clone(), kind, reasons };
        let source = first(&self.sources, role.source.as_ref(), |source| source.accepts(role))
            .map_err(|reasons| unserved("source", reasons))?;
        let actuator = first(&self.actuators, role.actuator.as_ref(), |actuator| actuator.accepts(role));
        let actuator = match actuator {
            Ok(index) => Some(index),
            Err(_) if dry_run => None,
            Err(reasons) => return Err(unserved("actuator", reasons)),
        };
        Ok(Assignment { source, actuator })
    }
}

/// The index of the one that is wanted, else of the first that accepts; else why each of those declined that could have
/// served the role.
fn first<T: ?Sized>(
    entries: &[Entry<T>],
    wanted: Option<&Part>,
    accepts: impl Fn(&T) -> Result<(), String>,
) -> Result<usize, Vec<String>> {
    let mut reasons = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let asked = match wanted {
            Some(wanted) => wanted.kind() == entry.name,
            None => !entry.on_demand,
        };
        if !asked {
            continue;
        }
        match accepts(&entry.part) {
            Ok(()) => return Ok(index),
            Err(reason) => reasons.push(format!("{}: {reason}", entry.name)),
        }
    }
    if reasons.is_empty() {
        let names: Vec<_> = entries.iter().map(|entry| entry.name).collect();
        reasons.push(match wanted {
            Some(wanted) if !names.is_empty() => {
                format!("`{}` is not to be had here; there are {}", wanted.kind(), names.join(", "))
            }
            _ => "none is registered".to_owned(),
        });
    }
    Err(reasons)
}
