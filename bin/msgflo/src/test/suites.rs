//! `msgflo test SUITE.yaml`: runs suites of fbp-spec on a running network.
//!
//! Each suite gets a graph of its own beside the main one, with its own processes, so that nothing else is touched.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::runtime::{Ports, Runtime};
use super::suite::{self, Case, Suite};
use crate::outcome::{Failure, Outcome, Stop, print, print_json};

#[derive(Debug, Args)]
pub(crate) struct Suites {
    /// Suites of fbp-spec: .yaml files, or folders with them.
    #[arg(value_name = "SUITE", required = true)]
    pub(crate) suites: Vec<PathBuf>,
    /// The running network: `msgflo run` prints it.
    #[arg(long, alias = "url", value_name = "URL", default_value = "ws://127.0.0.1:3569")]
    pub(crate) address: String,
    /// A secret with the permissions protocol:graph, network, runtime and component, where one is needed.
    #[arg(long, value_name = "SECRET", env = "MSGFLO_SECRET", hide_env_values = true)]
    pub(crate) secret: Option<String>,
    /// How long the participants of a suite may take to come up.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) start_timeout: u64,
    /// How long a case may take that does not say so itself, as a slow machine needs it.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 2000)]
    pub(crate) timeout: u64,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What became of a case.
#[derive(Debug, Serialize)]
struct Finding {
    suite: String,
    case: String,
    assertion: String,
    #[serde(flatten)]
    verdict: Verdict,
}

#[derive(Debug, Serialize)]
#[serde(tag = "verdict", content = "detail", rename_all = "lowercase")]
enum Verdict {
    Passed,
    Failed(String),
    /// It was not run, for this reason.
    Skipped(String),
}

pub(super) async fn run(arguments: Suites) -> Outcome {
    let mut suites = Vec::new();
    for path in &arguments.suites {
        suites.extend(suite::load(path, Duration::from_millis(arguments.timeout))?);
    }
    // Both interfaces are one: the address that `msgflo status` takes is understood too.
    let address = arguments.address.replacen("http", "ws", 1);
    let secret = arguments.secret.as_deref().unwrap_or_default();
    let mut runtime = Runtime::connect(&address, secret).await.map_err(|reason| {
        Stop::failed(
            Failure::new(format!("no network can be tested at {address}: {reason}"))
                .help("is `msgflo run` running? it prints its address; say it with --address"),
        )
    })?;
    let components = runtime.components().await.map_err(|reason| Stop::failed(Failure::new(reason)))?;
    let patience = Duration::from_secs(arguments.start_timeout);
    let mut findings = Vec::new();
    for suite in suites {
        let before = findings.len();
        test(&mut runtime, suite, &components, patience, &mut findings).await;
        if !arguments.json {
            findings[before..].iter().try_for_each(say)?;
        }
    }
    if arguments.json {
        print_json(&findings)?;
    }
    let has_failed = findings.iter().any(|finding| matches!(finding.verdict, Verdict::Failed(_)));
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn say(finding: &Finding) -> Result<(), Stop> {
    let Finding { suite, case, assertion, verdict } = finding;
    match verdict {
        Verdict::Passed => print(format_args!("ok\t{suite}: {case} {assertion}")),
        Verdict::Failed(reason) => print(format_args!("FAILED\t{suite}: {case} {assertion}: {reason}")),
        Verdict::Skipped(reason) => print(format_args!("-\t{suite}: {case} {assertion}: {reason}")),
    }
}

async fn test(
    runtime: &mut Runtime,
    suite: Suite,
    components: &BTreeMap<String, Ports>,
    patience: Duration,
    findings: &mut Vec<Finding>,
) {
    let mut note = |case: &Case, verdict| {
        let (name, assertion) = (case.name.clone(), case.assertion.clone());
        findings.push(Finding { suite: suite.name.clone(), case: name, assertion, verdict });
    };
    let skipped = |case: &Case| suite.skip.clone().or_else(|| case.skip.clone());
    if suite.cases.iter().all(|case| skipped(case).is_some()) {
        // Nothing is started for nothing.
        suite.cases.iter().for_each(|case| note(case, Verdict::Skipped(skipped(case).unwrap_or_default())));
        return;
    }
    let id = format!("fixture.{}", Uuid::new_v4().simple());
    let started = match fixture(&suite, components) {
        Ok(graph) => runtime.start(&id, &graph, patience).await,
        Err(reason) => Err(reason),
    };
    for case in &suite.cases {
        let verdict = match (skipped(case), &started) {
            (Some(reason), _) => Verdict::Skipped(reason),
            (None, Err(reason)) => Verdict::Failed(reason.clone()),
            (None, Ok(())) => match try_case(runtime, &id, case).await {
                Ok(()) => Verdict::Passed,
                Err(reason) => Verdict::Failed(reason),
            },
        };
        note(case, verdict);
    }
    // A runtime that has gone has stopped it; that is told where it was noticed.
    if let Err(reason) = runtime.stop(&id).await {
        tracing::warn!(graph = id, reason, "a fixture was not stopped");
    }
}

/// The graph of a suite: its own, or the component alone with all its ports.
fn fixture(suite: &Suite, components: &BTreeMap<String, Ports>) -> Result<fbp::Graph, String> {
    if let Some(graph) = &suite.fixture {
        return Ok(graph.clone());
    }
    const TESTEE: &str = "testee";
    let topic = suite.topic.as_str();
    let Some(ports) = components.get(topic) else {
        let similar = fbp::did_you_mean(topic, components.keys().map(String::as_str));
        let help = similar.map(|similar| format!(": did you mean `{similar}`?")).unwrap_or_default();
        return Err(format!("the runtime has no component `{topic}`{help}"));
    };
    if ports.inports.is_empty() || ports.outports.is_empty() {
        return Err(format!(
            "the runtime does not know the ports of `{topic}`: name its inports and outports in the library, or give the \
             suite a fixture"
        ));
    }
    let mut graph = fbp::Graph::default();
    graph.processes.insert(TESTEE.into(), fbp::Process::new(topic));
    let exported = |ports: &[String]| {
        ports
            .iter()
            .map(|port| (port.as_str().into(), fbp::ExportedPort::new(TESTEE, port.as_str())))
            .collect()
    };
    graph.inports = exported(&ports.inports);
    graph.outports = exported(&ports.outports);
    Ok(graph)
}

async fn try_case(runtime: &mut Runtime, id: &str, case: &Case) -> Result<(), String> {
    for (place, step) in case.steps.iter().enumerate() {
        let at = if case.steps.len() > 1 { format!("step {}: ", place + 1) } else { String::new() };
        let told = |reason: String| format!("{at}{reason}");
        let deadline = Instant::now() + case.timeout;
        runtime.packets(id, &step.inputs).await.map_err(told)?;
        let wanted: Vec<&String> = step.expect.keys().collect();
        let (is_complete, came) = runtime.results(id, &wanted, deadline).await.map_err(told)?;
        if !is_complete {
            let missing: Vec<_> = wanted.iter().filter(|port| !came.contains_key(**port)).collect();
            return Err(told(format!("nothing came out of {missing:?} within {:?}", case.timeout)));
        }
        for (port, expectations) in &step.expect {
            for expectation in expectations {
                expectation.holds(&came[port]).map_err(|reason| told(format!("`{port}`: {reason}")))?;
            }
        }
    }
    Ok(())
}
