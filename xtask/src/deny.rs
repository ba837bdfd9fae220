//! The licences and sources of what we depend on.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::cargo;
use crate::guard::Guard;

/// The version of cargo-deny that `deny.toml` is written for.
const VERSION: &str = "0.20.2";

/// Runs cargo-deny, the machine's or one that is built into `.tools/` once (minutes on a small machine).
pub(crate) fn run(guard: &Guard) -> Result<ExitCode> {
    let check = ["check", "bans", "licenses", "sources"];
    if cargo::has("deny") {
        return Ok(cargo::exit_code(guard.run(cargo::cargo().arg("deny").args(check))?));
    }
    let root = cargo::workspace().join(".tools/cargo-deny");
    let program = root.join("bin/cargo-deny");
    if !program.exists() {
        eprintln!("xtask: building cargo-deny {VERSION} into {}", root.display());
        let mut install = cargo::cargo();
        install
            .args(["install", "--quiet", "--locked", "--version", VERSION, "--root"])
            .arg(&root)
            .arg("cargo-deny");
        let built = guard.run(&mut install)?;
        if !built.success() {
            return Ok(cargo::exit_code(built));
        }
    }
    let mut command = Command::new(program);
    Ok(cargo::exit_code(guard.run(command.args(check).current_dir(cargo::workspace()))?))
}
