//! A RabbitMQ of a test's own, that it may stop and start.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

/// How long it may take to start or to stop on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// What Debian's `rabbitmq-server` wraps, and where other distributions have it.
const SERVERS: [&str; 3] = [
    "/usr/lib/rabbitmq/bin/rabbitmq-server",
    "/opt/homebrew/sbin/rabbitmq-server",
    "/usr/local/sbin/rabbitmq-server",
];

/// A running RabbitMQ that keeps its data while it is stopped. Dropped, it is ended.
pub struct OwnRabbitMq {
    folder: TempDir,
    amqp: u16,
    epmd: u16,
    distribution: u16,
    /// The port mapper of its Erlang, which would stay as a daemon otherwise.
    mapper: Child,
    node: Option<Child>,
}

impl OwnRabbitMq {
    /// Starts one.
    ///
    /// # Panics
    /// When it is not installed, or does not start.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [amqp, epmd, distribution] = free_ports();
        let mapper = Command::new("epmd")
            .args(["-port", &epmd.to_string(), "-address", "127.0.0.1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("Erlang's port mapper starts: `make test` installs it");
        let mut own = Self { folder, amqp, epmd, distribution, mapper, node: None };
        own.wait_until("the port mapper", |own| accepts(own.epmd));
        let configuration = format!("listeners.tcp.1 = 127.0.0.1:{amqp}\n");
        for (name, text) in [
            ("rabbitmq.conf", configuration.as_str()),
            ("enabled_plugins", "[].\n"),
            ("rabbitmq-env.conf", ""),
            ("advanced.config", "[].\n"),
        ] {
            fs::write(own.at(name), text).expect("a file is written");
        }
        own.start_again();
        own
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}", self.amqp)
    }

    /// Stops it, as an administrator does.
    ///
    /// # Panics
    /// When it does not stop.
    pub fn stop(&mut self) {
        signal(self.node.as_ref(), Signal::TERM);
        self.wait_until("its end", |own| {
            own.node.as_mut().is_none_or(|node| node.try_wait().expect("the process is ours").is_some())
                && !accepts(own.amqp)
        });
        self.node = None;
    }

    /// Starts it, with the data that it had.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        let program = SERVERS.into_iter().find(|program| Path::new(program).exists());
        let log = fs::File::options().create(true).append(true).open(self.at("log")).expect("a log is made");
        let mut command = Command::new(program.expect("RabbitMQ is installed by `make test`"));
        command
            .env("HOME", self.folder.path())
            .env("ERL_EPMD_PORT", self.epmd.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", format!("msgflo-{}@localhost", self.amqp))
            .env("RABBITMQ_DIST_PORT", self.distribution.to_string())
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
            .env("RABBITMQ_CONF_ENV_FILE", self.at("rabbitmq-env.conf"))
            .env("RABBITMQ_CONFIG_FILE", self.at("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", self.at("advanced.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", self.at("enabled_plugins"))
            .env("RABBITMQ_MNESIA_BASE", self.at("data"))
            .env("RABBITMQ_LOG_BASE", self.at("logs"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_PID_FILE", self.at("pid"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log is shared"))
            .stderr(log)
            // A script that starts the node: both are ended as one.
            .process_group(0);
        self.node = Some(command.spawn().expect("RabbitMQ starts"));
        self.wait_until("RabbitMQ", |own| accepts(own.amqp));
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn wait_until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            let log = || fs::read_to_string(self.at("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "{what} did not come:\n{}", log());
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for OwnRabbitMq {
    fn drop(&mut self) {
        signal(self.node.as_ref(), Signal::KILL);
        if let Some(node) = &mut self.node {
            let _ = node.wait();
        }
        let _ = self.mapper.kill();
        let _ = self.mapper.wait();
    }
}

fn signal(node: Option<&Child>, signal: Signal) {
    let group = node.and_then(|node| Pid::from_raw(i32::try_from(node.id()).ok()?));
    if let Some(group) = group {
        // It may have ended by itself.
        let _ = kill_process_group(group, signal);
    }
}

fn accepts(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Ports that were free a moment ago.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let listeners: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free"));
    listeners.map(|listener| listener.local_addr().expect("a bound socket has an address").port())
}
