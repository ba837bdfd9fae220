//! `msgflo doctor`: whether what a network needs is there.

use std::collections::HashSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::arguments::{BrokerArguments, LibraryArguments};
use crate::graphs::{self, Loaded};
use crate::outcome::{Outcome, Stop, print, print_json};
use crate::{broker, run};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  msgflo doctor
  msgflo doctor service.fbp --broker amqp://localhost")]
pub(crate) struct Doctor {
    /// The graph that is to run.
    pub(crate) graph: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
    #[command(flatten)]
    pub(crate) library: LibraryArguments,
    /// The port that the interface is to have.
    #[arg(long, default_value_t = 3569)]
    pub(crate) port: u16,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: String,
    is_well: bool,
    /// What was found, or what to do.
    detail: String,
}

impl Finding {
    fn well(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { what: what.into(), is_well: true, detail: detail.into() }
    }

    fn bad(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { what: what.into(), is_well: false, detail: detail.into() }
    }
}

pub(crate) async fn doctor(arguments: Doctor) -> Outcome {
    let mut findings = vec![broker(&arguments).await, port(arguments.port)];
    findings.push(state(&run::state_folder(None, arguments.graph.as_deref())));
    findings.extend(programs(&arguments));
    if arguments.json {
        print_json(&findings)?;
    } else {
        for Finding { what, is_well, detail } in &findings {
            print(format_args!("{}\t{what}: {detail}", if *is_well { "ok" } else { "BAD" }))?;
        }
    }
    let is_well = findings.iter().all(|finding| finding.is_well);
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether the broker answers, and lets us do what a coordinator does.
async fn broker(arguments: &Doctor) -> Finding {
    let what = "broker";
    if broker::chosen(arguments.broker.broker.as_deref()).is_none_or(|url| url.starts_with("embedded:")) {
        return Finding::well(what, "none is named: `msgflo run` brings its own");
    }
    let connected = match broker::connect_existing(arguments.broker.broker.as_deref()).await {
        Ok(connected) => connected,
        Err(stop) => return Finding::bad(what, stop.to_string()),
    };
    let watched = connected.watch_discovery().await.map(drop);
    let address = connected.address();
    // What it was asked is what counts.
    let _ = connected.close().await;
    match watched {
        Ok(()) => Finding::well(what, format!("{address} answers, and discovery may be watched")),
        Err(error) => {
            Finding::bad(what, format!("{address} answers, but {}", crate::outcome::because(&error)))
        }
    }
}

fn port(port: u16) -> Finding {
    match TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => Finding::well("interface", format!("port {port} is free")),
        Err(error) => Finding::bad("interface", format!("port {port}: {error}; say another one with --port")),
    }
}

fn state(folder: &Path) -> Finding {
    let probe = folder.join(format!(".probe-{}", std::process::id()));
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&probe, b""));
    match written.and_then(|()| std::fs::remove_file(&probe)) {
        Ok(()) => Finding::well("state", format!("{} can be written", folder.display())),
        Err(error) => {
            Finding::bad("state", format!("{}: {error}; say another folder with --state", folder.display()))
        }
    }
}

/// Whether the library can be read, the graph asks for nothing else, and what runs components is installed.
fn programs(arguments: &Doctor) -> Vec<Finding> {
    let path = arguments.graph.clone().unwrap_or_default();
    let library = match graphs::library(&arguments.library, &path) {
        Ok(library) => library,
        Err(stop) => return vec![Finding::bad("library", stop.to_string())],
    };
    let mut findings = vec![Finding::well("library", format!("{} components", library.components().count()))];
    let mut used = None;
    if arguments.graph.is_some() {
        let choice = graphs::choice(&[], &arguments.library.ignore);
        let checked: Result<_, Stop> =
            Loaded::read(&path, true).and_then(|loaded| loaded.desired(&library, &choice));
        findings.push(match checked {
            Ok(desired) => {
                let (nodes, edges) = (desired.nodes.len(), desired.connections.len());
                let components = desired.nodes.values().map(|node| library.full_name(&node.component));
                used = Some(components.collect::<HashSet<_>>());
                Finding::well("graph", format!("{nodes} participants, {edges} connections"))
            }
            Err(stop) => Finding::bad("graph", stop.to_string()),
        });
    }
    // What no node of the graph needs may be missing.
    let is_used = |component: &_| used.as_ref().is_none_or(|used| used.contains(component));
    for (program, hint) in library.programs(is_used) {
        findings.push(match find(&program) {
            Some(path) => Finding::well(program, path.display().to_string()),
            None => {
                let hint =
                    hint.map_or_else(|| "install it, or correct the library".to_owned(), str::to_owned);
                Finding::bad(program, format!("not installed: {hint}"))
            }
        });
    }
    findings
}

/// A program by its path, or in the PATH or beside us.
fn find(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| path.is_file());
    }
    let beside = std::env::current_exe().ok()?.parent()?.to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([beside])
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}
