//! A RabbitMQ of our own: node, ports, data, log and cookie are apart from those of any other on the machine.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::guard::{Ending, Guard};
use crate::ports;
use crate::server::{self, Server};

/// Debian's `rabbitmq-server` in `/usr/sbin` runs as root or as its own user only, with the machine's settings. This is
/// what it wraps; other distributions and RabbitMQ's own packages have it in one of these places.
const SERVERS: [&str; 3] = [
    "/usr/lib/rabbitmq/bin/rabbitmq-server",
    "/opt/homebrew/sbin/rabbitmq-server",
    "/usr/local/sbin/rabbitmq-server",
];

/// A running RabbitMQ.
pub(crate) struct RabbitMq {
    /// Its AMQP URL.
    pub(crate) url: String,
    /// Its management API's URL.
    pub(crate) management_url: String,
}

/// The server's program, if it is installed.
pub(crate) fn program() -> Option<&'static str> {
    SERVERS.into_iter().find(|program| Path::new(program).exists())
}

impl RabbitMq {
    /// Starts one, and returns when it serves.
    pub(crate) fn start(guard: &Guard) -> Result<Self> {
        let folder = guard.folder("rabbitmq")?;
        // As far apart as by default, 5672 and 15672: so one is found from the other.
        let [amqp, management] = ports::free_pair(10_000)?;
        let [epmd, distribution] = ports::free()?;
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
            Ok::<_, anyhow::Error>(path)
        };
        let config = write(
            "rabbitmq.conf",
            // Statistics every second, not every five: whoever asks the management API need not wait so long.
            &format!(
                "listeners.tcp.1 = 127.0.0.1:{amqp}\nmanagement.tcp.ip = 127.0.0.1\n\
                 management.tcp.port = {management}\ncollect_statistics_interval = 1000\n"
            ),
        )?;
        let plugins = write("enabled_plugins", "[rabbitmq_management].\n")?;
        // Without this the machine's own /etc/rabbitmq/rabbitmq-env.conf would be read.
        let environment = write("rabbitmq-env.conf", "")?;
        let advanced = write("advanced.config", "[].\n")?;

        // The Erlang runtime would start a port mapper as a daemon, which stays. Ours is a child, and ends with us.
        let mut mapper = Command::new("epmd");
        mapper.args(["-port", &epmd.to_string(), "-address", "127.0.0.1"]);
        Server::start(guard, "epmd", &mut mapper, &folder, Ending::Sudden)?
            .wait_until(|| server::accepts(epmd))?;

        let mut command = Command::new(program().context("RabbitMQ is not installed")?);
        command
            .env("HOME", &folder)
            .env("ERL_EPMD_PORT", epmd.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", format!("msgflo-{amqp}@localhost"))
            .env("RABBITMQ_DIST_PORT", distribution.to_string())
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
            .env("RABBITMQ_CONF_ENV_FILE", environment)
            .env("RABBITMQ_CONFIG_FILE", config)
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", advanced)
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", plugins)
            .env("RABBITMQ_MNESIA_BASE", folder.join("data"))
            .env("RABBITMQ_LOG_BASE", folder.join("log"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_PID_FILE", folder.join("pid"));
        let server = Server::start(guard, "rabbitmq", &mut command, &folder, Ending::Sudden)?;
        // The management plug-in starts after the AMQP listener.
        server.wait_until(|| server::accepts(amqp) && server::accepts(management))?;
        Ok(Self {
            url: format!("amqp://guest:guest@127.0.0.1:{amqp}"),
            management_url: format!("http://guest:guest@127.0.0.1:{management}"),
        })
    }
}
