//! `msgflo run` as a child of the demo.

use std::fs::File;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::process::{Child, Command};

/// How long msgflo may take to end what it started.
const LEAVING: Duration = Duration::from_secs(45);
/// Lines of its log that are shown when it fails.
const SHOWN: usize = 15;
/// Seconds that an image may take: with 25 workers on two processors each has little of them.
const TIMEOUT: &str = "60";

/// How the network is run.
pub(crate) struct Settings {
    /// The program `msgflo`.
    pub(crate) program: PathBuf,
    /// The folder of the service.
    pub(crate) service: PathBuf,
    /// The broker, if not msgflo's own.
    pub(crate) broker: Option<String>,
    /// Where everything is kept.
    pub(crate) folder: PathBuf,
    /// The photographs that the service's page offers.
    pub(crate) photos: PathBuf,
}

/// `msgflo run`, and what it runs.
pub(crate) struct Network {
    settings: Settings,
    child: Child,
}

/// The program `msgflo`: the one that was named, `$MSGFLO`, or the one beside this program.
pub(crate) fn find(named: Option<PathBuf>) -> Result<PathBuf> {
    let named =
        named.or_else(|| std::env::var_os("MSGFLO").filter(|path| !path.is_empty()).map(PathBuf::from));
    let program = match named {
        Some(program) => program,
        None => std::env::current_exe()
            .context("this program does not know where it is")?
            .with_file_name("msgflo"),
    };
    ensure!(
        program.is_file(),
        "{} is not there: build it with `cargo build --release`, or name it with --msgflo or MSGFLO",
        program.display()
    );
    Ok(program)
}

impl Network {
    pub(crate) fn start(settings: Settings) -> Result<Self> {
        let child = spawn(&settings)?;
        Ok(Self { settings, child })
    }

    /// Where msgflo writes the URL of its status.
    pub(crate) fn url_file(&self) -> PathBuf {
        self.settings.folder.join("msgflo.url")
    }

    /// Where the service writes its URL.
    pub(crate) fn service_url_file(&self) -> PathBuf {
        self.settings.folder.join("service.url")
    }

    /// Where the results are.
    pub(crate) fn results(&self) -> PathBuf {
        results(&self.settings)
    }

    /// What `work` gives, if msgflo does not end before.
    pub(crate) async fn while_up<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            done = work => done,
            ended = self.child.wait() => Err(self.ended(ended?)),
        }
    }

    /// Fails with what msgflo said if it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => Err(self.ended(status)),
            None => Ok(()),
        }
    }

    /// Kills msgflo at once, sees that its children, `pids`, end too, and starts it again.
    pub(crate) async fn kill_and_restart(&mut self, pids: &[u32]) -> Result<()> {
        self.child.start_kill().context("msgflo cannot be killed")?;
        self.child.wait().await?;
        let begin = tokio::time::Instant::now();
        while let Some(pid) = pids.iter().find(|pid| is_alive(**pid)) {
            ensure!(begin.elapsed() < LEAVING, "process {pid} outlives msgflo, which had started it");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for file in [self.url_file(), self.service_url_file()] {
            remove(&file)?;
        }
        self.child = spawn(&self.settings)?;
        Ok(())
    }

    /// Has msgflo end everything, and waits for it.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        let Some(pid) = self.child.id() else { return Ok(()) };
        signal(pid, Signal::TERM)?;
        match tokio::time::timeout(LEAVING, self.child.wait()).await {
            Ok(status) => {
                let status = status?;
                ensure!(status.success(), "msgflo ended with {status}:\n{}", self.last_lines());
                Ok(())
            }
            Err(_) => {
                self.child.kill().await.context("msgflo cannot be killed")?;
                bail!("msgflo did not end within {} s and was killed", LEAVING.as_secs())
            }
        }
    }

    fn ended(&self, status: ExitStatus) -> anyhow::Error {
        anyhow::anyhow!("msgflo ended by itself, with {status}; its last words:\n{}", self.last_lines())
    }

    fn last_lines(&self) -> String {
        let log = std::fs::read(self.settings.folder.join("msgflo.log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        let last = lines.iter().skip(lines.len().saturating_sub(SHOWN));
        last.map(|line| format!("  {line}\n")).collect()
    }
}

fn spawn(settings: &Settings) -> Result<Child> {
    let Settings { program, service, broker, folder, photos } = settings;
    for file in [folder.join("msgflo.url"), folder.join("service.url")] {
        remove(&file)?;
    }
    let log = folder.join("msgflo.log");
    let log = File::options()
        .create(true)
        .append(true)
        .open(&log)
        .with_context(|| format!("{} cannot be written", log.display()))?;
    let mut command = Command::new(program);
    command
        .arg("run")
        .arg(service.join("service.fbp"))
        .arg("--library")
        .arg(service.join("package.json"))
        .arg("--scale")
        .arg(service.join("autoscale.guv.yaml"))
        .arg("--state")
        .arg(folder.join("msgflo"))
        .args(["--port", "0", "--url-file"])
        .arg(folder.join("msgflo.url"))
        .env("PATH", path_with_this_program()?)
        .env("DATABASE_URL", format!("sqlite:{}", folder.join("jobs.sqlite3").display()))
        .env("IMAGERESIZE_LISTEN", "127.0.0.1:0")
        .env("IMAGERESIZE_URL_FILE", folder.join("service.url"))
        .env("IMAGERESIZE_OUTPUT", results(settings))
        .env("IMAGERESIZE_TIMEOUT", TIMEOUT)
        .env("IMAGES", photos)
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("the log cannot be shared")?)
        .stderr(log)
        // Ctrl-C is ours to hear; we then have msgflo end in order.
        .process_group(0)
        .kill_on_drop(true);
    match broker {
        Some(url) => command.env("MSGFLO_BROKER", url),
        None => command.env_remove("MSGFLO_BROKER").env_remove("CLOUDAMQP_URL"),
    };
    command.spawn().with_context(|| format!("{} cannot be started", program.display()))
}

fn results(settings: &Settings) -> PathBuf {
    settings.folder.join("results")
}

/// The search path for programs, this one's folder first: the component library names this program.
fn path_with_this_program() -> Result<std::ffi::OsString> {
    let program = std::env::current_exe().context("this program does not know where it is")?;
    let folder = program.parent().map(Path::to_owned);
    let others = std::env::var_os("PATH").unwrap_or_default();
    let folders = folder.into_iter().chain(std::env::split_paths(&others));
    std::env::join_paths(folders).context("the search path for programs makes no sense")
}

/// Removes a file that may not be there.
fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", path.display()))
        }
        _ => Ok(()),
    }
}

/// Sends `signal` to a process. One that has ended has no need of it.
pub(crate) fn signal(pid: u32, signal: Signal) -> Result<bool> {
    let Some(pid) = raw(pid) else { return Ok(false) };
    match kill_process(pid, signal) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::SRCH) => Ok(false),
        Err(error) => Err(error).context("a process cannot be signalled"),
    }
}

fn is_alive(pid: u32) -> bool {
    raw(pid).is_some_and(|pid| test_kill_process(pid).is_ok())
}

fn raw(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}
