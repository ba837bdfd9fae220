//! A `msgflo broker` of a test's own, that it may kill and start again.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::own_rabbitmq::free_ports;

/// How long it may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// A running broker. Dropped, it is ended.
pub struct OwnBroker {
    msgflo: PathBuf,
    port: u16,
    /// Where it keeps what is durable.
    folder: Option<TempDir>,
    process: Child,
}

impl OwnBroker {
    /// Starts one that forgets everything when it ends.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(msgflo: &Path) -> Self {
        Self::start_in(msgflo, None)
    }

    /// Starts one that keeps what is durable.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_durable(msgflo: &Path) -> Self {
        Self::start_in(msgflo, Some(tempfile::tempdir().expect("a temporary folder")))
    }

    fn start_in(msgflo: &Path, folder: Option<TempDir>) -> Self {
        // Should somebody else take the port meanwhile, the broker ends, and another one is tried.
        let mut tries = (0..5).map(|_| {
            let [port] = free_ports();
            (port, start(msgflo, folder.as_ref(), port))
        });
        let up = tries.find_map(|(port, process)| Some((port, process?)));
        let (port, process) = up.expect("the broker starts");
        Self { msgflo: msgflo.to_owned(), port, folder, process }
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

    /// Starts it once more, after it was killed, at the same address.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        let process = start(&self.msgflo, self.folder.as_ref(), self.port);
        self.process = process.expect("nobody has taken its port meanwhile");
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `None` if it ends at once.
fn start(msgflo: &Path, folder: Option<&TempDir>, port: u16) -> Option<Child> {
    let path = folder.map(|folder| folder.path().display().to_string()).unwrap_or_default();
    let mut process = Command::new(msgflo)
        .args(["broker", &format!("embedded:{path}?port={port}"), "--management", "off"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("msgflo starts");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let is_heard = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        if process.try_wait().expect("the process is ours").is_some() {
            return None;
        }
        if is_heard {
            return Some(process);
        }
        assert!(Instant::now() < deadline, "the broker does not come up");
        thread::sleep(PAUSE);
    }
}
