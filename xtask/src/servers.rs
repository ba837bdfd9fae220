//! The servers that tests and benchmarks need, and how these learn of them.

use std::process::{Command, ExitCode};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::cargo;
use crate::guard::Guard;
use crate::packages::{self, Requirement};
use crate::postgres::{self, Postgres};
use crate::rabbitmq::{self, RabbitMq};
use crate::redis::Redis;
use crate::tools::{PYTHON, Tools};
use crate::web;

const RABBITMQ: Requirement = Requirement {
    name: "RabbitMQ",
    packages: &["rabbitmq-server"],
    is_met: || rabbitmq::program().is_some(),
};
const POSTGRES: Requirement =
    Requirement { name: "PostgreSQL", packages: &["postgresql"], is_met: || postgres::programs().is_some() };

const REDIS: Requirement = Requirement {
    name: "Redis",
    packages: &["redis-server"],
    is_met: || packages::find("redis-server").is_some(),
};
/// A queue library whose data guv reads; Debian has it, npm and PyPI do not.
const SIDEKIQ: Requirement = Requirement {
    name: "Ruby with Sidekiq",
    packages: &["ruby", "ruby-sidekiq"],
    is_met: || packages::succeeds("ruby", &["-e", "require 'sidekiq'"]),
};

/// What the page is looked at with.
const CHROMIUM: Requirement = Requirement {
    name: "Chromium",
    packages: &["chromium"],
    is_met: || packages::find("chromium").is_some(),
};

/// The tests start one each. Debian has it in a folder that is in the PATH of root only.
const MOSQUITTO: Requirement = Requirement {
    name: "Mosquitto",
    packages: &["mosquitto"],
    is_met: || packages::find("mosquitto").is_some() || std::path::Path::new("/usr/sbin/mosquitto").exists(),
};

/// Everything that tests find in their environment.
pub(crate) struct Servers {
    rabbitmq: RabbitMq,
    postgres: Postgres,
    redis: Redis,
    tools: Tools,
}

impl Servers {
    /// Installs what is missing and may be installed.
    ///
    /// # Errors
    /// With what is missing, and how to install it.
    pub(crate) fn install() -> Result<Tools> {
        packages::ensure(&[RABBITMQ, POSTGRES, MOSQUITTO, REDIS, SIDEKIQ, PYTHON, CHROMIUM])?;
        let tools = Tools::install()?;
        web::build(&tools.node)?;
        Ok(tools)
    }

    /// Starts them, side by side, and returns when all serve.
    pub(crate) fn start(guard: &Guard, tools: Tools) -> Result<Self> {
        thread::scope(|scope| {
            let postgres = scope.spawn(|| Postgres::start(guard));
            let redis = Redis::start(guard)?;
            let rabbitmq = RabbitMq::start(guard)?;
            let Ok(postgres) = postgres.join() else { bail!("starting PostgreSQL panicked") };
            Ok(Self { rabbitmq, postgres: postgres?, redis, tools })
        })
    }

    /// Tells `command` where they are.
    pub(crate) fn tell<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("RABBITMQ_URL", &self.rabbitmq.url)
            .env("RABBITMQ_MANAGEMENT_URL", &self.rabbitmq.management_url)
            .env("DATABASE_URL_TEST", &self.postgres.url)
            .env("MSGFLO_E2E_NODE", &self.tools.node.program)
            .env("MSGFLO_E2E_NODE_MODULES", &self.tools.node_modules)
            .env("MSGFLO_E2E_PYTHON", &self.tools.python)
            .env("MSGFLO_E2E_PY_AMQP", &self.tools.py_amqp)
            .env("MSGFLO_E2E_LAPIN", &self.tools.lapin)
            .env("REDIS_URL_TEST", &self.redis.url)
            .env("GUV_TEST_NODE", &self.tools.node.program)
            .env("GUV_TEST_NODE_MODULES", &self.tools.queue_node_modules)
            .env("GUV_TEST_PYTHON", &self.tools.queue_python)
    }
}

/// Runs a command with the servers.
pub(crate) fn run_with(guard: &Guard, command: &[String]) -> Result<ExitCode> {
    let Some((program, arguments)) = command.split_first() else {
        bail!("say what to run: `cargo xtask with COMMAND…`");
    };
    let servers = Servers::start(guard, Servers::install()?)?;
    let status = guard.run(servers.tell(cargo::command(program).args(arguments)))?;
    Ok(cargo::exit_code(status))
}

/// Starts a RabbitMQ and keeps it until Ctrl-C.
pub(crate) fn run_rabbitmq(guard: &Guard) -> Result<ExitCode> {
    packages::ensure(&[RABBITMQ])?;
    let rabbitmq = RabbitMq::start(guard)?;
    println!("export RABBITMQ_URL={}", rabbitmq.url);
    println!("export RABBITMQ_MANAGEMENT_URL={}", rabbitmq.management_url);
    eprintln!("xtask: RabbitMQ runs until Ctrl-C");
    let mut signals =
        signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM])
            .context("watching for Ctrl-C")?;
    signals.forever().next();
    Ok(ExitCode::SUCCESS)
}
