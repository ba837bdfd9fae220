//! A PostgreSQL of our own, in a temporary folder.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::guard::{Ending, Guard};
use crate::packages;
use crate::ports;
use crate::server::{self, Server};

/// A running PostgreSQL.
pub(crate) struct Postgres {
    /// The URL of an empty database.
    pub(crate) url: String,
}

/// Where `initdb` and `postgres` are, if they are installed. Debian has a folder a version, outside of the PATH.
pub(crate) fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions
        .map(|version| version.path().join("bin"))
        .filter(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
        .collect();
    folders.sort();
    folders.pop().or_else(|| packages::find("initdb")?.parent().map(Path::to_owned))
}

impl Postgres {
    /// Starts one, and returns when it serves.
    pub(crate) fn start(guard: &Guard) -> Result<Self> {
        let programs = programs().context("PostgreSQL is not installed")?;
        let folder = guard.folder("postgres")?;
        let [port] = ports::free()?;
        // The server refuses to run as root.
        let user = if packages::is_root() { Some(user("postgres")?) } else { None };
        if let Some((user, group)) = user {
            chown(&folder, Some(user), Some(group)).context("giving the database's folder to its user")?;
        }
        let command = |program: &str| {
            let mut command = Command::new(programs.join(program));
            command.current_dir(&folder);
            if let Some((user, group)) = user {
                command.uid(user).gid(group);
            }
            command
        };
        let data = folder.join("data");
        let made = command("initdb")
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
            .arg("--pgdata")
            .arg(&data)
            .output()
            .context("starting initdb")?;
        if !made.status.success() {
            bail!("initdb failed ({}):\n{}", made.status, String::from_utf8_lossy(&made.stderr));
        }
        let mut command = command("postgres");
        command
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            // The data are thrown away in the end.
            .args(["-c", "fsync=off"]);
        let server = Server::start(guard, "postgres", &mut command, &folder, Ending::Gentle)?;
        server.wait_until(|| server::accepts(port) && is_ready(&programs, port))?;
        Ok(Self { url: format!("postgres://postgres@127.0.0.1:{port}/postgres") })
    }
}

/// It listens before it takes queries.
fn is_ready(programs: &Path, port: u16) -> bool {
    Command::new(programs.join("pg_isready"))
        .args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])
        .status()
        .is_ok_and(|status| status.success())
}

/// The numbers of a user and its group.
fn user(name: &str) -> Result<(u32, u32)> {
    let id = |option| {
        let output = Command::new("id").args([option, name]).output().context("starting id")?;
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim().parse().with_context(|| format!("there is no user `{name}`"))
    };
    Ok((id("-u")?, id("-g")?))
}
