//! A `msgflo broker` of a test's own, in memory, that it may kill and start again.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::own_rabbitmq::free_ports;

/// How long it may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// A running broker that forgets everything when it ends. Dropped, it is ended.
pub struct OwnBroker {
    msgflo: PathBuf,
    port: u16,
    process: Child,
}

impl OwnBroker {
    /// Starts one.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(msgflo: &Path) -> Self {
        let [port] = free_ports();
        Self { msgflo: msgflo.to_owned(), port, process: start(msgflo, port) }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}", self.port)
    }

    /// Ends it by SIGKILL.
    ///
    /// # Panics
    /// When it had ended by itself.
    pub fn kill(&mut self) {
        assert_eq!(self.process.try_wait().expect("the process is ours"), None, "the broker has ended");
        self.process.kill().expect("the process is ours");
        self.process.wait().expect("the process is ours");
    }

    /// Starts it once more, after it was killed: empty, at the same address.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        self.process = start(&self.msgflo, self.port);
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn start(msgflo: &Path, port: u16) -> Child {
    let process = Command::new(msgflo)
        .args(["broker", &format!("embedded:?port={port}"), "--management", "off"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("msgflo starts");
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(Instant::now() < deadline, "the broker does not come up");
        thread::sleep(PAUSE);
    }
    process
}
