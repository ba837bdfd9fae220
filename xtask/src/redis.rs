//! A Redis of our own: in memory, and it tells of changes, as guv likes it.

use std::process::Command;

use anyhow::Result;

use crate::guard::{Ending, Guard};
use crate::ports;
use crate::server::{self, Server};

/// A running Redis.
pub(crate) struct Redis {
    /// Its URL. The tests share it, each in a database or below names of its own.
    pub(crate) url: String,
}

impl Redis {
    /// Starts one, and returns when it serves.
    pub(crate) fn start(guard: &Guard) -> Result<Self> {
        let folder = guard.folder("redis")?;
        let [port] = ports::free()?;
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--databases", "64"])
            // Nothing is kept.
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(&folder);
        let server = Server::start(guard, "redis", &mut command, &folder, Ending::Sudden)?;
        server.wait_until(|| server::accepts(port))?;
        Ok(Self { url: format!("redis://127.0.0.1:{port}") })
    }
}
