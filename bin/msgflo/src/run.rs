//! `msgflo run`: a network, from its graph to its end.

use std::fs::{File, TryLockError};
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use msgflo_coordinator::{Choice, Coordinator, Desired, Forward, Library, Options};
use msgflo_server::{Editor, Permissions, Store};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::arguments::{Run, Stream};
use crate::broker::{self, Connected};
use crate::governor::{Scaler, Scaling};
use crate::graphs::{self, Loaded};
use crate::interface::{self, Interface, InterfaceArguments};
use crate::outcome::{Failure, INTERRUPTED, Outcome, Stop, print};
use crate::remarks;
use crate::save::GraphFile;
use crate::signals::Signals;

pub(crate) async fn run(arguments: Run) -> Outcome {
    let path = arguments.graph.as_deref().or(arguments.graph_flag.as_deref());
    let loaded = path.map(|path| Loaded::read(path, true)).transpose()?;
    let library = graphs::library(&arguments.library, path.unwrap_or(Path::new("")))?;
    let choice = graphs::choice(&arguments.only, &arguments.library.ignore);
    let desired = match &loaded {
        Some(loaded) if arguments.interface.auto_save => loaded.desired_as_saved(&library, &choice)?,
        Some(loaded) => loaded.desired(&library, &choice)?,
        None => Desired::default(),
    };
    let scaling = arguments.scale.as_deref().map(|path| Scaling::load(path, &desired)).transpose()?;
    let network =
        arguments.network.clone().unwrap_or_else(|| path.map_or_else(|| "default".to_owned(), name));
    let editor = editor(&arguments.interface, loaded.as_ref(), library, choice, &network)?;
    let interface = Interface::open(&arguments.interface).await?;

    let state = arguments.state.clone().unwrap_or_else(|| state_folder(arguments.network.as_deref(), path));
    let _claimed = claim(&state)?;
    let patience = Duration::from_secs(arguments.wait_timeout);
    let connected = broker::connect_all(&arguments.brokers.broker, &state, patience, &network).await?;
    connected.describe();

    let stop = CancellationToken::new();
    let mut coordinator =
        Coordinator::start(options(&connected, desired, &arguments.forward)?, stop.clone()).await?;
    let _remarks = AbortOnDropHandle::new(tokio::spawn(remarks::log(coordinator.handle())));
    let governor = match scaling {
        Some(scaling) => Some(scaling.start(&coordinator, &connected, &state, stop.child_token()).await?),
        None => None,
    };
    let served = CancellationToken::new();
    let options = Editor { permissions: interface.permissions.clone(), ..editor };
    let options = server(&network, &coordinator, &connected, governor, options, interface.tls.clone());
    // Whoever knows that we are there may ask us to stop.
    let mut signals = Signals::listen()?;
    announce(&interface, &arguments)?;
    let server = tokio::spawn(serve(interface.listener, options, served.clone()));
    let pinging = start_ping(&arguments.interface)?;

    let interrupted = tokio::select! {
        interrupted = signals.stop_asked() => interrupted,
        ended = coordinator.ended() => {
            ended?;
            false
        }
    };
    drop(pinging);
    eprintln!("stopping: participants finish what they have in hand; once more to stop at once");
    stop.cancel();
    let ending = async {
        coordinator.ended().await?;
        served.cancel();
        if let Err(error) = server.await {
            tracing::warn!(%error, "the interface did not end well");
        }
        connected.broker.close().await?;
        if let Some(embedded) = connected.embedded {
            embedded.shutdown().await;
        }
        if let Some(embedded) = connected.embedded_mqtt {
            embedded.shutdown().await;
        }
        Ok::<(), Stop>(())
    };
    tokio::select! {
        ended = ending => ended?,
        _ = signals.stop_asked() => return Ok(ExitCode::from(INTERRUPTED)),
    }
    Ok(if interrupted { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS })
}

/// What editors find.
fn editor(
    arguments: &InterfaceArguments,
    loaded: Option<&Loaded>,
    library: Library,
    choice: Choice,
    network: &str,
) -> Result<Editor, Stop> {
    let saved = loaded.map(GraphFile::of).transpose()?;
    let (store, graph) = saved.map(|(file, graph)| (Arc::new(file) as Arc<dyn Store>, graph)).unzip();
    let id = format!("{}/{network}", library.namespace().unwrap_or("default"));
    Ok(Editor {
        graph: graph.map(|graph| (id, graph)),
        library,
        choice,
        permissions: Permissions::open(),
        origins: arguments.allow_origin.clone(),
        runtime_id: arguments.runtime_id.clone(),
        store,
        auto_save: arguments.auto_save,
    })
}

fn start_ping(arguments: &InterfaceArguments) -> Result<Option<AbortOnDropHandle<()>>, Stop> {
    let Some(url) = arguments.ping_url.clone() else { return Ok(None) };
    let method = arguments.ping_method.to_uppercase().parse().map_err(|_| {
        Stop::config(Failure::new(format!("`{}` is no method of HTTP", arguments.ping_method)))
    })?;
    let every = Duration::from_secs(arguments.ping_interval);
    Ok(Some(AbortOnDropHandle::new(tokio::spawn(interface::ping(url, method, every)))))
}

/// Says where the network is reached.
fn announce(interface: &Interface, arguments: &Run) -> Result<(), Stop> {
    let (http, socket) = interface.urls().map_err(Stop::internal)?;
    eprintln!("page: {http}/");
    eprintln!("status: {http}/api/status");
    if let Some(ide) = &arguments.interface.ide {
        let mut link = url::Url::parse(ide)
            .map_err(|error| Stop::config(Failure::new(format!("--ide {ide} is no URL: {error}"))))?;
        link.set_fragment(Some(&format!("runtime/endpoint?protocol=websocket&address={socket}")));
        eprintln!("editor: {link}");
    }
    if let Some(file) = &arguments.url_file {
        std::fs::write(file, format!("{http}\n")).map_err(|error| {
            Stop::failed(Failure::new(format!("{} cannot be written: {error}", file.display())))
        })?;
    }
    // The one line of data: scripts that start us wait for it.
    print(socket)
}

/// What the coordinator needs to know; also for `setup`.
pub(crate) fn options(connected: &Connected, desired: Desired, forward: &[Stream]) -> Result<Options, Stop> {
    let program = std::env::current_exe().map_err(Stop::internal)?;
    let programs = program.parent().map(Path::to_owned).into_iter().collect();
    Ok(Options {
        broker: connected.broker.clone(),
        desired,
        environment: connected.environment(),
        programs,
        forward: Forward {
            stdout: forward.contains(&Stream::Stdout),
            stderr: forward.contains(&Stream::Stderr),
        },
        guard: (program, &["guard"]),
    })
}

/// The name of a network whose graph is in `path`.
pub(crate) fn name(path: &Path) -> String {
    path.file_stem().map_or_else(|| "default".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// Where it is remembered what is ours, by default: a folder for each network that has a name, and for each graph, by its whole
/// path, since what a graph of the same name has bound elsewhere is not ours to remove.
pub(crate) fn state_folder(network: Option<&str>, graph: Option<&Path>) -> PathBuf {
    let own = match (network, graph) {
        (Some(network), _) => PathBuf::from(network),
        (None, Some(graph)) => {
            let graph = std::fs::canonicalize(graph).unwrap_or_else(|_| graph.to_owned());
            let names = graph.components().filter(|part| matches!(part, Component::Normal(_)));
            Path::new("graphs").join(names.collect::<PathBuf>())
        }
        (None, None) => PathBuf::from("default"),
    };
    let folder =
        |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = folder("XDG_STATE_HOME").or_else(|| folder("HOME").map(|home| home.join(".local/state")));
    base.unwrap_or_else(std::env::temp_dir).join("msgflo").join(own)
}

/// Takes a state folder for as long as the file is open: of two networks each would take the other's bindings for its own,
/// and remove them.
fn claim(state: &Path) -> Result<File, Stop> {
    let failed = |error: std::io::Error| {
        Stop::failed(Failure::new(format!("the folder {} cannot be used: {error}", state.display())))
    };
    std::fs::create_dir_all(state).map_err(failed)?;
    let file = File::create(state.join("lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let what = format!("another `msgflo run` uses the state folder {}", state.display());
            Err(Stop::failed(
                Failure::new(what).help("end it, or say where this network's state is: --state"),
            ))
        }
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn server(
    network: &str,
    coordinator: &Coordinator,
    connected: &Connected,
    governor: Option<Scaler>,
    editor: Editor,
    tls: Option<msgflo_server::Tls>,
) -> msgflo_server::Options {
    let scaling = governor.as_ref().map(|governor| governor.handle.clone()).map(|governor| {
        let snapshot = move || serde_json::to_value(&*governor.snapshot()).unwrap_or_default();
        Arc::new(snapshot) as Arc<dyn Fn() -> serde_json::Value + Send + Sync>
    });
    let further = governor
        .map(|governor| governor.interface(network, editor.permissions.clone(), editor.origins.clone()));
    msgflo_server::Options {
        network: network.to_owned(),
        broker: connected.broker.clone(),
        coordinator: coordinator.handle(),
        scaling,
        editor,
        tls,
        further: further.unwrap_or_default(),
    }
}

async fn serve(listener: TcpListener, options: msgflo_server::Options, token: CancellationToken) {
    if let Err(error) = msgflo_server::serve(listener, options, token).await {
        tracing::error!(%error, "the interface has ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphs_of_one_name_do_not_share_their_state() {
        let folders = ["one", "two"].map(|_| tempfile::tempdir().unwrap());
        let states: Vec<_> = folders
            .iter()
            .map(|folder| {
                let graph = folder.path().join("service.fbp");
                std::fs::write(&graph, "").unwrap();
                state_folder(None, Some(&graph))
            })
            .collect();
        assert_ne!(states[0], states[1]);
        assert!(states[0].ends_with("service.fbp") && !states[0].to_string_lossy().contains(".."));
        assert!(state_folder(Some("shop"), None).ends_with("msgflo/shop"));
    }
}
