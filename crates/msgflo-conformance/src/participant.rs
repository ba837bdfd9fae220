//! What every participant must do, in whatever language it is written: a program that repeats what it gets.
//!
//! It is started as a coordinator would start it, with `MSGFLO_BROKER` in its environment, and seen from the broker.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use msgflo_core::{Announcements, Broker, JobReports, Message, Outcome, Participant, QueueName, Role};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::inbox::{Inbox, PATIENCE};

/// How often it is told to announce itself, in seconds; twice and a bit in that time.
const PERIOD: &str = "2";
/// How many messages it repeats.
const MESSAGES: usize = 50;

/// What a participant may not be able to do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowances {
    /// It reads and writes JSON only.
    pub only_json: bool,
    /// It ends by the signal, without an exit status of its own.
    pub ends_by_signal: bool,
    /// It does not read `MSGFLO_DISCOVERY_PERIOD`.
    pub fixed_period: bool,
    /// It takes its time: one message after the other is sent.
    pub one_at_a_time: bool,
    /// It reports nothing of its jobs.
    pub silent: bool,
}

/// Starts `command`, which repeats what it gets on its only inport, as the participant `role`, and checks it on `broker`,
/// to which it connects by `url`.
///
/// # Panics
/// When it does not do what it must.
pub async fn repeats(
    broker: Arc<dyn Broker>,
    url: &str,
    role: &str,
    mut command: Command,
    allowances: Allowances,
) {
    let mut announcements = broker.watch_discovery().await.expect("discovery is watched");
    command.env("MSGFLO_BROKER", url).env("MSGFLO_DISCOVERY_PERIOD", PERIOD);
    let mut child = command.stdin(Stdio::null()).kill_on_drop(true).spawn().expect("the participant starts");
    let participant = announced(&mut announcements, role).await;
    assert!(!participant.component.as_str().is_empty(), "it says what it runs");
    let port = |ports: &[msgflo_core::Port]| -> QueueName {
        assert_eq!(ports.iter().filter(|port| !port.hidden).count(), 1, "one port each way: {ports:?}");
        ports[0].queue.clone().expect("its port has a queue")
    };
    let (inport, outport) = (port(&participant.inports), port(&participant.outports));

    let mut reports = broker.watch_jobs().await.expect("reports are watched");
    let mut results = Inbox::new(broker.tap(&outport, 1000).await.expect("its outport is there"));
    let sent: Vec<Value> =
        (0..MESSAGES).map(|n| json!({"n": n, "text": "größer", "deep": {"a": [null]}})).collect();
    let mut repeated = Vec::new();
    for value in &sent {
        let message = Message::json(value).expect("JSON");
        broker.send_to_queue(&inport, message).await.expect("its inport is there");
        if allowances.one_at_a_time {
            repeated.push(value_of(&mut results).await);
        }
    }
    while repeated.len() < MESSAGES {
        repeated.push(value_of(&mut results).await);
    }
    repeated.sort_by_key(|value| value["n"].as_u64());
    assert_eq!(repeated, sent, "it repeats each message once");
    if !allowances.only_json {
        let bytes = Message::new(&b"\xff\x00 no JSON"[..]);
        broker.send_to_queue(&inport, bytes.clone()).await.expect("its inport is there");
        let delivery = results.next().await;
        assert_eq!(delivery.message.payload, bytes.payload, "it repeats bytes as they are");
        delivery.ack();
    }
    if !allowances.silent {
        reported(&mut reports, &participant, if allowances.only_json { MESSAGES } else { MESSAGES + 1 })
            .await;
    }
    if !allowances.fixed_period {
        let again = announced(&mut announcements, role).await;
        assert_eq!(again.id, participant.id, "it announces itself again, under the same id");
    }
    terminate(&mut child, allowances).await;
}

async fn value_of(results: &mut Inbox) -> Value {
    serde_json::from_str(&results.text().await).expect("a result is JSON")
}

/// The next announcement of `role`.
async fn announced(announcements: &mut Announcements, role: &str) -> Participant {
    let role = Role::from(role);
    let heard = async {
        while let Some(heard) = announcements.next().await {
            let Ok(announcement) = heard else { continue };
            if announcement.participant.role == role {
                return announcement.participant;
            }
        }
        panic!("discovery has ended")
    };
    timeout(PATIENCE, heard).await.expect("it announces itself")
}

/// It reports so many jobs, all done, and at last none in hand.
async fn reported(reports: &mut JobReports, participant: &Participant, jobs: usize) {
    let heard = async {
        let mut told = 0;
        while let Some(report) = reports.next().await {
            if report.id != participant.id {
                continue;
            }
            let port = &participant.inports[0];
            assert_eq!((&report.role, &report.component), (&participant.role, &participant.component));
            assert_eq!((Some(&report.queue), &report.inport), (port.queue.as_ref(), &port.id));
            for job in &report.completed {
                assert_eq!(job.outcome, Outcome::Completed, "{job:?}");
                assert!((0.0..60.0).contains(&job.processing), "{job:?}");
                assert!(job.waiting.is_none_or(|waiting| (0.0..60.0).contains(&waiting)), "{job:?}");
            }
            told += report.completed.len();
            if told == jobs && report.in_flight == 0 {
                return;
            }
            assert!(told <= jobs, "it did {jobs} jobs, and reports {told}");
        }
        panic!("reports have ended")
    };
    timeout(PATIENCE, heard).await.expect("it reports all of its jobs")
}

/// It ends soon after SIGTERM, and with status 0.
async fn terminate(child: &mut Child, allowances: Allowances) {
    let id = child.id().expect("it still runs").to_string();
    let asked = Command::new("kill").arg(id).status().await.expect("`kill` starts");
    assert!(asked.success(), "it still runs");
    let ended = timeout(Duration::from_secs(30), child.wait()).await.expect("it ends when it is asked to");
    let status = ended.expect("it has a status");
    assert!(status.success() || allowances.ends_by_signal, "it ends well: {status}");
}
