//! What the scaling configuration promises, for the summary to be held against.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use guv_model::{Config, Environment};

/// The promise for one role.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Within which an image should be done.
    pub(crate) deadline: Duration,
    /// The most workers.
    pub(crate) maximum: u32,
    /// Images that a worker has in hand at once.
    pub(crate) concurrency: u32,
}

impl Plan {
    /// Reads what `path` says of `role`.
    pub(crate) fn read(path: &Path, role: &str) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("{} cannot be read; name the service's folder with --service", path.display())
        })?;
        let (config, _) = Config::parse(&text, &Environment::default(), &[])
            .runnable()
            .with_context(|| format!("{} is no scaling configuration", path.display()))?;
        let role = config
            .role(&guv_model::Role::new(role))
            .with_context(|| format!("{} says nothing of the role `{role}`", path.display()))?;
        Ok(Self {
            deadline: role.deadline,
            maximum: role.limits.maximum,
            concurrency: role.concurrency.get(),
        })
    }
}
