//! `msgflo setup`: the connections of a graph, made once.

use std::process::ExitCode;
use std::time::Duration;

use msgflo_coordinator::{Choice, Connection, Coordinator, Desired, EdgeState, PortRef, Routing};
use msgflo_core::{Binding, Broker, Error, QueueName, Role};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::arguments::Setup;
use crate::broker::{self, Connected};
use crate::graphs::{self, Loaded};
use crate::outcome::{Failure, Outcome, Stop, because, print};
use crate::run;
use crate::signals::Signals;

/// How often it is looked whether all is bound.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) async fn setup(arguments: Setup) -> Outcome {
    let loaded = Loaded::read(&arguments.graph, true)?;
    let desired = if arguments.participants {
        let library = graphs::library(&arguments.library, &arguments.graph)?;
        loaded.desired(&library, &graphs::choice(&arguments.only, &arguments.library.ignore))?
    } else {
        // Nothing is started, so that no library is needed.
        let everybody: Vec<Role> =
            loaded.parsed.graph.processes.keys().map(|name| name.as_str().into()).collect();
        let nodes = everybody.into_iter().filter(|role| !is_binding(&loaded, role));
        loaded.desired(&Default::default(), &Choice { ignore: nodes.collect(), ..Choice::default() })?
    };
    let state = run::state_folder(None, Some(&arguments.graph));
    let said =
        broker::chosen(arguments.broker.broker.as_deref()).unwrap_or_else(|| "amqp://localhost".to_owned());
    let connected = broker::connect(Some(&said), &state, Duration::from_secs(arguments.timeout)).await?;
    let outcome = if arguments.discover || arguments.participants {
        discover(&arguments, desired, &connected).await
    } else {
        by_convention(&arguments, &desired, &*connected.broker).await
    };
    connected.broker.close().await?;
    outcome
}

fn is_binding(loaded: &Loaded, role: &Role) -> bool {
    let process = loaded.parsed.graph.processes.get(role.as_str());
    process.is_some_and(|process| msgflo_coordinator::is_binding(process.component.as_str()))
}

/// Binds queues called `role.PORT`.
async fn by_convention(arguments: &Setup, desired: &Desired, broker: &dyn Broker) -> Outcome {
    for connection in &desired.connections {
        broker.add_binding(&conventional(connection)?).await.map_err(|error| match error {
            Error::NotFound { .. } => {
                let help = "--discover takes the names from what participants announce, where they are called otherwise";
                Stop::failed(because(&error).help(help))
            }
            error => error.into(),
        })?;
        say(connection)?;
    }
    if arguments.forever {
        Signals::listen()?.stop_asked().await;
    }
    Ok(ExitCode::SUCCESS)
}

/// Binds what participants announce, until all is bound or the time is over.
async fn discover(arguments: &Setup, desired: Desired, connected: &Connected) -> Outcome {
    let connections = desired.connections.clone();
    let stop = CancellationToken::new();
    let mut coordinator =
        Coordinator::start(run::options(connected, desired, &arguments.forward)?, stop.clone()).await?;
    let handle = coordinator.handle();
    let deadline = Instant::now() + Duration::from_secs(arguments.timeout);
    let mut bound = loop {
        let status = handle.status().await?;
        let open: Vec<_> = status.edges.iter().filter(|edge| edge.state != EdgeState::Bound).collect();
        if open.is_empty() {
            let signals = arguments.forever.then(Signals::listen).transpose()?;
            connections.iter().try_for_each(say)?;
            break Ok(signals);
        }
        if Instant::now() >= deadline {
            let reasons = open.iter().map(|edge| {
                format!(
                    "  {} -> {}: {}",
                    edge.source,
                    edge.target,
                    edge.reason.as_deref().unwrap_or("no answer")
                )
            });
            let message =
                format!("not everything could be connected:\n{}", reasons.collect::<Vec<_>>().join("\n"));
            break Err(Stop::failed(
                Failure::new(message).help("start what is missing, or say a longer --timeout"),
            ));
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            ended = coordinator.ended() => ended?,
        }
    };
    if let Ok(Some(signals)) = &mut bound {
        signals.stop_asked().await;
    }
    stop.cancel();
    coordinator.ended().await?;
    bound.map(|_| ExitCode::SUCCESS)
}

fn conventional(connection: &Connection) -> Result<Binding, Stop> {
    let (source, target) = (queue(&connection.source), queue(&connection.target));
    Ok(match &connection.routing {
        Routing::PubSub => Binding::PubSub { source, target },
        Routing::RoundRobin { deadletter, retry } => {
            Binding::RoundRobin { source, target, deadletter: deadletter.as_ref().map(queue), retry: *retry }
        }
        Routing::Impossible(reason) => return Err(Stop::config(Failure::new(reason.clone()))),
    })
}

fn queue(end: &PortRef) -> QueueName {
    QueueName::conventional(&end.role, &end.port)
}

/// A line a binding, in the form that scripts read.
fn say(connection: &Connection) -> Result<(), Stop> {
    let Connection { source, target, routing } = connection;
    match routing {
        Routing::PubSub => print(format_args!("PUBSUB: \t {source} -> {target}")),
        Routing::RoundRobin { deadletter, .. } => {
            print(format_args!("ROUNDROBIN:\t {source} -> {target}"))?;
            match deadletter {
                Some(deadletter) => print(format_args!("DEADLETTER:\t {target} -> {deadletter}")),
                None => Ok(()),
            }
        }
        // Nothing was bound.
        Routing::Impossible(_) => Ok(()),
    }
}
