//! Components that are written or change while the network runs.

use std::collections::BTreeSet;

use msgflo_coordinator::{Fingerprint, Library};
use msgflo_core::{ComponentName, Role};
use serde_json::Value;

use super::Hub;
use super::client::ClientId;
use crate::protocol::{Protocol, Signal, Source};

impl Hub {
    /// Writes a component's source, and has the nodes that use it run it.
    pub(super) async fn set_source(
        &mut self,
        from: ClientId,
        id: Option<&Value>,
        source: &Source,
    ) -> Result<(), String> {
        let name = match &source.library {
            Some(library) if !source.name.contains('/') => format!("{library}/{}", source.name),
            _ => source.name.clone(),
        };
        let component = ComponentName::from(name);
        let written = self.library().write_source(&component, &source.language, &source.code);
        written.map_err(|error| match std::error::Error::source(&error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        })?;
        let now = self.library_fingerprint().await;
        self.reload(now).await?;
        let participants = self.coordinator.participants().await.map_err(|error| error.to_string())?;
        let signal = crate::components::one(&component, self.library(), &participants);
        self.reply(from, id, &signal);
        self.tell_others(Some(from), &signal);
        self.restart(&BTreeSet::from([self.library().full_name(&component)])).await;
        Ok(())
    }

    pub(super) async fn library_fingerprint(&self) -> Fingerprint {
        let library = self.library().clone();
        tokio::task::spawn_blocking(move || library.fingerprint()).await.unwrap_or_default()
    }

    /// Reads the library again if its files are no longer what they were.
    pub(super) async fn reload_when_changed(&mut self) {
        let now = self.library_fingerprint().await;
        if now == self.fingerprint {
            return;
        }
        let known = &self.fingerprint;
        let changed = now.iter().filter(|(path, what)| known.get(*path) != Some(what)).map(|(path, _)| path);
        let changed: BTreeSet<_> = changed.cloned().collect();
        if let Err(message) = self.reload(now).await {
            // The old one stays in force.
            tracing::error!(message, "the component library could not be read again");
            self.tell_others(None, &Signal::error(Protocol::Component, message));
            return;
        }
        let is_changed = |name: &&ComponentName| {
            let file = self.library().recipe(name).and_then(|recipe| recipe.file.as_ref());
            file.is_some_and(|file| {
                changed.iter().any(|path| std::path::absolute(path).is_ok_and(|path| path == *file))
            })
        };
        let components: BTreeSet<ComponentName> =
            self.library().components().filter(is_changed).cloned().collect();
        if let Ok(participants) = self.coordinator.participants().await {
            let signals: Vec<Signal> = components
                .iter()
                .map(|component| crate::components::one(component, self.library(), &participants))
                .collect();
            signals.iter().for_each(|signal| self.tell_others(None, signal));
        }
        self.restart(&components).await;
    }

    /// Reads the library again, whose files are as `now` says.
    async fn reload(&mut self, now: Fingerprint) -> Result<(), String> {
        self.fingerprint = now;
        let origin = self.library().origin().clone();
        let opened = tokio::task::spawn_blocking(move || Library::open(origin)).await;
        self.editor.library =
            opened.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        tracing::info!("the component library was read again");
        self.stale.desired = true;
        Ok(())
    }

    /// Has the nodes of these components run by new processes.
    async fn restart(&mut self, components: &BTreeSet<ComponentName>) {
        let mut roles: Vec<Role> = Vec::new();
        for part in self.graphs.parts() {
            for (node, process) in &part.graph.processes {
                let component = self.library().full_name(&process.component.as_str().into());
                if components.contains(&component) {
                    roles.push(part.role(node.as_str()));
                }
            }
        }
        // The coordinator has to know the new commands first.
        if self.flush().await.is_ok() && !roles.is_empty() {
            // If it has ended, so will we.
            let _ = self.coordinator.restart(roles).await;
        }
    }
}
