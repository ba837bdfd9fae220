//! The governor of `msgflo run --scale`: its history, the file that it is configured by, and its interface beside ours.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use guv::Recorder;
use guv::governor::{self, Governor, Handle};
use guv::history::{History, Retention};
use guv::service::{FileConfig, Gate, Governed, Local, May};
use msgflo_coordinator::{Coordinator, Desired};
use msgflo_server::{Permissions, Standing};
use tokio_util::sync::CancellationToken;

use crate::broker::Connected;
use crate::outcome::{Stop, because};
use crate::scale;

/// A governor that runs.
pub(crate) struct Scaler {
    pub(crate) handle: Handle,
    history: Option<History>,
    file: FileConfig,
}

/// What a governor is made from.
pub(crate) struct Scaling {
    pub(crate) config: guv::Config,
    /// The file that the configuration is in.
    pub(crate) path: PathBuf,
    /// What the network is to be: whose workers can be scaled.
    pub(crate) desired: Desired,
}

impl Scaling {
    /// Reads the configuration for the network that is desired.
    pub(crate) fn load(path: &Path, desired: &Desired) -> Result<Self, Stop> {
        let config = scale::load(path, desired)?;
        Ok(Self { config, path: path.to_owned(), desired: desired.clone() })
    }

    /// Begins to govern. `state` is the folder where things are remembered.
    pub(crate) async fn start(
        self,
        coordinator: &Coordinator,
        connected: &Connected,
        state: &Path,
        stop: CancellationToken,
    ) -> Result<Scaler, Stop> {
        let Self { config, path, desired } = self;
        let network = coordinator.handle();
        for role in &config.roles {
            let minimum = role.limits.bound(0);
            network.scale(role.worker.as_str().into(), minimum).await?;
        }
        let source = scale::Queues::watch(connected, network.clone()).await?;
        let registry = guv::Registry::new()
            .with_source("broker", Arc::new(source))
            .with_actuator("processes", Arc::new(scale::Workers::new(network)));
        let history = history(state);
        let recorders = history.iter().map(|history| Arc::new(history.clone()) as Arc<dyn Recorder>);
        let options = governor::Options { recorders: recorders.collect(), ..governor::Options::default() };
        let handle = Governor::start(config, registry, options, stop)
            .map_err(|error| Stop::config(because(&error)))?;
        let name = path.display().to_string();
        let read = move |text: &str| scale::read(&name, text, &desired);
        let file = FileConfig::new(path, state.join("scaling.versions"), Arc::new(read));
        Ok(Scaler { handle, history, file })
    }
}

impl Scaler {
    /// Its interface, for those to whom the network's secrets allow as much.
    pub(crate) fn interface(
        self,
        network: &str,
        permissions: Permissions,
        origins: Vec<String>,
    ) -> axum::Router {
        let gate: Gate = Arc::new(move |headers| {
            permissions.standing(headers, &origins).map(|standing| match standing {
                Standing::Watch => May::Read,
                Standing::Control => May::Write,
            })
        });
        let governed = Governed { handle: self.handle, history: self.history };
        Local { id: network.to_owned(), governed, gate, file: Some(self.file) }.router()
    }
}

/// The history, unless it cannot be had, which is said and stops nothing.
fn history(state: &Path) -> Option<History> {
    let opened = std::fs::create_dir_all(state).map_err(|error| error.to_string()).and_then(|()| {
        History::open(&state.join("scaling.sqlite"), Retention::default())
            .map_err(|error| because(&error).to_string())
    });
    match opened {
        Ok(history) => {
            eprintln!("scaling: {}", state.join("scaling.sqlite").display());
            Some(history)
        }
        Err(error) => {
            tracing::warn!(folder = %state.display(), error, "no history of the scaling is kept");
            None
        }
    }
}
