//! `guv decide`: one decision from given numbers, explained.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use guv::model::{EstimateWindow, Memory, Observation};
use guv::{Config, RoleConfig, Sample, Timestamp, WorkerCount};

use crate::arguments::Decide;
use crate::outcome::{Failure, Outcome, Stop, print_json, write_out};

pub(crate) fn decide(options: &Decide) -> Outcome {
    let config = options.config.load()?.config;
    let role = choose(&config, options.role.as_deref())?;
    let queue = Sample {
        ready: options.ready,
        unacknowledged: options.in_flight,
        consumers: options.consumers,
        ..Sample::default()
    };
    let workers = options.workers.map(|n| WorkerCount { drains: options.drains, ..WorkerCount::running(n) });
    let mut window = EstimateWindow::new(options.window.len());
    window.extend(options.window.iter().copied());
    let now = Timestamp::since_epoch(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
    let observation = Observation { queue, workers, ..Observation::default() };
    let decision = role.policy.decide(role, &Memory::of(window), &observation, now);
    if options.json {
        print_json(&decision)?;
    } else {
        write_out(|out| writeln!(out, "{}: {decision}", role.role))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn choose<'c>(config: &'c Config, role: Option<&str>) -> Result<&'c RoleConfig, Stop> {
    let named = |name: &str| config.roles.iter().find(|r| r.role.as_str() == name);
    let found = match (role, config.roles.as_slice()) {
        (Some(name), _) => named(name),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    found.ok_or_else(|| {
        let names: Vec<_> = config.roles.iter().map(|r| r.role.as_str()).collect();
        let message = match role {
            Some(name) => format!("there is no role `{name}`"),
            None => "there are several roles".to_owned(),
        };
        Stop::config(Failure::new(message, format!("say --role and one of: {}", names.join(", "))))
    })
}
