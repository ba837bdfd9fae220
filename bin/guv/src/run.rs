//! `guv run`: the registry of sources and actuators, and the governor over it.

use std::process::ExitCode;
use std::sync::Arc;

use guv::Registry;
use guv::actuators::Heroku;
use guv::governor::{self, Governor, Handle, Options};
use guv::sources::RabbitMq;
use tokio_util::sync::CancellationToken;

use crate::arguments::{ConfigArguments, Run};
use crate::outcome::{FAILED, Failure, INTERRUPTED, Outcome, Stop};
use crate::printer::Printer;
use crate::signals::{Asked, Signals};

pub(crate) async fn run(run: Run) -> Outcome {
    let loaded = run.config.load()?;
    let cancel = CancellationToken::new();
    let printer = Printer::new(run.json, cancel.clone());
    let options = Options {
        dry_run: run.dry_run,
        oneshot: run.oneshot,
        recorders: vec![Arc::new(printer)],
        ..Options::default()
    };
    let mut signals = Signals::listen().map_err(Stop::internal)?;
    let handle = Governor::start(loaded.config, registry(&run)?, options, cancel.clone()).map_err(stop)?;
    tracing::info!(dry_run = run.dry_run, "governing");

    // Both sides are cancel-safe: an end that is not taken now is still one later.
    let interrupted = loop {
        tokio::select! {
            ended = handle.finished() => {
                ended.map_err(Stop::internal)?;
                break false;
            }
            asked = signals.next() => match asked {
                Asked::Interrupt if cancel.is_cancelled() => return Ok(ExitCode::from(INTERRUPTED)),
                Asked::Terminate if cancel.is_cancelled() => return Ok(ExitCode::SUCCESS),
                Asked::Interrupt | Asked::Terminate => {
                    tracing::info!("ending after the changes under way; a second signal ends at once");
                    cancel.cancel();
                    if asked == Asked::Interrupt {
                        break true;
                    }
                }
                Asked::Reload => reload(&run.config, &handle).await,
            },
        }
    };
    if interrupted {
        tokio::select! {
            ended = handle.finished() => ended.map_err(Stop::internal)?,
            _ = signals.next() => {}
        }
        return Ok(ExitCode::from(INTERRUPTED));
    }
    let failed = run.oneshot && handle.snapshot().roles.iter().any(|record| record.outcome.error().is_some());
    Ok(if failed { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

/// What there is. Nothing else names a source or an actuator.
fn registry(run: &Run) -> Result<Registry, Stop> {
    let rabbitmq = RabbitMq::new(run.management_url.clone()).map_err(Stop::internal)?;
    let heroku = match &run.heroku_url {
        Some(url) => Heroku::at(url.clone()),
        None => Heroku::new(),
    };
    let heroku = heroku.map_err(Stop::internal)?;
    Ok(Registry::new().with_source("rabbitmq", Arc::new(rabbitmq)).with_actuator("heroku", Arc::new(heroku)))
}

fn stop(error: governor::Error) -> Stop {
    match error {
        governor::Error::Unserved(_) => {
            let help = "complete the configuration; a dry run needs a source, but no actuator";
            Stop::config(Failure::new(error.to_string(), help))
        }
        error => Stop::internal(error),
    }
}

/// Takes the configuration as it is now into force; one that cannot be used is shown and changes nothing.
async fn reload(arguments: &ConfigArguments, handle: &Handle) {
    match arguments.load() {
        Ok(loaded) => match handle.reload(loaded.config).await {
            Ok(()) => tracing::info!("the configuration is read again"),
            Err(error) => tracing::error!(%error, "the configuration before stays in force"),
        },
        Err(stop) => {
            stop.report();
            tracing::error!("the configuration before stays in force");
        }
    }
}
