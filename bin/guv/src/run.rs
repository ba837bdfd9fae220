//! `guv run`: a governor over one configuration, with its history and, if wanted, its HTTP interface.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use guv::actuators::processes::{self, Procfile};
use guv::actuators::{Keda, Processes};
use guv::governor::{self, Governor, Handle, Options};
use guv::history::{History, Retention};
use guv::model::Secret;
use guv::reporters::{NewRelic, OpenTelemetry, StatusPage, Webhook};
use guv::service::{FileConfig, Governed, Local};
use guv::{Record, Recorder};
use tokio_util::sync::CancellationToken;

use crate::arguments::{ConfigArguments, Run};
use crate::configuration::environment;
use crate::outcome::{FAILED, Failure, INTERRUPTED, Outcome, Stop};
use crate::printer::Printer;
use crate::registry::{self, Addresses};
use crate::signals::{Asked, Signals};
use crate::{lock, past};

/// How often a configuration's file is looked at for changes.
const FILE_CHECK: Duration = Duration::from_secs(1);

pub(crate) async fn run(run: Run) -> Outcome {
    // From before it is read, so that no change is missed, however long the lock is waited for.
    let mut file = FileWatch::new(run.config.path());
    let mut loaded = run.config.load()?;
    let mut signals = Signals::listen().map_err(Stop::internal)?;
    let lock = match &run.lock {
        Some(path) => match lock::take(path, run.listen, &mut signals).await? {
            Some(lock) => Some(lock),
            None => return Ok(ExitCode::SUCCESS),
        },
        None => None,
    };
    // Who has waited begins with what holds now, or not at all.
    if file.has_changed() {
        loaded = run.config.load()?;
    }
    let cancel = CancellationToken::new();
    let printer = Printer::new(run.json, cancel.clone());
    let history = history(&run);
    let mut recorders: Vec<Arc<dyn Recorder>> = vec![Arc::new(printer)];
    recorders.extend(history.clone().map(|history| Arc::new(history) as Arc<dyn Recorder>));
    recorders.extend(reporters(&run)?);
    let addresses = Addresses { management: run.management_url.clone(), heroku: run.heroku_url.clone() };
    // They are ended after the governor, which may be changing them.
    let end_processes = CancellationToken::new();
    let (processes, processes_ended) = Processes::start(processes(&run)?, end_processes.clone());
    let mut registry = registry::all(&addresses, processes, run.procfile.is_some())?;
    if let Some(address) = run.keda_listen {
        let (keda, address) = Keda::start(address, cancel.clone()).await.map_err(Stop::failed)?;
        eprintln!("KEDA may ask at {address}");
        registry = registry.with_named_actuator("keda", Arc::new(keda));
    }
    let options = Options { dry_run: run.dry_run, oneshot: run.oneshot, recorders, ..Options::default() };
    // Nothing is changed before all of this is there.
    let interface = match run.listen {
        None => None,
        Some(address) => {
            let gate = guv::service::gate(address, run.token.as_deref()).map_err(|error| {
                let help = "say --token or GUV_TOKEN, or listen on 127.0.0.1";
                Stop::config(Failure::new(error.to_string(), help))
            })?;
            let listener = guv::service::listen(address).await.map_err(Stop::failed)?;
            Some((gate, listener, file_config(&run)?))
        }
    };
    let handle = Governor::start(loaded.config, registry, options, cancel.clone()).map_err(stop)?;
    tracing::info!(dry_run = run.dry_run, "governing");
    if let Some((gate, listener, file)) = interface {
        let governed = Governed { handle: handle.clone(), history };
        let local = Local { id: "local".to_owned(), governed, gate, file };
        let service = local.serve_on(listener, cancel.clone()).map_err(Stop::failed)?;
        eprintln!("listening on http://{}", service.address);
    }

    // Every side is cancel-safe: an end that is not taken now is still one later.
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
            () = file.changed() => reload(&run.config, &handle).await,
        }
    };
    if interrupted {
        tokio::select! {
            ended = handle.finished() => ended.map_err(Stop::internal)?,
            _ = signals.next() => {}
        }
    }
    end_processes.cancel();
    tokio::select! {
        () = processes_ended.wait() => {}
        // Their guard ends them when we are gone.
        _ = signals.next() => {}
    }
    if interrupted {
        return Ok(ExitCode::from(INTERRUPTED));
    }
    drop(lock);
    // Who has but the minimum since nothing could be seen is not governed.
    let is_blind = |record: &Record| record.decision.inputs.observation.queue.ready.is_none();
    let has_failed = |record: &Record| record.outcome.error().is_some() || is_blind(record);
    let failed = run.oneshot && handle.snapshot().roles.iter().any(|record| has_failed(record));
    Ok(if failed { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

/// How the processes of a Procfile are run.
fn processes(run: &Run) -> Result<processes::Options, Stop> {
    let Some(path) = &run.procfile else {
        return Ok(processes::Options { forward: true, ..Default::default() });
    };
    let help = "write a line `name: command` for each kind of worker";
    let wrong = |what: String| Stop::config(Failure::new(format!("{}: {what}", path.display()), help));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let procfile = Procfile::parse(&text)
        .map_err(|errors| wrong(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).map(Path::to_owned);
    Ok(processes::Options { procfile, folder, forward: true, ..Default::default() })
}

/// The file of the configuration, for those who change it over the interface. Its versions are kept beside the history.
fn file_config(run: &Run) -> Result<Option<FileConfig>, Stop> {
    let history = run.history.history.clone().or_else(past::default_path);
    let Some((path, history)) = run.config.path().zip(history) else { return Ok(None) };
    let versions = history.with_extension("versions");
    let (name, allowed) = (path.display().to_string(), run.config.allow_key.clone());
    let environment = environment()?;
    let read = move |text: &str| guv::config::load(&name, text, &environment, &allowed);
    Ok(Some(FileConfig::new(path, versions, Arc::new(read))))
}

/// Whoever is to be told of decisions.
fn reporters(run: &Run) -> Result<Vec<Arc<dyn Recorder>>, Stop> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let mut reporters: Vec<Arc<dyn Recorder>> = Vec::new();
    if let Some(token) = variable("STATUSPAGE_API_TOKEN") {
        reporters.push(Arc::new(StatusPage::new(Secret::new(token)).map_err(Stop::internal)?));
    }
    if let Some((account, key)) = variable("NEW_RELIC_ACCOUNT_ID").zip(variable("NEW_RELIC_INSERT_KEY")) {
        reporters.push(Arc::new(NewRelic::new(&account, Secret::new(key)).map_err(Stop::internal)?));
    }
    let wrong =
        |what| Stop::config(Failure::new(what, "these variables are those of OpenTelemetry's exporters"));
    if let Some(reporter) = OpenTelemetry::of_environment(variable).map_err(wrong)? {
        reporters.push(Arc::new(reporter));
    }
    if let Some(url) = &run.webhook {
        reporters.push(Arc::new(Webhook::new(url.clone()).map_err(Stop::internal)?));
    }
    Ok(reporters)
}

/// The history, unless it is not wanted or cannot be had, which is said and stops nothing. What a dry run would have done is
/// kept only where somebody says so: in the usual place it would pass for what was done.
fn history(run: &Run) -> Option<History> {
    let usual = || past::default_path().filter(|_| !run.dry_run);
    let path = run.history.history.clone().or_else(usual).filter(|_| !run.no_history)?;
    let opened = (path.parent().map_or(Ok(()), std::fs::create_dir_all))
        .map_err(|error| error.to_string())
        .and_then(|()| History::open(&path, Retention::default()).map_err(|error| error.to_string()));
    match opened {
        Ok(history) => Some(history),
        Err(error) => {
            tracing::warn!(path = %path.display(), error, "no history is kept");
            None
        }
    }
}

/// Notices that a file has changed. It looks at time and length: that works for every way of replacing a file.
struct FileWatch {
    path: Option<PathBuf>,
    seen: Option<(SystemTime, u64)>,
}

impl FileWatch {
    fn new(path: Option<PathBuf>) -> Self {
        let seen = path.as_deref().and_then(stamp);
        Self { path, seen }
    }

    /// Whether it is another one than was seen last, or is gone.
    fn has_changed(&mut self) -> bool {
        let Some(path) = &self.path else { return false };
        let now = stamp(path);
        std::mem::replace(&mut self.seen, now) != now
    }

    /// Waits for a change. Cancel-safe. Without a file, or while it is missing, there is none.
    async fn changed(&mut self) {
        let Some(path) = self.path.clone() else { return std::future::pending().await };
        loop {
            tokio::time::sleep(FILE_CHECK).await;
            let now = stamp(&path);
            if now.is_some() && now != self.seen {
                self.seen = now;
                return;
            }
        }
    }
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
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
