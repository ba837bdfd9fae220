//! A network that `msgflo run` runs.

use std::fs;
use std::path::{Path, PathBuf};
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
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    process: Child,
    folder: TempDir,
    url: String,
}

impl Network {
    /// Runs `graph`, a text of the .fbp language, with the component library `library`, on `broker`.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn run(msgflo: &Path, graph: &str, library: &Value, broker: &str) -> Self {
        Self::run_with(msgflo, graph, library, broker, &[])
    }

    /// The same, with further arguments of `msgflo run`.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn run_with(msgflo: &Path, graph: &str, library: &Value, broker: &str, further: &[&str]) -> Self {
        Self::run_in(msgflo, graph, library, broker, further, &[])
    }

    /// The same, with variables in its environment.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn run_in(
        msgflo: &Path,
        graph: &str,
        library: &Value,
        broker: &str,
        further: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str| folder.path().join(name);
        fs::write(file("network.fbp"), graph).expect("the graph is written");
        fs::write(file("package.json"), library.to_string()).expect("the library is written");
        let fixed = [
            "run",
            "network.fbp",
            "--port",
            "0",
            "--url-file",
            "url",
            "--state",
            "state",
            "--broker",
            broker,
        ];
        let arguments: Vec<String> =
            fixed.iter().chain(further).map(|argument| (*argument).to_owned()).collect();
        let environment: Vec<(String, String)> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let process = start(msgflo, &arguments, &environment, folder.path());
        let msgflo = msgflo.to_owned();
        let mut network = Self { msgflo, arguments, environment, process, folder, url: String::new() };
        network.wait_until_up();
        network
    }

    /// Ends it by SIGKILL.
    ///
    /// # Panics
    /// When it had ended by itself.
    pub fn kill(&mut self) {
        let ended = self.process.try_wait().expect("the process is ours");
        assert!(ended.is_none(), "msgflo had ended by itself, {ended:?}:\n{}", self.log());
        self.process.kill().expect("the process is ours");
        self.process.wait().expect("the process is ours");
    }

    /// Starts it once more, after it has ended.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_again(&mut self) {
        fs::remove_file(self.folder.path().join("url")).expect("it was up before");
        self.process = start(&self.msgflo, &self.arguments, &self.environment, self.folder.path());
        self.wait_until_up();
    }

    fn wait_until_up(&mut self) {
        let file = self.folder.path().join("url");
        let written = || fs::read_to_string(&file).ok().filter(|url| url.ends_with('\n'));
        self.url = self.wait_for("the HTTP interface", written).trim().to_owned();
    }

    /// Where it speaks the FBP runtime protocol.
    pub fn socket(&self) -> String {
        self.url.replacen("http", "ws", 1)
    }

    /// Where a browser finds it.
    pub fn page(&self) -> String {
        self.url.clone()
    }

    /// What `msgflo status` says.
    ///
    /// # Panics
    /// When it does not answer.
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

    /// Asks it to stop.
    pub fn ask_to_stop(&self) {
        self.signal(Signal::TERM);
    }

    /// Asks it to stop, and waits until it has; how it ended.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().expect("the process is ours") {
                if !status.success() {
                    eprintln!("msgflo ended with {status}:\n{}", self.log());
                }
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

    /// Waits until `look` finds something.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait_for<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < deadline, "{what} did not come:\n{}", self.log());
            thread::sleep(PAUSE);
        }
    }

    /// The graph as it is in its file.
    pub fn graph(&self) -> String {
        fs::read_to_string(self.folder.path().join("network.fbp")).unwrap_or_default()
    }

    /// What it and its participants have printed.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

fn start(msgflo: &Path, arguments: &[String], environment: &[(String, String)], folder: &Path) -> Child {
    let log = fs::File::options().create(true).append(true).open(folder.join("log")).expect("a log is made");
    Command::new(msgflo)
        .args(arguments)
        .current_dir(folder)
        .env_remove("MSGFLO_BROKER")
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log is shared"))
        .stderr(log)
        .spawn()
        .expect("msgflo starts")
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
