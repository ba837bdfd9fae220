//! A Mosquitto of a test's own.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long it may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running Mosquitto, which lets everybody in who names no user. Dropped, it is ended.
pub struct Mosquitto {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl Mosquitto {
    /// Starts one.
    ///
    /// # Panics
    /// When it is not installed, or does not start.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts one with further lines of configuration, in which `#FOLDER` is a folder of its own.
    ///
    /// # Panics
    /// When it is not installed, or does not start.
    pub fn start_with(configuration: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // The users that it knows: none. So whoever names one is refused.
        std::fs::write(folder.path().join("users"), "").expect("a file is written");
        loop {
            // Free a moment ago. Should somebody else take it, Mosquitto ends, and another one is tried.
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
            let port = listener.local_addr().expect("a bound socket has an address").port();
            drop(listener);
            let mut process = start(folder.path(), port, configuration);
            if comes_up(&mut process, port) {
                return Self { process, port, folder };
            }
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Waits until it accepts connections at another port, too: one of the further lines of its configuration.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait_for(&mut self, port: u16) {
        assert!(comes_up(&mut self.process, port), "Mosquitto has ended");
    }

    /// Its folder, where it keeps what it is configured to keep.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

fn start(folder: &Path, port: u16, configuration: &str) -> Child {
    let at = |name: &str| folder.join(name).display().to_string();
    let text = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\npassword_file {}\nmax_queued_messages 0\n{}\n",
        at("users"),
        configuration.replace("#FOLDER", &folder.display().to_string())
    );
    std::fs::write(at("mosquitto.conf"), text).expect("a file is written");
    let log = std::fs::File::create(at("log")).expect("a file is made");
    // As root, Mosquitto would become a user who cannot read the folder.
    Command::new(program())
        .args(["-c", &at("mosquitto.conf"), "-v"])
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log is shared"))
        .stderr(log)
        .spawn()
        .expect("Mosquitto starts: `make test` installs it")
}

/// Debian has it in a folder that is in the PATH of root only.
fn program() -> PathBuf {
    let debian = Path::new("/usr/sbin/mosquitto");
    if debian.exists() { debian.to_owned() } else { "mosquitto".into() }
}

fn comes_up(process: &mut Child, port: u16) -> bool {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if process.try_wait().expect("the process is ours").is_some() {
            return false;
        }
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return true;
        }
        assert!(Instant::now() < deadline, "Mosquitto does not start");
        thread::sleep(Duration::from_millis(10));
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default());
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
