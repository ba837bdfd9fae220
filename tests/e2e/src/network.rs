//! A network that `msgflo run` runs.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde_json::Value;
use tempfile::TempDir;
use url::Url;

/// How long something that must come is waited for. Long, since a busy machine is no failure.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// A running `msgflo run`. Dropped, it is ended.
pub struct Network {
    msgflo: PathBuf,
    process: Child,
    folder: TempDir,
    url: String,
}

impl Network {
    /// Runs `graph`, a text of the .fbp language, with the component library `library`, on `broker`.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn run(msgflo: &PathBuf, graph: &str, library: &Value, broker: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str| folder.path().join(name);
        fs::write(file("network.fbp"), graph).expect("the graph is written");
        fs::write(file("package.json"), library.to_string()).expect("the library is written");
        let log = fs::File::create(file("log")).expect("a log is made");
        let process = Command::new(msgflo)
            .args(["run", "network.fbp", "--port", "0", "--url-file", "url", "--state", "state"])
            .args(["--broker", broker])
            .current_dir(folder.path())
            .env_remove("MSGFLO_BROKER")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log is shared"))
            .stderr(log)
            .spawn()
            .expect("msgflo starts");
        let mut network = Self { msgflo: msgflo.clone(), process, folder, url: String::new() };
        let url = network.folder.path().join("url");
        network.url = network
            .wait_for("the HTTP interface", || {
                fs::read_to_string(&url).ok().filter(|url| url.ends_with('\n'))
            })
            .trim()
            .to_owned();
        network
    }

    /// What `msgflo status` says.
    pub fn status(&self) -> Value {
        let Output { status, stdout, stderr } = Command::new(&self.msgflo)
            .args(["status", "--json", "--url", &self.url])
            .output()
            .expect("msgflo starts");
        assert!(status.success(), "status: {status}: {}", String::from_utf8_lossy(&stderr));
        serde_json::from_slice(&stdout).expect("the status is JSON")
    }

    /// Waits until every connection is made; the status then.
    pub fn wait_until_bound(&self) -> Value {
        self.wait_for("every connection", || {
            let status = self.status();
            let edges = status["edges"].as_array().expect("there are edges");
            edges.iter().all(|edge| edge["state"] == "bound").then_some(status)
        })
    }

    /// The URL of the broker, with the credentials that everybody knows.
    pub fn broker(&self) -> String {
        let status = self.status();
        let shown = status["broker"].as_str().expect("the status names the broker");
        let mut url: Url = shown.parse().expect("it is named by its URL");
        url.set_username("guest").expect("a broker's URL takes a user");
        url.set_password(Some("guest")).expect("a broker's URL takes a password");
        url.into()
    }

    /// The processes that it runs.
    pub fn processes(&self) -> Vec<Pid> {
        let status = self.status();
        let nodes = status["nodes"].as_array().expect("there are nodes");
        let pids = nodes.iter().filter_map(|node| node["process"]["pids"].as_array()).flatten();
        pids.filter_map(|pid| Pid::from_raw(pid.as_i64()?.try_into().ok()?)).collect()
    }

    /// Asks it to stop, and waits until it has; how it ended.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().expect("the process is ours") {
                return status;
            }
            assert!(Instant::now() < deadline, "msgflo does not stop:\n{}", self.log());
            thread::sleep(PAUSE);
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).expect("a process has an id");
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, signal);
    }

    fn wait_for<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < deadline, "{what} did not come:\n{}", self.log());
            thread::sleep(PAUSE);
        }
    }

    /// What it and its participants have printed.
    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.log());
        }
        // Its own guard ends what it has started.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
