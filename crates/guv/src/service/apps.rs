//! The applications that are governed, and what is asked of all of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use guv_model::{AppName, Diagnostic, Environment, Role, Secret, Severity, Timestamp};
use tokio::sync::Mutex;
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
    /// Held while something that is kept is changed: what is kept last is what is in force.
    changes: Mutex<()>,
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
    /// It would use the platform's key for something else than what it was given for.
    #[error(
        "the role `{role}` is of the app `{asked}`, and the key that is kept is for `{app}`; set its `apikey:`"
    )]
    Foreign { role: Role, asked: AppName, app: String },
    /// It would run something on the machine of a guv that has its configuration from a file.
    #[error("the role `{0}` would run something here that is not in the file; that is written there by hand")]
    Runs(Role),
    #[error("there is no application `{0}` any more")]
    Gone(String),
    #[error("the store failed")]
    Store(#[from] super::store::Error),
}

impl Refused {
    /// What is to be said about the text, where it is the reason.
    pub(super) fn diagnostics(self, text: &str) -> Result<Vec<Diagnostic>, Self> {
        let at = |role: &Role, message: String, help: &str| Diagnostic {
            severity: Severity::Error,
            message,
            label: "this role".to_owned(),
            help: help.to_owned(),
            place: guv_model::place_of(text, role).unwrap_or_default(),
        };
        Ok(match &self {
            Self::Config(error) => error.diagnostics.clone(),
            Self::Governor(crate::governor::Error::Unserved(unserved)) => {
                let help = "name another one, or complete what it asks for";
                unserved.iter().map(|unserved| at(&unserved.role, unserved.to_string(), help)).collect()
            }
            Self::Foreign { role, .. } => vec![at(role, self.to_string(), "or leave the role's `app:` out")],
            Self::Runs(role) => vec![at(role, self.to_string(), "write it into the file by hand")],
            _ => return Err(self),
        })
    }
}

impl Fleet {
    pub(super) fn new(
        store: Store,
        folder: PathBuf,
        registry: MakeRegistry,
        cancel: CancellationToken,
    ) -> Self {
        Self { store, folder, registry, cancel, governors: RwLock::default(), changes: Mutex::default() }
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

    /// The same, if it uses the platform's key only for the app that the key was given for.
    fn usable(&self, app: &App, text: &str) -> Result<Loaded, Refused> {
        let loaded = self.read(app, text).map_err(Refused::Config)?;
        let is_kept = |key: &Secret| app.platform_token.as_deref() == Some(key.reveal());
        for role in loaded.config.roles.iter().filter(|role| role.api_key.as_ref().is_some_and(is_kept)) {
            if let Some(asked) = role.app.as_ref().filter(|asked| asked.as_str() != app.platform_app) {
                let (role, asked) = (role.role.clone(), asked.clone());
                return Err(Refused::Foreign { role, asked, app: app.platform_app.clone() });
            }
        }
        Ok(loaded)
    }

    /// Reads a configuration, if it could be taken into force.
    pub(super) fn check(&self, app: &App, text: &str) -> Result<Loaded, Refused> {
        let loaded = self.usable(app, text)?;
        let registry = (self.registry)().map_err(Refused::Registry)?;
        let served = registry.assign_all(&loaded.config.roles, false);
        served.map_err(|unserved| Refused::Governor(crate::governor::Error::Unserved(unserved)))?;
        Ok(loaded)
    }

    /// The application as it is kept.
    fn app(&self, id: &str) -> Result<App, Refused> {
        let kept = self.store.apps()?.into_iter().find(|app| app.id == id);
        kept.ok_or_else(|| Refused::Gone(id.to_owned()))
    }

    /// Keeps a text as the newest version of an application's configuration, and takes it into force. What is refused is not
    /// kept.
    pub(super) async fn take(&self, apps: &Apps, id: &str, who: &str, text: &str) -> Result<i64, Refused> {
        let _one_at_a_time = self.changes.lock().await;
        let app = self.app(id)?;
        let config = self.usable(&app, text)?.config;
        let version = self.store.add_version(id, who, now(), text)?;
        if let Err(refused) = self.govern(apps, &app, config).await {
            self.store.remove_version(id, version)?;
            return Err(refused);
        }
        Ok(version)
    }

    /// Keeps what is said of an application's platform, and takes the newest configuration into force with it. Its version.
    pub(super) async fn set(&self, apps: &Apps, app: &App) -> Result<Option<i64>, Refused> {
        let _one_at_a_time = self.changes.lock().await;
        self.store.put_app(app)?;
        // What is kept counts: a token that was left out may be there already.
        let app = self.app(&app.id)?;
        let Some((version, text)) = self.store.text(&app.id, None)? else { return Ok(None) };
        let config = self.usable(&app, &text)?.config;
        self.govern(apps, &app, config).await?;
        Ok(Some(version))
    }

    /// Takes a configuration into force: into the governor that there is, else into a new one.
    async fn govern(&self, apps: &Apps, app: &App, config: Config) -> Result<(), Refused> {
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
            let outcome = match self.usable(&app, &text) {
                Ok(loaded) => self.govern(apps, &app, loaded.config).await,
                Err(refused) => Err(refused),
            };
            if let Err(refused) = outcome {
                tracing::error!(app = app.id, error = crate::record::with_causes(&refused), "not governed");
            }
        }
        Ok(())
    }

    /// Ends the governor of an application and forgets it. Its history stays.
    pub(super) async fn remove(&self, apps: &Apps, id: &str) -> Result<(), super::store::Error> {
        let _one_at_a_time = self.changes.lock().await;
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
