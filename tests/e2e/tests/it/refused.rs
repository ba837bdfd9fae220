//! Jobs that fail: parked, looked at, and brought back by hand; none is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use e2e::{Network, Programs, provide_tls, virtual_host};
use futures_util::StreamExt;
use msgflo_core::{BrokerOptions, Client, InportOptions, Message, Participant, Port, Transport};
use msgflo_transports::Amqp;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

const GRAPH: &str = "
source(jobs/Any) OUT -> IN shared(msgflo/RoundRobin) OUT -> IN worker(jobs/Any)
shared DEADLETTER -> IN failed(jobs/Any)
";
const JOBS: u64 = 20;
const PATIENCE: Duration = Duration::from_secs(60);

/// Plays all three roles: makes their ports and announces them.
async fn play(client: &dyn Client) {
    client.create_outport(&"source.OUT".into()).await.expect("the exchange is made");
    let mut source = Participant::new("source-1", "source", "jobs/Any");
    source.outports.push(Port::new("OUT", Some("source.OUT".into())));
    client.announce(&source).await.expect("it is announced");
    for role in ["worker", "failed"] {
        let queue = format!("{role}.IN");
        client
            .create_inport(&queue.as_str().into(), InportOptions::default())
            .await
            .expect("the queue is made");
        let mut participant = Participant::new(format!("{role}-1"), role, "jobs/Any");
        participant.inports.push(Port::new("IN", Some(queue.as_str().into())));
        client.announce(&participant).await.expect("it is announced");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_fail_are_parked_and_brought_back() {
    let (programs, broker) = (Programs::build(), virtual_host().await);
    let ignored = ["--ignore", "source,worker,failed"];
    let network = Network::run_with(programs.path("msgflo"), GRAPH, &json!({}), &broker, &ignored);
    let url = broker.parse().expect("the broker has a URL");
    let client = Amqp.client(&url).await.expect("the broker is there");
    play(&*client).await;
    network.wait_until_bound();

    // A worker that cannot do odd jobs, until it is repaired.
    let is_repaired = Arc::new(AtomicBool::new(false));
    let (done_in, mut done) = mpsc::unbounded_channel();
    let mut jobs = client.subscribe(&"worker.IN".into(), 4).await.expect("the queue is there");
    let worker = tokio::spawn({
        let is_repaired = is_repaired.clone();
        async move {
            while let Some(job) = jobs.next().await {
                let number: u64 = serde_json::from_slice(&job.message.payload).expect("a job is a number");
                if number.is_multiple_of(2) || is_repaired.load(Ordering::SeqCst) {
                    job.ack();
                    done_in.send(number).expect("somebody counts");
                } else {
                    job.nack();
                }
            }
        }
    });
    for number in 0..JOBS {
        let job = Message::json(&number).expect("it is JSON");
        client.send(&"source.OUT".into(), job).await.expect("the job is confirmed");
    }
    let observer = Amqp.broker(&url, BrokerOptions::default()).await.expect("the broker is there");
    let parked = async || loop {
        let depth = observer.depth(&"failed.IN".into()).await.expect("the queue is there");
        if depth.ready == JOBS / 2 {
            return;
        }
        tokio::task::yield_now().await;
    };
    timeout(PATIENCE, parked()).await.expect("every odd job is parked");

    let dlq = |arguments: &[&str]| {
        let output = Command::new(programs.path("msgflo"))
            .arg("dlq")
            .args(arguments)
            .args(["failed.IN", "--broker", &broker])
            .output()
            .expect("msgflo starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("it writes text")
    };
    assert_eq!(dlq(&["list"]), "10\tfailed.IN\n");
    let looked = dlq(&["peek", "--json"]);
    let looked: Vec<Value> =
        looked.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    assert_eq!(looked.len(), 10);
    assert!(
        looked.iter().all(|it| it["death"]["reason"] == "rejected" && it["death"]["queue"] == "worker.IN")
    );
    assert_eq!(dlq(&["drop", "--amount", "1"]), "1 dropped\n");
    is_repaired.store(true, Ordering::SeqCst);
    assert_eq!(dlq(&["requeue"]), "9 requeued\n");
    let mut numbers = BTreeSet::new();
    while numbers.len() < 19 {
        let number =
            timeout(PATIENCE, done.recv()).await.expect("the job is done").expect("the worker lives");
        assert!(numbers.insert(number), "{number} was done twice");
    }
    assert_eq!(dlq(&["list"]), "0\tfailed.IN\n");
    worker.abort();
    observer.close().await.expect("the observer leaves");
    client.close().await.expect("the participants leave");
    assert!(network.stop().success());
}

const TRIED_AGAIN: &str = "
source(jobs/Any) OUT -> IN shared(msgflo/RoundRobin) OUT -> IN worker(jobs/Any)
shared DEADLETTER -> IN failed(jobs/Any)
'400ms' -> DELAY shared
'2' -> RETRIES shared
";

/// Every job that fails is tried as often as the graph says, and parked then; one that succeeds later is done.
async fn jobs_that_fail_are_tried_again(programs: &Programs, broker: &str) {
    let ignored = ["--ignore", "source,worker,failed"];
    let network = Network::run_with(programs.path("msgflo"), TRIED_AGAIN, &json!({}), broker, &ignored);
    let url = if broker.starts_with("embedded:") { network.broker() } else { broker.to_owned() };
    let client = Amqp.client(&url.parse().expect("it is a URL")).await.expect("the broker is there");
    play(&*client).await;
    network.wait_until_bound();
    for number in 0..JOBS {
        let job = Message::json(&number).expect("it is JSON");
        client.send(&"source.OUT".into(), job).await.expect("the job is confirmed");
    }
    // Every third job always fails, every other third fails once.
    let mut jobs = client.subscribe(&"worker.IN".into(), 4).await.expect("the queue is there");
    let mut tries: BTreeMap<u64, u64> = BTreeMap::new();
    let expected: BTreeMap<u64, u64> = (0..JOBS).map(|job| (job, [3, 2, 1][(job % 3) as usize])).collect();
    while tries.values().sum::<u64>() < expected.values().sum() {
        let job = timeout(PATIENCE, jobs.next()).await.expect("a job comes").expect("more come");
        let number: u64 = serde_json::from_slice(&job.message.payload).expect("a job is a number");
        let tried = tries.entry(number).or_default();
        *tried += 1;
        if number.is_multiple_of(3) || (number % 3 == 1 && *tried == 1) { job.nack() } else { job.ack() }
    }
    assert_eq!(tries, expected);
    let mut parked = client.subscribe(&"failed.IN".into(), 0).await.expect("the queue is there");
    let mut failed = BTreeSet::new();
    while failed.len() < expected.values().filter(|tries| **tries == 3).count() {
        let job = timeout(PATIENCE, parked.next()).await.expect("it is parked").expect("more come");
        assert!(failed.insert(serde_json::from_slice::<u64>(&job.message.payload).expect("it is a number")));
        job.ack();
    }
    assert!(failed.iter().all(|job| job.is_multiple_of(3)), "{failed:?}");
    // Nothing waits anywhere: each is done or parked.
    let nodes = network.status()["nodes"].clone();
    let waiting = nodes.as_array().into_iter().flatten().flat_map(|node| node["queues"].as_array().cloned());
    assert!(waiting.flatten().all(|queue| queue["ready"] == 0), "{nodes}");
    client.close().await.expect("the participants leave");
    assert!(network.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_fail_are_tried_again_on_rabbitmq() {
    jobs_that_fail_are_tried_again(&Programs::build(), &virtual_host().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_fail_are_tried_again_on_the_embedded_broker() {
    jobs_that_fail_are_tried_again(&Programs::build(), "embedded:?port=0").await;
}

/// Refused messages that are large are not all taken into memory, and those that were not looked at are counted.
#[tokio::test(flavor = "multi_thread")]
async fn of_large_refused_messages_as_many_are_looked_at_as_there_is_room_for() {
    const MEGABYTE: usize = 1 << 20;
    const PARKED: usize = 70;
    let programs = Programs::build();
    let ignored = ["--ignore", "source,worker,failed"];
    let network = Network::run_with(programs.path("msgflo"), GRAPH, &json!({}), "embedded:?port=0", &ignored);
    let url = network.broker().parse().expect("it is a URL");
    let client = Amqp.client(&url).await.expect("the broker is there");
    play(&*client).await;
    network.wait_until_bound();
    for number in 0..PARKED {
        let mut payload = vec![b'x'; MEGABYTE];
        payload[0] = u8::try_from(number).expect("a small number");
        client.send_to_queue(&"failed.IN".into(), Message::new(payload)).await.expect("it is confirmed");
    }
    let queue = format!("{}/api/deadletters/failed.IN", network.page());
    provide_tls();
    let asker = reqwest::Client::new();
    let peek = async |query: &str| -> Value {
        let answer = asker.get(format!("{queue}{query}")).send().await.expect("it answers");
        answer.json().await.expect("it is JSON")
    };
    let shown = peek("").await;
    let seen = shown["messages"].as_array().expect("messages").len();
    assert!((10..=16).contains(&seen), "{seen} of a megabyte are shown");
    assert_eq!(shown["unseen"], PARKED - seen);
    assert_eq!(peek("?limit=1").await["unseen"], PARKED - 1);

    let ask = async |command: &str, body: Value| -> (u16, Value) {
        let answer = asker.post(format!("{queue}/{command}")).json(&body).send().await.expect("it answers");
        (answer.status().as_u16(), answer.json().await.expect("it is JSON"))
    };
    let (status, refused) = ask("drop", json!({"ids": ["0123456789abcdef"]})).await;
    let message = refused["message"].as_str().expect("a message");
    assert!(status == 409 && message.contains("were not looked at"), "{status} {message}");
    let chosen = shown["messages"][1]["id"].clone();
    assert_eq!(ask("drop", json!({"ids": [chosen]})).await.1["dropped"], 1);
    let (_, dropped) = ask("drop", json!({"all": true})).await;
    let (gone, left) = (dropped["dropped"].as_u64(), dropped["unseen"].as_u64());
    assert!(gone.is_some_and(|gone| (60..=64).contains(&gone)), "{dropped}");
    assert_eq!(gone.zip(left).map(|(gone, left)| gone + left), Some(PARKED as u64 - 1));
    client.close().await.expect("the participants leave");
    assert!(network.stop().success());
}
