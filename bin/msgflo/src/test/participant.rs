//! `msgflo test participant`: whether a program behaves as a participant must.
//!
//! It is started on a broker of its own, and looked at from outside: what it announces, what it makes in the broker, whether it
//! answers for messages, and how it ends.

use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures_util::StreamExt;
use msgflo_core::discovery::Announcement;
use msgflo_core::{Announcements, Broker, Message, Participant, QueueName};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

use crate::broker;
use crate::outcome::{Failure, Outcome, Stop, because, print, print_json};

#[derive(Debug, Args)]
pub(crate) struct TestParticipant {
    /// The command that starts it; it finds the broker in MSGFLO_BROKER.
    pub(crate) command: String,
    /// The inport that is sent a message [default: its first].
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<String>,
    /// The message, as JSON.
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = json)]
    pub(crate) send: serde_json::Value,
    /// What is to come out at one of its outports, as JSON.
    #[arg(long, value_name = "JSON", value_parser = json)]
    pub(crate) expect: Option<serde_json::Value>,
    /// How long it may take to announce itself, and to answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) timeout: u64,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

fn json(text: &str) -> Result<serde_json::Value, serde_json::Error> {
    serde_json::from_str(text)
}

/// The period of announcements that the participant is told, so that the second one comes soon, in seconds.
const PERIOD: u64 = 4;
/// How long a repeated announcement is waited for. The period is the upper limit of a participant that keeps it.
const AGAIN: Duration = Duration::from_secs(PERIOD + 5);
/// How long it may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(15);
/// The pause between two looks at a queue.
const LOOK: Duration = Duration::from_millis(50);

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    #[serde(flatten)]
    verdict: Verdict,
}

#[derive(Debug, Serialize)]
#[serde(tag = "verdict", content = "detail", rename_all = "lowercase")]
enum Verdict {
    Well(String),
    Bad(String),
    /// It cannot be looked at, for this reason.
    Skipped(String),
}

/// A process with those that it has started; ended with this value.
struct Group {
    child: Child,
    pid: Option<Pid>,
}

impl Group {
    fn start(command: &str, url: &str) -> std::io::Result<Self> {
        let child = Command::new("/bin/sh")
            .args(["-c", &format!("exec {command}")])
            .env("MSGFLO_BROKER", url)
            .env("MSGFLO_DISCOVERY_PERIOD", PERIOD.to_string())
            .stdin(Stdio::null())
            // Our own standard output is for what was found.
            .stdout(std::io::stderr())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { child, pid })
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid {
            // It may have ended already.
            let _ = kill_process_group(pid, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

pub(super) async fn run(arguments: TestParticipant) -> Outcome {
    let options = msgflo_broker::Options { listen: ([127, 0, 0, 1], 0).into(), ..Default::default() };
    let embedded =
        msgflo_broker::Server::start(options).await.map_err(|error| Stop::internal(because(&error)))?;
    let url = embedded.url().to_string();
    let observer = broker::connect_existing(Some(&url)).await?;
    let findings = examine(&arguments, &url, &observer).await;
    observer.close().await?;
    embedded.shutdown().await;
    let findings = findings?;
    if arguments.json {
        print_json(&findings)?;
    } else {
        for Finding { what, verdict } in &findings {
            let (word, detail) = match verdict {
                Verdict::Well(detail) => ("ok", detail),
                Verdict::Bad(detail) => ("BAD", detail),
                Verdict::Skipped(detail) => ("-", detail),
            };
            print(format_args!("{word}\t{what}: {detail}"))?;
        }
    }
    let is_bad = findings.iter().any(|finding| matches!(finding.verdict, Verdict::Bad(_)));
    Ok(if is_bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn examine(
    arguments: &TestParticipant,
    url: &str,
    observer: &Arc<dyn Broker>,
) -> Result<Vec<Finding>, Stop> {
    let mut announcements = observer.watch_discovery().await?;
    let mut group = Group::start(&arguments.command, url).map_err(|error| {
        Stop::failed(Failure::new(format!("`{}` could not be started: {error}", arguments.command)))
    })?;
    let mut findings = Vec::new();
    let mut note = |what, verdict| findings.push(Finding { what, verdict });
    let patience = Duration::from_secs(arguments.timeout);
    let announced = tokio::select! {
        announced = next(&mut announcements, patience, None) => announced,
        ended = group.child.wait() => Err(match ended {
            Ok(status) => format!("it ended before it announced itself: {status}"),
            Err(error) => error.to_string(),
        }),
    };
    let Announcement { participant, notes } = match announced {
        Ok(announcement) => announcement,
        Err(reason) => {
            note("announces itself", Verdict::Bad(reason));
            return Ok(findings);
        }
    };
    let name = format!("{} plays {} ({})", participant.id, participant.role, participant.component);
    note(
        "announces itself",
        if notes.is_empty() { Verdict::Well(name) } else { Verdict::Bad(notes.join("; ")) },
    );
    note("makes its inports", inports(&**observer, &participant).await);
    note("makes its outports", outports(&**observer, &participant).await);
    note("answers for a message", answers(arguments, &**observer, &participant).await);
    note("survives what it cannot read", survives(&mut group, &**observer, &participant).await);
    let again = next(&mut announcements, AGAIN, Some(&participant)).await;
    note(
        "announces itself again",
        again.map_or_else(Verdict::Bad, |_| Verdict::Well(format!("within {AGAIN:?}"))),
    );
    note("ends when it is told to", ends(&mut group).await);
    Ok(findings)
}

/// The next announcement, of that participant if one is given.
async fn next(
    announcements: &mut Announcements,
    patience: Duration,
    of: Option<&Participant>,
) -> Result<Announcement, String> {
    let deadline = Instant::now() + patience;
    loop {
        match tokio::time::timeout_at(deadline, announcements.next()).await {
            Ok(Some(Ok(announcement))) if of.is_none_or(|of| of.id == announcement.participant.id) => {
                return Ok(announcement);
            }
            Ok(Some(Ok(_))) => {}
            Ok(Some(Err(error))) => return Err(error.to_string()),
            Ok(None) => return Err("the broker has gone".to_owned()),
            Err(_) => return Err(format!("nothing came within {patience:?}")),
        }
    }
}

async fn inports(observer: &dyn Broker, participant: &Participant) -> Verdict {
    let mut made = Vec::new();
    for port in participant.inports.iter().filter(|port| !port.delivers_to_each()) {
        let Some(queue) = &port.queue else { continue };
        match observer.depth(queue).await {
            Ok(depth) if depth.consumers > 0 => made.push(queue.to_string()),
            Ok(_) => return Verdict::Bad(format!("nobody takes from {queue}")),
            Err(error) => return Verdict::Bad(because(&error).to_string()),
        }
    }
    Verdict::Well(made.join(", "))
}

async fn outports(observer: &dyn Broker, participant: &Participant) -> Verdict {
    let mut made = Vec::new();
    for queue in participant.outports.iter().filter_map(|port| port.queue.as_ref()) {
        match observer.tap(queue, 1).await {
            Ok(_) => made.push(queue.to_string()),
            Err(error) => return Verdict::Bad(because(&error).to_string()),
        }
    }
    Verdict::Well(made.join(", "))
}

/// The queue of the inport that a test message goes to.
fn target<'p>(participant: &'p Participant, port: Option<&str>) -> Option<&'p QueueName> {
    let mut inports =
        participant.inports.iter().filter(|port| port.queue.is_some() && !port.delivers_to_each());
    let chosen = match port {
        Some(name) => inports.find(|port| port.id.as_str().eq_ignore_ascii_case(name)),
        None => inports.next(),
    };
    chosen?.queue.as_ref()
}

/// Whether a message is taken and answered for, and, where it is known what should come of it, comes out.
async fn answers(arguments: &TestParticipant, observer: &dyn Broker, participant: &Participant) -> Verdict {
    let Some(queue) = target(participant, arguments.port.as_deref()) else {
        return Verdict::Skipped("it has no such inport".to_owned());
    };
    let outports = participant.outports.iter().filter_map(|port| port.queue.as_ref());
    let mut taps = Vec::new();
    for outport in outports {
        match observer.tap(outport, 100).await {
            Ok(tap) => taps.push(tap),
            Err(error) => return Verdict::Bad(because(&error).to_string()),
        }
    }
    let Ok(message) = Message::json(&arguments.send) else {
        return Verdict::Skipped("it is not JSON".to_owned());
    };
    if let Err(error) = observer.send_to_queue(queue, message).await {
        return Verdict::Bad(because(&error).to_string());
    }
    let patience = Duration::from_secs(arguments.timeout);
    let mut results = futures_util::stream::select_all(taps);
    if let Some(expected) = &arguments.expect {
        let expected_result = async {
            while let Some(delivery) = results.next().await {
                let payload = serde_json::from_slice::<serde_json::Value>(&delivery.message.payload);
                if payload.is_ok_and(|payload| payload == *expected) {
                    return;
                }
            }
        };
        if timeout(patience, expected_result).await.is_err() {
            return Verdict::Bad(format!("{expected} did not come out within {patience:?}"));
        }
    }
    match timeout(patience, emptied(observer, queue)).await {
        Ok(()) => Verdict::Well(format!("{queue} is empty")),
        Err(_) => Verdict::Bad(format!("the message is still in {queue} after {patience:?}")),
    }
}

async fn emptied(observer: &dyn Broker, queue: &QueueName) {
    while observer.depth(queue).await.is_ok_and(|depth| depth.ready > 0) {
        tokio::time::sleep(LOOK).await;
    }
}

async fn survives(group: &mut Group, observer: &dyn Broker, participant: &Participant) -> Verdict {
    let Some(queue) = target(participant, None) else {
        return Verdict::Skipped("it has no inport".to_owned());
    };
    for payload in [&b"not JSON"[..], b"", &[0xff, 0x00, 0xfe]] {
        if let Err(error) = observer.send_to_queue(queue, Message::new(payload.to_vec())).await {
            return Verdict::Bad(because(&error).to_string());
        }
    }
    let emptied = timeout(Duration::from_secs(5), emptied(observer, queue)).await;
    match (group.child.try_wait(), emptied) {
        (Ok(Some(status)), _) => Verdict::Bad(format!("it ended: {status}")),
        (Err(error), _) => Verdict::Bad(error.to_string()),
        (Ok(None), Ok(())) => Verdict::Well("messages that are not JSON are taken and refused".to_owned()),
        (Ok(None), Err(_)) => Verdict::Bad(format!("they are still in {queue}")),
    }
}

async fn ends(group: &mut Group) -> Verdict {
    group.signal(Signal::TERM);
    match timeout(GRACE, group.child.wait()).await {
        Ok(Ok(status)) => Verdict::Well(status.to_string()),
        Ok(Err(error)) => Verdict::Bad(error.to_string()),
        Err(_) => Verdict::Bad(format!("it still runs {GRACE:?} after SIGTERM")),
    }
}
