//! Where the configuration of an application is read, tried and changed.

use std::sync::Arc;

use axum::http::StatusCode;
use guv_model::{Config, Diagnostic, Part, RoleConfig};

use super::apps::{Apps, Fleet, Governed, Refused, now};
use super::error::Refusal;
use super::file::FileConfig;
use super::store::{App, Version};
use crate::config::Loaded;

/// The configuration of one application.
pub(super) enum Desk {
    /// A service keeps it.
    Kept(Arc<Fleet>, Box<App>),
    /// It is in a file.
    File(Arc<FileConfig>, Governed),
}

impl Desk {
    /// The newest text and its version; nothing and 0 where there is none yet.
    pub(super) fn text(&self) -> Result<(i64, String), Refusal> {
        match self {
            Self::Kept(fleet, app) => Ok(fleet.store.text(&app.id, None)?.unwrap_or_default()),
            Self::File(file, _) => {
                let newest = file.versions()?.first().map_or(0, |version| version.version);
                Ok((newest, file.text()?))
            }
        }
    }

    /// Reads a text as the configuration, without taking it into force.
    pub(super) fn read(&self, text: &str) -> Result<Loaded, crate::config::Error> {
        match self {
            Self::Kept(fleet, app) => fleet.read(app, text),
            Self::File(file, _) => (file.read)(text),
        }
    }

    /// What is to be said about a text, without taking it into force; `Err` where it could not be.
    pub(super) fn check(&self, text: &str) -> Result<Result<Vec<Diagnostic>, Vec<Diagnostic>>, Refusal> {
        let checked = match self {
            Self::Kept(fleet, app) => fleet.check(app, text),
            Self::File(file, governed) => check_file(file, governed, text),
        };
        match checked {
            Ok(loaded) => Ok(Ok(loaded.remarks)),
            Err(refused) => Ok(Err(refused.diagnostics(text)?)),
        }
    }

    /// Takes a text into force, and keeps it as the newest version.
    pub(super) async fn take(&self, apps: &Apps, who: &str, text: &str) -> Result<i64, Refusal> {
        match self {
            Self::Kept(fleet, app) => Ok(fleet.take(apps, &app.id, who, text).await?),
            Self::File(file, governed) => {
                let config = (file.read)(text).map_err(Refused::Config)?.config;
                let _one_at_a_time = file.changes.lock().await;
                let before = governed.handle.config();
                runs_nothing_new(&before, &config)?;
                governed.handle.reload(config).await.map_err(Refused::Governor)?;
                match file.write(text, who, now()) {
                    Ok(version) => Ok(version),
                    Err(error) => {
                        // What cannot be kept is not in force either.
                        governed.handle.reload((*before).clone()).await.map_err(Refused::Governor)?;
                        Err(error.into())
                    }
                }
            }
        }
    }

    /// Every version, newest first.
    pub(super) fn versions(&self) -> Result<Vec<Version>, Refusal> {
        match self {
            Self::Kept(fleet, app) => Ok(fleet.store.versions(&app.id)?),
            Self::File(file, _) => Ok(file.versions()?),
        }
    }

    /// The text of a version.
    pub(super) fn version(&self, number: i64) -> Result<String, Refusal> {
        let found = match self {
            Self::Kept(fleet, app) => fleet.store.text(&app.id, Some(number))?.map(|(_, text)| text),
            Self::File(file, _) => file.version(number)?,
        };
        found.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, format!("there is no version {number}")))
    }
}

fn check_file(file: &FileConfig, governed: &Governed, text: &str) -> Result<Loaded, Refused> {
    let loaded = (file.read)(text).map_err(Refused::Config)?;
    runs_nothing_new(&governed.handle.config(), &loaded.config)?;
    governed.handle.check(&loaded.config).map_err(Refused::Governor)?;
    Ok(loaded)
}

/// Whether whatever a configuration would run on this machine is in the one before.
fn runs_nothing_new(before: &Config, config: &Config) -> Result<(), Refused> {
    match config.roles.iter().find(|role| commands(role).any(|new| !names(before, new))) {
        Some(role) => Err(Refused::Runs(role.role.clone())),
        None => Ok(()),
    }
}

/// What runs something on this machine.
const LOCAL: [&str; 4] = ["command", "processes", "systemd", "docker"];

/// The sources and actuators of a role that run what the configuration says.
fn commands(role: &RoleConfig) -> impl Iterator<Item = &Part> {
    [&role.source, &role.actuator].into_iter().flatten().filter(|part| LOCAL.contains(&part.kind()))
}

/// Whether a configuration has exactly this one already.
fn names(config: &Config, wanted: &Part) -> bool {
    config.roles.iter().flat_map(commands).any(|part| part == wanted)
}
