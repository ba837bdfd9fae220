//! The Python that runs the demonstration's components.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

/// Our SDK for Python, in this project's sources.
const SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/python");
/// What the SDK needs.
const PACKAGES: [&str; 2] = ["paho-mqtt>=2.0", "pika>=1.3"];

/// A Python with what the SDK needs: the machine's if it has that, else one of our own.
pub(crate) async fn prepare() -> Result<PathBuf> {
    if has_packages(Path::new("python3")).await {
        return Ok("python3".into());
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let folder = cache.or(home).unwrap_or_else(std::env::temp_dir).join("msgflo-thermometer-python");
    let python = folder.join("bin/python3");
    if !has_packages(&python).await {
        println!("installing paho-mqtt and pika for Python into {}", folder.display());
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder)).await?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(Command::new(&python).args(pip).args(PACKAGES)).await?;
    }
    Ok(python)
}

async fn has_packages(python: &Path) -> bool {
    let output = Command::new(python).args(["-c", "import paho.mqtt.enums, pika"]).output().await;
    output.is_ok_and(|output| output.status.success())
}

async fn run(command: &mut Command) -> Result<()> {
    let said = format!("{:?}", command.as_std());
    let output = command.output().await.with_context(|| {
        format!("running {said}; the demonstration needs Python 3 with venv (Debian: python3-venv)")
    })?;
    if !output.status.success() {
        let told = [output.stdout, output.stderr].concat();
        bail!("{said} failed ({}):\n{}", output.status, String::from_utf8_lossy(&told));
    }
    Ok(())
}

/// Makes the command `msgflo-python`, by which msgflo runs components in Python, in a folder below `folder`.
pub(crate) fn runner(folder: &Path, python: &Path) -> Result<PathBuf> {
    let programs = folder.join("bin");
    std::fs::create_dir(&programs)?;
    let file = programs.join("msgflo-python");
    let script = format!("#!/bin/sh\nPYTHONPATH='{SDK}' exec '{}' -m msgflo \"$@\"\n", python.display());
    std::fs::write(&file, script)?;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))?;
    Ok(programs)
}
