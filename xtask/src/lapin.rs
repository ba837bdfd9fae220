//! The tests that the package of lapin brings, unmodified, built where cargo keeps the package.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cargo;

/// Builds them with the lock that the package brings, and tells where the programs are.
///
/// # Errors
/// When the package has none, or they cannot be built.
pub(crate) fn build_tests() -> Result<Vec<PathBuf>> {
    eprintln!("xtask: building the tests of lapin");
    let mut build = cargo::cargo();
    build
        .args(["test", "--no-run", "--quiet", "--locked", "--test=*", "--no-default-features"])
        .args(["--features=tokio,smol", "--config=profile.dev.debug=false", "--message-format=json"])
        .args(["--manifest-path", &manifest()?, "--target-dir"])
        .arg(cargo::workspace().join(".tools/lapin"));
    let tests: Vec<PathBuf> = lines(&mut build)?
        .iter()
        .filter(|message| message["target"]["kind"][0] == "test")
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .collect();
    if tests.is_empty() {
        bail!("the package of lapin has no tests any more");
    }
    Ok(tests)
}

/// The manifest of the lapin that we use.
fn manifest() -> Result<String> {
    let mut metadata = cargo::cargo();
    metadata.args(["metadata", "--format-version=1", "--locked"]);
    let metadata = lines(&mut metadata)?;
    let packages = metadata.first().and_then(|metadata| metadata["packages"].as_array());
    let lapin = packages.into_iter().flatten().find(|package| package["name"] == "lapin");
    let manifest = lapin.and_then(|package| package["manifest_path"].as_str());
    manifest.map(str::to_owned).context("cargo knows of no package named lapin")
}

/// What a command prints, a JSON value in each line. What it tells people passes through.
fn lines(command: &mut Command) -> Result<Vec<Value>> {
    let output = command.stderr(std::process::Stdio::inherit()).output();
    let output = output.with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed ({})", output.status);
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("{command:?} printed {line}")))
        .collect()
}
