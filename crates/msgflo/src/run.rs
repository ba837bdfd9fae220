//! A whole program out of participants: command line, log, signals, exit status.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use crate::signals::Signals;
use crate::{Error, Options, Participant, start};

/// Runs `participants` as a program: reads the command line and the environment, logs to stderr (`RUST_LOG` says how much),
/// connects, and works until SIGTERM or SIGINT; then it finishes what is in hand and leaves. A second signal ends it at once.
///
/// The exit status is 0 after SIGTERM, 130 after SIGINT, else [that of the error](Error::exit_code).
///
/// ```no_run
/// use msgflo::{Inport, Participant};
///
/// #[tokio::main]
/// async fn main() -> std::process::ExitCode {
///     let mut repeat = Participant::new("core/Repeat");
///     let out = repeat.outport::<String>("OUT");
///     repeat.inport("IN", Inport::default(), move |text: String, context| {
///         let out = out.clone();
///         async move { Ok(context.send(&out, &text)?) }
///     });
///     msgflo::run([repeat]).await
/// }
/// ```
pub async fn run(participants: impl IntoIterator<Item = Participant>) -> ExitCode {
    log_to_stderr();
    match serve(participants.into_iter().collect()).await {
        Ok(status) => status,
        Err(error) => error.report(),
    }
}

/// As [`run`], for a program that needs no other asynchronous runtime than the one made here.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     let mut log = msgflo::Participant::new("core/Log");
///     log.inport("IN", msgflo::Inport::default(), |text: String, _| async move {
///         eprintln!("{text}");
///         Ok(())
///     });
///     msgflo::main([log])
/// }
/// ```
pub fn main(participants: impl IntoIterator<Item = Participant>) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run(participants)),
        Err(error) => Error::Internal { source: error.into() }.report(),
    }
}

async fn serve(participants: Vec<Participant>) -> Result<ExitCode, Error> {
    let options = Options::for_participants(&participants)?;
    let mut signals = Signals::new()?;
    let running = tokio::select! {
        running = start(options, participants) => running?,
        signal = signals.next() => return Ok(signal.exit_code()),
    };
    let signal = tokio::select! {
        signal = signals.next() => Some(signal),
        () = running.cancelled() => None,
    };
    tracing::info!("leaving: finishing what is in hand");
    tokio::select! {
        left = running.shutdown() => left?,
        _ = signals.next() => tracing::warn!("leaving at once; what was in hand goes back to its queues"),
    }
    Ok(signal.map_or(ExitCode::SUCCESS, crate::signals::Signal::exit_code))
}

/// What is logged unless `RUST_LOG` says otherwise. The AMQP library calls the usual end of a connection an error; what
/// matters of it, the transport tells.
const LOG: &str = "info,lapin=off";

/// Makes the log visible, unless the program has a log of its own.
fn log_to_stderr() {
    let said = std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
    let filter = EnvFilter::builder().parse_lossy(said.as_deref().unwrap_or(LOG));
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && !plain);
    // Fails where a log is set already: then that one is used.
    drop(log.try_init());
}
