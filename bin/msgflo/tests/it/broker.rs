//! `msgflo broker`: its start, its end, and definitions out and in.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::Call;

/// A broker that runs, on any free ports.
struct Broker {
    process: Child,
    lines: std::io::Lines<BufReader<ChildStderr>>,
    notified: UnixDatagram,
}

impl Broker {
    fn start(call: &Call, url: &str) -> Self {
        Self::start_with(call, url, &[])
    }

    fn start_with(call: &Call, url: &str, more: &[&str]) -> Self {
        let socket = call.path().join(format!("notify-{}", url.len()));
        let notified = UnixDatagram::bind(&socket).expect("a socket");
        notified.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
        let mut process = Command::new(env!("CARGO_BIN_EXE_msgflo"))
            .args(["broker", url, "--management", "127.0.0.1:0"])
            .args(more)
            .current_dir(call.path())
            .env("NO_COLOR", "1")
            .env("NOTIFY_SOCKET", &socket)
            .stderr(Stdio::piped())
            .spawn()
            .expect("msgflo starts");
        let lines = BufReader::new(process.stderr.take().expect("piped")).lines();
        let mut broker = Self { process, lines, notified };
        assert_eq!(broker.state(), "READY=1");
        broker
    }

    /// What the service manager is told next.
    fn state(&mut self) -> String {
        let mut bytes = [0; 100];
        let length = self.notified.recv(&mut bytes).expect("the service manager is told in time");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    /// What stands behind these words on standard error.
    fn said(&mut self, before: &str) -> String {
        let said = self.lines.by_ref().map(|line| line.expect("text"));
        let line = said.map(|line| line.strip_prefix(before).map(str::to_owned)).find_map(|rest| rest);
        line.unwrap_or_else(|| panic!("`{before}` was not said"))
    }

    fn terminate(&mut self) -> i32 {
        let id = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it runs");
        assert_eq!(self.state(), "STOPPING=1");
        self.process.wait().expect("it ends").code().expect("by itself")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const DEFINITIONS: &str = r#"{"users": [{"name": "x", "password_hash": "y", "tags": ""}],
    "queues": [{"name": "q", "vhost": "/", "durable": true, "auto_delete": false, "arguments": {"x-max-length": 5}}]}"#;

#[test]
fn it_serves_until_it_is_told_to_end_and_finds_everything_again() {
    let call = Call::with(&[("definitions.json", DEFINITIONS)]);
    let mut broker = Broker::start(&call, "embedded:kept?port=0");
    assert!(broker.said("broker: amqp://127.0.0.1:").ends_with("(embedded, kept in kept)"));
    let management = broker.said("management: ");
    let with_user = management.replace("//", "//guest:guest@");
    let (status, _, complaint) =
        call.msgflo(&["broker", "import", "definitions.json", "--management", &with_user]);
    assert_eq!((status, complaint.as_str()), (0, "users are not imported\n"));
    assert_eq!(broker.terminate(), 0);

    let mut broker = Broker::start(&call, "embedded:./kept?port=0");
    let with_user = broker.said("management: ").replace("//", "//guest:guest@");
    let (status, exported, _) = call.msgflo(&["broker", "export", "--management", &with_user]);
    assert_eq!(status, 0);
    let exported: Value = serde_json::from_str(&exported).expect("JSON");
    assert_eq!(exported["queues"][0]["arguments"]["x-max-length"], 5);
    let (status, _, complaint) = call.msgflo(&["broker", "export", "--management", &management]);
    assert_eq!(status, 1, "{complaint}");
    assert_eq!(broker.terminate(), 0);
}

#[test]
fn what_cannot_be_is_said() {
    let call = Call::with(&[("none.json", "{"), ("file", "")]);
    for (arguments, status, part) in [
        (&["broker", "embedded://0.0.0.0:0"][..], 78, "USER:PASSWORD"),
        (&["broker", "embedded:?port=0", "--definitions-file", "none.json"], 78, "definitions"),
        (&["broker", "embedded:file?port=0", "--management", "off"], 1, "cannot keep messages in file"),
        (&["broker", "embedded:", "--management", "nowhere"], 78, "127.0.0.1:15672"),
        (&["broker", "embedded:", "--memory-limit", "much"], 2, "no unit"),
    ] {
        let (code, _, complaint) = call.msgflo(arguments);
        assert_eq!(code, status, "{arguments:?}: {complaint}");
        assert!(complaint.contains(part), "{arguments:?}: {complaint}");
    }
}

#[cfg(feature = "mqtt")]
#[test]
fn it_serves_devices_beside() {
    let call = Call::with(&[]);
    let mut broker = Broker::start_with(&call, "embedded:both?port=0", &["--mqtt", "0"]);
    let devices = broker.said("for devices: mqtt://");
    let mut stream = TcpStream::connect(devices).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
    // CONNECT of MQTT 3.1.1, clean, as the client `me`; CONNACK: accepted.
    stream.write_all(b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02me").expect("it reads");
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).expect("it answers");
    assert_eq!(answer, [0x20, 2, 0, 0]);
    drop(stream);
    assert_eq!(broker.terminate(), 0);
    assert!(call.path().join("both/mqtt").is_dir());
}
