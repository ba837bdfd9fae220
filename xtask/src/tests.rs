//! Every test of the workspace, with all that it needs.

use std::process::{Command, ExitCode};
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::cargo;
use crate::guard::Guard;
use crate::servers::Servers;

/// Runs the tests that `arguments` choose, by default all.
///
/// The servers are installed and started while cargo compiles.
pub(crate) fn run(guard: &Guard, arguments: &[String]) -> Result<ExitCode> {
    let mut clock = Clock::start();
    let runner = Runner::choose();
    let (servers, built) = thread::scope(|scope| {
        let servers = scope.spawn(|| Servers::start(guard, Servers::install()?));
        let built = guard.run(runner.command(arguments).arg("--no-run"));
        (servers.join(), built)
    });
    let Ok(servers) = servers else { bail!("starting the servers panicked") };
    let (servers, built) = (servers?, built?);
    clock.lap("building and starting the servers");
    if !built.success() {
        return Ok(cargo::exit_code(built));
    }

    let mut status = guard.run(servers.tell(&mut runner.command(arguments)))?;
    clock.lap("tests");
    if arguments.is_empty() && status.code().is_some() {
        let documentation = guard.run(servers.tell(cargo::cargo().args(["test", "--workspace", "--doc"])))?;
        clock.lap("documentation's examples");
        if status.success() {
            status = documentation;
        }
    }
    Ok(cargo::exit_code(status))
}

/// Who runs the tests.
enum Runner {
    /// cargo-nextest: a process a test, so it is faster, and a test that hangs is ended.
    Nextest,
    /// Cargo itself.
    Cargo,
}

impl Runner {
    fn choose() -> Self {
        if cargo::has("nextest") { Self::Nextest } else { Self::Cargo }
    }

    fn command(&self, arguments: &[String]) -> Command {
        let mut command = cargo::cargo();
        match self {
            Self::Nextest => command.args(["nextest", "run", "--no-tests=warn"]),
            // The documentation's examples come in a run of their own.
            Self::Cargo => command.args(["test", "--no-fail-fast"]),
        };
        let chooses = |argument: &String| argument.starts_with("-p") || argument.starts_with("--package");
        if !arguments.iter().any(chooses) {
            command.arg("--workspace");
        }
        if arguments.is_empty() && matches!(self, Self::Cargo) {
            command.args(["--lib", "--bins", "--tests", "--examples"]);
        }
        command.args(arguments);
        command
    }
}

/// Says how long each part took.
struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn lap(&mut self, what: &str) {
        eprintln!("xtask: {what}: {:.1} s", self.0.elapsed().as_secs_f64());
        self.0 = Instant::now();
    }
}
