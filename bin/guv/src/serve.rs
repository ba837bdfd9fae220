//! `guv serve`: many applications, each with its configuration, its governor and its history.

use std::process::ExitCode;
use std::sync::Arc;

use guv::BoxError;
use guv::service::{Options, SealingKey, TokenHash};
use tokio_util::sync::CancellationToken;

use crate::arguments::Serve;
use crate::outcome::{Failure, INTERRUPTED, Outcome, Stop};
use crate::registry::{self, Addresses};
use crate::signals::{Asked, Signals};

pub(crate) async fn serve(options: Serve) -> Outcome {
    let key = sealing_key(&options)?;
    let mut signals = Signals::listen().map_err(Stop::internal)?;
    let cancel = CancellationToken::new();
    let addresses = Addresses { management: options.management_url, heroku: options.heroku_url };
    let make = move || registry::remote(&addresses).map_err(|_| BoxError::from("no TLS could be set up"));
    let service = guv::service::serve(
        Options {
            address: options.listen,
            folder: options.data,
            key,
            admin: options.admin_token.as_deref().map(TokenHash::of),
            registry: Arc::new(make),
        },
        cancel.clone(),
    );
    let service = service.await.map_err(Stop::failed)?;
    if let Some(token) = &service.admin {
        eprintln!("the administrator's token, shown this once: {}", token.reveal());
    }
    eprintln!("listening on http://{}", service.address);
    let finished = service.finished();
    tokio::pin!(finished);
    loop {
        tokio::select! {
            () = &mut finished => return Ok(ExitCode::SUCCESS),
            asked = signals.next() => match asked {
                Asked::Reload => {}
                asked => {
                    cancel.cancel();
                    // What is being changed is waited for, unless somebody insists.
                    tokio::select! {
                        () = &mut finished => {}
                        () = async { while signals.next().await == Asked::Reload {} } => {}
                    }
                    let interrupted = asked == Asked::Interrupt;
                    return Ok(if interrupted { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS });
                }
            },
        }
    }
}

fn sealing_key(options: &Serve) -> Result<SealingKey, Stop> {
    const HELP: &str = "make one with `openssl rand -hex 32`, and keep it where the data are not";
    let text = match (&options.key_file, &options.secret_key) {
        (Some(file), _) => std::fs::read_to_string(file).map_err(|error| {
            Stop::config(Failure::new(format!("{} cannot be read: {error}", file.display()), HELP))
        })?,
        (None, Some(key)) => key.clone(),
        (None, None) => {
            let message = "there is no key to seal the platforms' tokens with";
            return Err(Stop::config(Failure::new(
                message,
                format!("set GUV_SECRET_KEY or --key-file; {HELP}"),
            )));
        }
    };
    SealingKey::parse(&text).map_err(|error| Stop::config(Failure::new(error.to_string(), HELP)))
}
