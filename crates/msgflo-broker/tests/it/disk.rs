//! Disks that are full or cannot be written to: small file systems of their own, in a namespace of the broker's process.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lapin::options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use tempfile::TempDir;

use crate::support::PATIENCE;

/// A broker whose folder is a file system with these options, mounted for its process only.
struct Broker {
    process: Child,
    folder: TempDir,
}

/// With a namespace of users anybody may mount. Where that is refused, as it is below a changed root, root may; there the root
/// is no mount whose propagation could be changed.
fn mounts_of_its_own() -> &'static [&'static str] {
    const WAYS: [&[&str]; 3] =
        [&["--user", "--map-root-user", "--mount"], &["--mount"], &["--mount", "--propagation", "unchanged"]];
    let works = |way: &&&[&str]| {
        let tried = Command::new("unshare").args(**way).arg("true").stderr(Stdio::null()).status();
        tried.expect("unshare is part of every Linux").success()
    };
    WAYS.iter().find(works).copied().unwrap_or(WAYS[0])
}

impl Broker {
    fn start(options: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let script = format!("mount -t tmpfs -o {options} tmpfs \"$1\" && exec \"$0\" 0 \"$1\"");
        let process = Command::new("unshare")
            .args(mounts_of_its_own())
            .args(["sh", "-c", &script])
            .arg(crate::crash::serve())
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("unshare is part of every Linux");
        Self { process, folder }
    }

    fn url(&mut self) -> String {
        let mut url = String::new();
        let output = self.process.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut url).expect("the URL");
        assert!(url.starts_with("amqp://"), "the broker did not start: {}", self.complaint());
        url.trim().to_owned()
    }

    fn complaint(&mut self) -> String {
        let mut text = String::new();
        let mut errors = self.process.stderr.take().expect("piped");
        errors.read_to_string(&mut text).expect("text");
        text
    }

    /// A file beside the broker's, as its process sees them.
    fn beside(&self, name: &str) -> PathBuf {
        let root = format!("/proc/{}/root{}", self.process.id(), self.folder.path().display());
        PathBuf::from(root).join(name)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn open(url: &str) -> (Connection, Channel) {
    let connection =
        Connection::connect(url, ConnectionProperties::default()).await.expect("the broker serves");
    let channel = connection.create_channel().await.expect("a channel");
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare("q".into(), durable, FieldTable::default()).await.expect("a queue");
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    (connection, channel)
}

/// Publishes a message of 1 MB and waits for its confirm.
async fn publish(channel: &Channel) -> Confirmation {
    try_publish(channel).await.expect("an answer")
}

async fn try_publish(channel: &Channel) -> Result<Confirmation, lapin::Error> {
    let properties = BasicProperties::default().with_delivery_mode(2);
    let options = BasicPublishOptions::default();
    let body = vec![7; 1 << 20];
    channel.basic_publish("".into(), "q".into(), options, &body, properties).await?.await
}

/// So long a confirm that will not come is waited for.
const VAIN: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_confirms_nothing_and_goes_on_when_there_is_room() {
    let mut broker = Broker::start("size=200m");
    let url = broker.url();
    let (_connection, channel) = open(&url).await;
    assert!(publish(&channel).await.is_ack());
    // Somebody else takes all that is left.
    let filler = broker.beside("filler");
    let piece = vec![0; 1 << 20];
    let mut file = fs::File::create(&filler).expect("the broker's file system");
    while std::io::Write::write_all(&mut file, &piece).is_ok() {}
    let mut late = Box::pin(publish(&channel));
    assert!(tokio::time::timeout(VAIN, &mut late).await.is_err(), "confirmed, and there was no room");
    // Others are served: what is there can be read.
    let _other = open_reader(&url).await;
    fs::remove_file(&filler).expect("the filler");
    drop(file);
    assert!(tokio::time::timeout(PATIENCE, late).await.expect("a late confirm").is_ack());
}

/// Gets the first message and gives it back.
async fn open_reader(url: &str) -> Connection {
    let connection =
        Connection::connect(url, ConnectionProperties::default()).await.expect("the broker serves");
    let channel = connection.create_channel().await.expect("a channel");
    let got = channel.basic_get("q".into(), BasicGetOptions::default()).await.expect("an answer");
    assert_eq!(got.expect("the first message").delivery.data.len(), 1 << 20);
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn room_is_kept_for_making_room() {
    let mut broker = Broker::start("size=160m");
    let url = broker.url();
    let (_connection, channel) = open(&url).await;
    let mut count = 0_u32;
    // The one that is not confirmed is not merely late: for half of this time the broker waits for room for the rest of a
    // message, and then it ends the connection.
    while let Ok(Ok(Confirmation::Ack(_))) = tokio::time::timeout(PATIENCE, try_publish(&channel)).await {
        count += 1;
    }
    assert!((80..110).contains(&count), "{count} MB of 160 were taken");
    // Consumers make room, and publishers go on.
    let (connection, reader) = {
        let connection = Connection::connect(&url, ConnectionProperties::default()).await.expect("served");
        let reader = connection.create_channel().await.expect("a channel");
        (connection, reader)
    };
    let mut taken = 0;
    while reader.basic_get("q".into(), BasicGetOptions { no_ack: true }).await.expect("an answer").is_some() {
        taken += 1;
    }
    assert!(taken >= count, "{taken} of {count}");
    let waiting = async {
        let (_connection, channel) = open(&url).await;
        publish(&channel).await
    };
    let confirm = tokio::time::timeout(PATIENCE, waiting).await.expect("there is room again");
    assert!(confirm.is_ack());
    connection.close(200, "".into()).await.expect("the connection closes");
}

#[test]
fn a_disk_that_cannot_be_written_to_is_an_error_at_the_start() {
    let mut broker = Broker::start("size=1m,ro");
    let complaint = broker.complaint();
    assert!(!broker.process.wait().expect("it ends").success());
    assert!(complaint.contains("cannot keep messages in"), "{complaint}");
    assert!(complaint.contains(&*broker.folder.path().to_string_lossy()), "{complaint}");
}
