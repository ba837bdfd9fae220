//! What the machine has, and what its package manager may add.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// A program of the machine that a chore needs.
pub(crate) struct Requirement {
    /// What it is, for people.
    pub(crate) name: &'static str,
    /// The packages of Debian and its descendants that have it.
    pub(crate) packages: &'static [&'static str],
    /// Whether the machine has it.
    pub(crate) is_met: fn() -> bool,
}

/// Installs the packages of those requirements that are not met.
///
/// # Errors
/// When they may not be installed here: with what is missing, and how to install it.
pub(crate) fn ensure(requirements: &[Requirement]) -> Result<()> {
    let missing: Vec<_> = requirements.iter().filter(|requirement| !(requirement.is_met)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|requirement| requirement.name).collect();
    let packages: Vec<_> = missing.iter().flat_map(|requirement| requirement.packages).copied().collect();
    if !is_root() || find("apt-get").is_none() {
        bail!(
            "missing on this machine: {}\nInstall them, on Debian or Ubuntu with\n    sudo apt-get install {}\n\
             or by whatever means your system has, and run this again.",
            names.join(", "),
            packages.join(" ")
        );
    }
    eprintln!("xtask: installing {}", packages.join(" "));
    apt(&["update"])?;
    apt(&[&["install", "--yes", "--no-install-recommends"], packages.as_slice()].concat())?;
    for requirement in missing {
        // Debian starts what it installs. We start our own, elsewhere; an unwanted one would only take ports and memory.
        for service in requirement.packages {
            stop_service(service);
        }
        if !(requirement.is_met)() {
            bail!(
                "{} is still missing after installing {}",
                requirement.name,
                requirement.packages.join(" ")
            );
        }
    }
    Ok(())
}

/// The place of a program in the PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Whether a program is there and succeeds with these arguments.
pub(crate) fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// Whether we may do what we like on this machine.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn apt(arguments: &[&str]) -> Result<()> {
    // Its report is shown only if it fails: hundreds of lines otherwise.
    let output = Command::new("apt-get")
        .arg("--quiet=2")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .context("starting apt-get")?;
    if !output.status.success() {
        bail!(
            "apt-get {} failed ({}):\n{}{}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// Stops the service of a package that was just installed, if it has one.
fn stop_service(package: &str) {
    if !fs::exists(format!("/etc/init.d/{package}")).unwrap_or(false) {
        return;
    }
    let stopped = Command::new("invoke-rc.d")
        .args(["--quiet", package, "stop"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !stopped.is_ok_and(|status| status.success()) {
        eprintln!("xtask: the service {package} that Debian may have started is left as it is");
    }
}
