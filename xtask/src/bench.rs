//! The benchmarks, with a broker of their own and the peers beside us.

use std::process::ExitCode;

use anyhow::Result;

use crate::cargo;
use crate::guard::Guard;
use crate::servers::Servers;

/// Builds and runs the benchmarks that `arguments` choose.
pub(crate) fn run(guard: &Guard, arguments: &[String]) -> Result<ExitCode> {
    // Built first: nothing is measured while something compiles.
    let packages = ["--package", "msgflo-bench", "--package", "msgflo-cli"];
    let built = guard.run(cargo::cargo().args(["build", "--release"]).args(packages))?;
    if !built.success() {
        return Ok(cargo::exit_code(built));
    }
    let servers = Servers::start(guard, Servers::install()?)?;
    let mut command = cargo::cargo();
    command.args(["run", "--quiet", "--release", "--package", "msgflo-bench", "--"]).args(arguments);
    let status = guard.run(servers.tell(&mut command))?;
    Ok(cargo::exit_code(status))
}
