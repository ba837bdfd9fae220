//! How participants start: connect, make the ports, take messages, announce.

use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use msgflo_core::{BrokerUrl, Client, InportOptions, Registry};
use tokio_util::sync::CancellationToken;

use crate::announcer::Announcer;
use crate::cast::{Cast, Player};
use crate::context::Names;
use crate::failure::chain;
use crate::job::Processor;
use crate::reports::{Reporter, Reports, reports};
use crate::running::{Running, Tasks};
use crate::worker::Worker;
use crate::{Error, Options, Participant};

/// The longest pause between two attempts to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The transports that participants have.
fn transports() -> Registry {
    Registry::default().with(msgflo_transports::Amqp).with(msgflo_transports::Mqtt)
}

/// Connects to the broker that `options` name and starts `participants`. Returns when they take messages and have announced
/// themselves; while the broker is away, it tries again.
///
/// [`run`](crate::run) is this with a command line, a log and signals. Use this one to run something beside the
/// participants, such as an HTTP server.
///
/// # Errors
/// When the settings or the declarations are wrong, the broker refuses the credentials, or a port cannot be made.
///
/// ```no_run
/// # async fn server(stop: impl Future<Output = ()>, orders: msgflo::Outport<str>) {}
/// # async fn program() -> Result<(), msgflo::Error> {
/// let mut web = msgflo::Participant::new("shop/Web").role("web");
/// let orders = web.outport::<str>("ORDER");
/// let running = msgflo::start(msgflo::Options::from_args_and_env()?, [web]).await?.stop_on_signals()?;
/// // The server stops when the participants are told to; what it still has in hand can be sent until `shutdown`.
/// server(running.cancelled(), orders).await;
/// running.shutdown().await
/// # }
/// ```
pub async fn start(
    options: Options,
    participants: impl IntoIterator<Item = Participant>,
) -> Result<Running, Error> {
    let cast = Cast::new(&options, participants.into_iter().collect())?;
    let client = connect(&transports(), &options.broker_url()?).await?;
    perform(client, cast).await
}

/// As [`start`], on a connection of one's own: another transport, or the one of [`testing`](crate::testing).
///
/// # Errors
/// As [`start`].
pub async fn start_with(
    client: Arc<dyn Client>,
    options: Options,
    participants: impl IntoIterator<Item = Participant>,
) -> Result<Running, Error> {
    perform(client, Cast::new(&options, participants.into_iter().collect())?).await
}

/// Connects; tries again while that may help.
async fn connect(transports: &Registry, url: &BrokerUrl) -> Result<Arc<dyn Client>, Error> {
    let transport = transports.transport(url).map_err(|source| Error::Connect { source })?;
    let backoff =
        ExponentialBuilder::default().with_jitter().with_max_delay(LONGEST_PAUSE).without_max_times();
    let connected = (|| transport.client(url))
        .retry(backoff)
        .when(msgflo_core::Error::is_transient)
        .notify(|error, pause| {
            tracing::warn!(broker = %url, error = chain(error), ?pause, "cannot connect; trying again");
        })
        .await;
    connected.map_err(|source| Error::Connect { source })
}

async fn perform(client: Arc<dyn Client>, cast: Cast) -> Result<Running, Error> {
    let (reports, reporting) = reports(Arc::clone(&client));
    let mut tasks = Tasks::new(CancellationToken::new());
    for player in &cast.players {
        make_outports(&client, player).await?;
    }
    let mut announced = Vec::new();
    for player in cast.players {
        announced.push(player.participant.announcement(player.id.clone(), &player.role));
        take_messages(&client, player, cast.grace, &reports, &mut tasks).await?;
    }
    let announcer = Announcer { client: Arc::clone(&client), announced, every: cast.announce_every };
    announcer.announce().await?;
    tasks.spawn(announcer.run(tasks.stop.clone()));
    // The workers hold the ways to report: when the last of them has ended, so does this.
    let reporting = tokio::spawn(reporting);
    Ok(Running::new(client, tasks, reporting))
}

async fn make_outports(client: &Arc<dyn Client>, player: &Player) -> Result<(), Error> {
    for outlet in &player.participant.outports {
        let exchange = outlet.options.description.queue(&player.role, &outlet.name);
        let made = client.create_outport(&exchange).await;
        made.map_err(|source| Error::Port { role: player.role.clone(), port: outlet.name.clone(), source })?;
        outlet.connect(Arc::clone(client), exchange);
    }
    Ok(())
}

async fn take_messages(
    client: &Arc<dyn Client>,
    player: Player,
    grace: Duration,
    reports: &Reports,
    tasks: &mut Tasks,
) -> Result<(), Error> {
    let Player { participant, role, id } = player;
    for inport in participant.inports {
        let queue = inport.options.description.queue(&role, &inport.name);
        let names = Arc::new(Names { role: role.clone(), inport: inport.name });
        let failed = |source| Error::Port { role: names.role.clone(), port: names.inport.clone(), source };
        let assurance = inport.options.description.assurance;
        let options = InportOptions { sharing: inport.options.sharing, assurance };
        client.create_inport(&queue, options).await.map_err(failed)?;
        let deliveries = client.subscribe(&queue, inport.options.prefetch).await.map_err(failed)?;
        let worker = Worker {
            processor: Arc::new(Processor {
                names: Arc::clone(&names),
                work: inport.work,
                timeout: inport.options.timeout,
                error_port: participant.error_port.clone(),
            }),
            prefetch: inport.options.prefetch,
            reporter: Reporter {
                id: id.clone(),
                component: participant.component.clone(),
                queue,
                names: Arc::clone(&names),
            },
            reports: reports.clone(),
            grace,
            stop: tasks.stop.clone(),
        };
        tasks.spawn(worker.run(deliveries));
    }
    Ok(())
}
