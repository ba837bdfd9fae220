//! `msgflo run`: a network, from its graph to its end.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use guv::governor::{self, Governor};
use msgflo_coordinator::{Coordinator, Desired, Forward, Options};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::arguments::{Run, Stream};
use crate::broker::{self, Connected};
use crate::graphs::{self, Loaded};
use crate::outcome::{Failure, INTERRUPTED, Outcome, Stop, because};
use crate::scale;

pub(crate) async fn run(arguments: Run) -> Outcome {
    let graph = arguments.graph.as_ref().or(arguments.graph_flag.as_ref());
    let graph = graph.ok_or_else(|| Stop::config(Failure::new("no graph was named")))?;
    let loaded = Loaded::read(graph, true)?;
    let library = graphs::library(&arguments.library, graph)?;
    let desired = loaded.desired(&library, &graphs::choice(&arguments.only, &arguments.library.ignore))?;
    let scaling = arguments.scale.as_deref().map(|path| scale::load(path, &desired)).transpose()?;
    let network = arguments.network.clone().unwrap_or_else(|| name(graph));
    let listener = listen(arguments.port).await?;

    let state = arguments.state.clone().unwrap_or_else(|| state_folder(&network));
    let patience = Duration::from_secs(arguments.wait_timeout);
    let connected = broker::connect(arguments.broker.broker.as_deref(), &state, patience).await?;
    eprintln!(
        "broker: {} ({})",
        connected.url,
        if connected.embedded.is_some() { "embedded, in memory" } else { "yours" }
    );

    let stop = CancellationToken::new();
    let mut coordinator =
        Coordinator::start(options(&connected, desired, &arguments.forward)?, stop.clone()).await?;
    let governor = match scaling {
        Some(config) => Some(start_governor(config, &coordinator, &connected, stop.child_token()).await?),
        None => None,
    };
    let served = CancellationToken::new();
    let server = tokio::spawn(serve(
        listener,
        &arguments,
        &network,
        &coordinator,
        &connected,
        governor.as_ref(),
        served.clone(),
    )?);

    let interrupted = tokio::select! {
        interrupted = stop_asked() => interrupted?,
        ended = coordinator.ended() => {
            ended?;
            false
        }
    };
    eprintln!("stopping: participants finish what they have in hand; once more to stop at once");
    stop.cancel();
    tokio::select! {
        ended = coordinator.ended() => ended?,
        _ = stop_asked() => return Ok(ExitCode::from(INTERRUPTED)),
    }
    served.cancel();
    if let Err(error) = server.await {
        tracing::warn!(%error, "the HTTP interface did not end well");
    }
    connected.broker.close().await?;
    if let Some(embedded) = connected.embedded {
        embedded.shutdown().await;
    }
    Ok(if interrupted { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS })
}

/// What the coordinator needs to know; also for `setup`.
pub(crate) fn options(connected: &Connected, desired: Desired, forward: &[Stream]) -> Result<Options, Stop> {
    let program = std::env::current_exe().map_err(Stop::internal)?;
    let programs = program.parent().map(Path::to_owned).into_iter().collect();
    let url = connected.url.expose().to_string();
    Ok(Options {
        broker: connected.broker.clone(),
        desired,
        environment: [("MSGFLO_BROKER".to_owned(), url)].into(),
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

/// Where it is remembered what is ours, by default.
pub(crate) fn state_folder(network: &str) -> PathBuf {
    let folder =
        |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = folder("XDG_STATE_HOME").or_else(|| folder("HOME").map(|home| home.join(".local/state")));
    base.unwrap_or_else(std::env::temp_dir).join("msgflo").join(network)
}

async fn listen(port: u16) -> Result<TcpListener, Stop> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
        let failure = Failure::new(format!("port {port} of 127.0.0.1 cannot be used: {error}"));
        Stop::failed(failure.help("another network may be running; say --port 0 for any free port"))
    })
}

async fn start_governor(
    config: guv::Config,
    coordinator: &Coordinator,
    connected: &Connected,
    stop: CancellationToken,
) -> Result<governor::Handle, Stop> {
    let handle = coordinator.handle();
    for role in &config.roles {
        let minimum = role.limits.bound(0);
        handle.scale(role.worker.as_str().into(), minimum).await?;
    }
    let source = scale::Queues::watch(connected).await?;
    let registry = guv::Registry::new()
        .with_source("broker", Arc::new(source))
        .with_actuator("processes", Arc::new(scale::Workers::new(handle)));
    Governor::start(config, registry, governor::Options::default(), stop)
        .map_err(|error| Stop::config(because(&error)))
}

/// Serves the HTTP interface, and says where it is.
fn serve(
    listener: TcpListener,
    arguments: &Run,
    network: &str,
    coordinator: &Coordinator,
    connected: &Connected,
    governor: Option<&governor::Handle>,
    token: CancellationToken,
) -> Result<impl Future<Output = ()> + Send + use<>, Stop> {
    let address = listener.local_addr().map_err(Stop::internal)?;
    eprintln!("status: http://{address}/api/status");
    if let Some(file) = &arguments.url_file {
        std::fs::write(file, format!("http://{address}\n")).map_err(|error| {
            Stop::failed(Failure::new(format!("{} cannot be written: {error}", file.display())))
        })?;
    }
    let scaling = governor.cloned().map(|governor| {
        let snapshot = move || serde_json::to_value(&*governor.snapshot()).unwrap_or_default();
        Arc::new(snapshot) as Arc<dyn Fn() -> serde_json::Value + Send + Sync>
    });
    let options = msgflo_server::Options {
        network: network.to_owned(),
        broker: connected.broker.address(),
        coordinator: coordinator.handle(),
        scaling,
    };
    Ok(async move {
        if let Err(error) = msgflo_server::serve(listener, options, token).await {
            tracing::error!(%error, "the HTTP interface has ended");
        }
    })
}

/// Resolves when we are asked to stop. Whether by Ctrl-C.
pub(crate) async fn stop_asked() -> Result<bool, Stop> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Stop::internal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Stop::internal)?;
    Ok(tokio::select! {
        _ = terminate.recv() => false,
        _ = interrupt.recv() => true,
    })
}
