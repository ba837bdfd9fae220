//! The applications that are governed, and what is asked of all of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use guv_model::{AppName, Environment, Secret, Timestamp};
use tokio_util::sync::CancellationToken;

use super::store::{App, Store};
use crate::config::Loaded;
use crate::governor::{Governor, Handle, Options};
use crate::history::{History, Retention};
use crate::{BoxError, Config, Recorder, Registry};

/// Makes the sources and actuators for one application.
pub type MakeRegistry = Arc<dyn Fn() -> Result<Registry, BoxError> + Send + Sync>;

/// An application that is governed.
#[derive(Clone)]
pub struct Governed {
    /// The governor.
    pub handle: Handle,
    /// Its decisions, where they are kept.
    pub history: Option<History>,
}

/// All of them, by id.
#[derive(Default)]
pub(super) struct Apps(RwLock<BTreeMap<String, Governed>>);

impl Apps {
    pub(super) fn get(&self, id: &str) -> Option<Governed> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    pub(super) fn all(&self) -> Vec<(String, Governed)> {
        let apps = self.0.read().unwrap_or_else(PoisonError::into_inner);
        apps.iter().map(|(id, app)| (id.clone(), app.clone())).collect()
    }

    pub(super) fn put(&self, id: &str, app: Governed) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), app);
    }

    fn take(&self, id: &str) -> Option<Governed> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(id)
    }
}

/// The applications of a service: kept in a store, each with a governor and a history of its own.
pub(super) struct Fleet {
    pub(super) store: Store,
    pub(super) folder: PathBuf,
    pub(super) registry: MakeRegistry,
    pub(super) cancel: CancellationToken,
    /// One token for each governor, to end it alone.
    governors: RwLock<BTreeMap<String, CancellationToken>>,
}

/// Why a configuration is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// All that is wrong with it.
    #[error("{0}")]
    Config(crate::config::Error),
    /// It can be read, but not governed.
    #[error("{0}")]
    Governor(crate::governor::Error),
    #[error("{0}")]
    Registry(BoxError),
    #[error("the store failed")]
    Store(#[from] super::store::Error),
}

impl Fleet {
    pub(super) fn new(
        store: Store,
        folder: PathBuf,
        registry: MakeRegistry,
        cancel: CancellationToken,
    ) -> Self {
        Self { store, folder, registry, cancel, governors: RwLock::default() }
    }

    /// Reads a configuration as that of an application.
    pub(super) fn read(&self, app: &App, text: &str) -> Result<Loaded, crate::config::Error> {
        let environment = Environment {
            app: Some(AppName::new(&app.platform_app)),
            api_key: app.platform_token.as_ref().map(Secret::new),
            ..Environment::default()
        };
        let name = format!("{}.guv.yaml", app.id);
        crate::config::load(&name, text, &environment, &[])
    }

    /// Takes a configuration into force: into the governor that there is, else into a new one.
    pub(super) async fn govern(&self, apps: &Apps, app: &App, config: Config) -> Result<(), Refused> {
        if let Some(governed) = apps.get(&app.id) {
            return governed.handle.reload(config).await.map_err(Refused::Governor);
        }
        let history = self.folder.join(format!("{}.history.sqlite", app.id));
        let history = match History::open(&history, Retention::default()) {
            Ok(history) => Some(history),
            Err(error) => {
                tracing::error!(
                    app = app.id,
                    error = crate::record::with_causes(&error),
                    "no history is kept"
                );
                None
            }
        };
        let recorders = history.iter().map(|history| Arc::new(history.clone()) as Arc<dyn Recorder>);
        let options = Options { recorders: recorders.collect(), ..Options::default() };
        let registry = (self.registry)().map_err(Refused::Registry)?;
        let cancel = self.cancel.child_token();
        let handle = Governor::start(config, registry, options, cancel.clone()).map_err(Refused::Governor)?;
        self.governors.write().unwrap_or_else(PoisonError::into_inner).insert(app.id.clone(), cancel);
        apps.put(&app.id, Governed { handle, history });
        Ok(())
    }

    /// Governs everything that the store holds. An application that cannot be governed is said and left out.
    pub(super) async fn resume(&self, apps: &Apps) -> Result<(), super::store::Error> {
        for app in self.store.apps()? {
            let Some((_, text)) = self.store.text(&app.id, None)? else { continue };
            let outcome = match self.read(&app, &text) {
                Ok(loaded) => self.govern(apps, &app, loaded.config).await,
                Err(error) => Err(Refused::Config(error)),
            };
            if let Err(refused) = outcome {
                tracing::error!(app = app.id, error = crate::record::with_causes(&refused), "not governed");
            }
        }
        Ok(())
    }

    /// Ends the governor of an application and forgets it. Its history stays.
    pub(super) async fn remove(&self, apps: &Apps, id: &str) -> Result<(), super::store::Error> {
        self.store.remove_app(id)?;
        let cancel = self.governors.write().unwrap_or_else(PoisonError::into_inner).remove(id);
        if let (Some(cancel), Some(governed)) = (cancel, apps.take(id)) {
            cancel.cancel();
            // It ends either way; a crash has been logged.
            let _ = governed.handle.finished().await;
        }
        Ok(())
    }
}

/// Now.
pub(super) fn moment() -> Timestamp {
    Timestamp::since_epoch(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Now, in Unix seconds.
pub(super) fn now() -> i64 {
    i64::try_from(moment().as_duration().as_secs()).unwrap_or(i64::MAX)
}
