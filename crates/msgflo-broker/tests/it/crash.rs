//! A broker that is killed at random moments, again and again, with the same folder: whatever was confirmed is there,
//! nothing comes back whose acknowledgement was answered for, and it recovers every time.
//!
//! A few rounds by default; `CRASH_ROUNDS=200` for many. The choices come from a seed, which a failure prints (`SEED`
//! sets it); the moments themselves are the machine's.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tempfile::TempDir;

const QUEUE: &str = "q";
/// With more than this in the queue after a round, all of it is taken out: looking at it takes the longer the more there is.
const MANY: usize = 2000;
/// For so long there are more rounds where in all of them nothing was answered for: a slow machine is no failure.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a client may take to notice that its broker was killed.
const GRIEF: Duration = Duration::from_secs(2);

/// The program `serve`, which is built with the tests.
pub(crate) fn serve() -> PathBuf {
    let test = std::env::current_exe().expect("the test is a file");
    let profile = test.parent().and_then(Path::parent).expect("target/PROFILE/deps/it");
    profile.join("examples/serve")
}

struct Broker {
    process: Child,
    url: String,
}

impl Broker {
    fn start(folder: &Path) -> Self {
        let mut process = Command::new(serve())
            .arg("0")
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("serve was built with the tests");
        let mut url = String::new();
        let output = process.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut url).expect("the URL");
        assert!(url.starts_with("amqp://"), "the broker did not start");
        Self { process, url: url.trim().to_owned() }
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }
}

/// What the clients know.
#[derive(Default)]
struct Ledger {
    next: u64,
    /// Confirmed and not taken out.
    confirmed: BTreeSet<u64>,
    /// Taken out, and that was answered for.
    settled: BTreeSet<u64>,
    /// Taken out or perhaps so.
    doubtful: BTreeSet<u64>,
}

async fn open(url: &str) -> Result<(Connection, Channel), lapin::Error> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    Ok((connection, channel))
}

/// Publishes until the broker is gone.
async fn publish(url: &str, ledger: &Mutex<Ledger>) -> Result<(), lapin::Error> {
    let (_connection, channel) = open(url).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    loop {
        let mut waiting = Vec::new();
        for _ in 0..20 {
            let number = {
                let mut ledger = ledger.lock().expect("no panic");
                ledger.next += 1;
                ledger.next
            };
            let body = number.to_be_bytes();
            let properties = BasicProperties::default().with_delivery_mode(2);
            let options = BasicPublishOptions::default();
            let confirm = channel.basic_publish("".into(), QUEUE.into(), options, &body, properties).await?;
            waiting.push((number, confirm));
        }
        for (number, confirm) in waiting {
            assert!(confirm.await?.is_ack());
            ledger.lock().expect("no panic").confirmed.insert(number);
        }
    }
}

/// Takes messages out until the broker is gone; every few ones by a transaction or by closing the channel, which are
/// answered when the acknowledgements are safe.
async fn take(url: &str, ledger: &Mutex<Ledger>) -> Result<(), lapin::Error> {
    let (connection, _) = open(url).await?;
    for round in 0_u32.. {
        let channel = connection.create_channel().await?;
        if round % 2 == 0 {
            channel.tx_select().await?;
        }
        let mut taken = Vec::new();
        for _ in 0..10 {
            let Some(message) = channel.basic_get(QUEUE.into(), BasicGetOptions::default()).await? else {
                break;
            };
            let number = u64::from_be_bytes(message.delivery.data[..].try_into().expect("a number"));
            {
                let mut ledger = ledger.lock().expect("no panic");
                assert!(!ledger.settled.contains(&number), "message {number} came back");
                ledger.doubtful.insert(number);
            }
            message.delivery.ack(BasicAckOptions::default()).await?;
            taken.push(number);
        }
        if round % 2 == 0 {
            channel.tx_commit().await?;
        }
        channel.close(200, "".into()).await?;
        ledger.lock().expect("no panic").settled.extend(taken);
    }
    Ok(())
}

fn random(state: &mut u64) -> u64 {
    // splitmix64
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = *state;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_message_survives_every_kill() {
    let number = |variable: &str| std::env::var(variable).ok().map(|text| text.parse().expect("a number"));
    let rounds: u64 = number("CRASH_ROUNDS").unwrap_or(6);
    let seed = number("SEED").unwrap_or_else(|| std::process::id().into());
    let mut state = seed;
    let folder = TempDir::new().expect("a folder");
    let ledger = Arc::new(Mutex::new(Ledger::default()));

    let mut broker = Broker::start(folder.path());
    let (_connection, channel) = open(&broker.url).await.expect("the broker serves");
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(QUEUE.into(), durable, FieldTable::default()).await.expect("a queue");
    let started = Instant::now();
    let nothing_happened = || ledger.lock().expect("no panic").settled.is_empty();
    let mut round = 0;
    while round < rounds || (nothing_happened() && started.elapsed() < PATIENCE) {
        round += 1;
        let url = broker.url.clone();
        let clients = [
            tokio::spawn({
                let (url, ledger) = (url.clone(), ledger.clone());
                async move { publish(&url, &ledger).await }
            }),
            tokio::spawn({
                let ledger = ledger.clone();
                async move { take(&url, &ledger).await }
            }),
        ];
        // The moment of the kill is what is random here; nothing is waited for, but further rounds may be longer.
        let longest = 300 * (1 + round.saturating_sub(rounds));
        tokio::time::sleep(Duration::from_millis(20 + random(&mut state) % longest)).await;
        broker.kill();
        for mut client in clients {
            // The client library does not always notice; what it waits for will not come any more.
            match tokio::time::timeout(GRIEF, &mut client).await {
                Ok(Ok(ended)) => assert!(ended.is_err(), "the broker was killed"),
                Ok(Err(panic)) => panic!("SEED={seed}, round {round}: {panic}"),
                Err(_) => client.abort(),
            }
        }
        broker = Broker::start(folder.path());
        check(&broker.url, &ledger, &format!("SEED={seed}, round {round}")).await;
        std::io::stderr().write_all(b".").expect("standard error");
    }
    broker.kill();
    let ledger = ledger.lock().expect("no panic");
    eprintln!("{} published, {} settled in {round} rounds", ledger.next, ledger.settled.len());
    assert!(ledger.next > 0 && !ledger.settled.is_empty(), "nothing happened");
}

/// Looks at everything in the queue, and leaves it there unless it has become much.
async fn check(url: &str, ledger: &Mutex<Ledger>, when: &str) {
    let (connection, channel) = open(url).await.expect("the broker serves after its restart");
    let mut found = Vec::new();
    while let Some(message) =
        channel.basic_get(QUEUE.into(), BasicGetOptions::default()).await.expect("the queue is there")
    {
        found.push(u64::from_be_bytes(message.delivery.data[..].try_into().expect("a number")));
    }
    assert!(found.is_sorted(), "{when}: out of order");
    compare(found.iter().copied().collect(), ledger, when);
    let is_much = found.len() > MANY;
    if is_much {
        channel.basic_ack(0, BasicAckOptions { multiple: true }).await.expect("all are acknowledged");
    }
    // Else the messages go back with the channel.
    channel.close(200, "".into()).await.expect("the channel closes");
    if is_much {
        let mut ledger = ledger.lock().expect("no panic");
        ledger.confirmed.clear();
        ledger.settled.extend(found);
    }
    connection.close(200, "".into()).await.expect("the connection closes");
}

/// What is in the queue against what the clients know.
fn compare(found: BTreeSet<u64>, ledger: &Mutex<Ledger>, when: &str) {
    let mut ledger = ledger.lock().expect("no panic");
    let lost: Vec<_> = ledger.confirmed.difference(&found).filter(|n| !ledger.doubtful.contains(n)).collect();
    assert!(lost.is_empty(), "{when}: confirmed and lost: {lost:?}");
    let back: Vec<_> = ledger.settled.intersection(&found).collect();
    assert!(back.is_empty(), "{when}: answered for and back: {back:?}");
    // What is still there was not settled after all.
    ledger.doubtful.retain(|number| !found.contains(number));
    let gone = ledger.doubtful.clone();
    ledger.confirmed = &found - &gone;
}
