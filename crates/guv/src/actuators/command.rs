//! A command of one's own that changes the number of workers.
//!
//! It is run by a shell with `ROLE`, `WORKER`, `APP`, `CURRENT` (empty when it is not known) and `DESIRED` in its
//! environment; success accepts the number. Otherwise `{"limit": N}` on its standard output names the most that there
//! can be, exit status 75 (EX_TEMPFAIL of sysexits.h) is tried again, and any other one needs somebody to look. With `count`
//! a second command writes the workers that there are; else what was accepted last counts.
//! One that takes too long is ended with everything that it started.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use guv_model::{AppName, RoleConfig, WorkerCount};
use tokio::time::timeout;

use super::failure::{Failure, Refusal};
use super::webhook::workers;
use crate::shell::{self, Ran};
use crate::{Actuator, ActuatorError, Answers, Change};

const KIND: &str = "command";
/// How long a command may take, unless the role says otherwise (`timeout`).
const TIMEOUT: Duration = Duration::from_secs(10);
/// "Temporary failure; the user is invited to retry" of sysexits.h.
const TEMPORARY: i32 = 75;

/// Changes workers by commands.
#[derive(Default)]
pub struct Command;

impl Command {
    /// An actuator for all roles that ask for it.
    pub fn new() -> Self {
        Self
    }

    async fn current(&self, app: Option<&AppName>, role: &RoleConfig) -> Result<Option<u32>, Failure> {
        let Some(command) = option(role, "count") else { return Ok(None) };
        let ran = run(command, app, role, &[]).await?;
        if let Some(failure) = ran.failure {
            return Err(refusal(command, ran.status, &ran.output, &failure));
        }
        let told = serde_json::from_slice(&ran.output).ok();
        told.as_ref()
            .and_then(workers)
            .map(Some)
            .ok_or_else(|| Failure::Fatal(format!("`{command}` writes no number of workers")))
    }

    async fn set(&self, app: Option<&AppName>, change: &Change<'_>) -> Result<(), Failure> {
        let command =
            option(change.role, "command").ok_or_else(|| Failure::Fatal("it has no command".to_owned()))?;
        let (current, desired) = (
            change.current.map(|current| current.to_string()).unwrap_or_default(),
            change.target.to_string(),
        );
        let ran = run(command, app, change.role, &[("CURRENT", &current), ("DESIRED", &desired)]).await?;
        match ran.failure {
            Some(failure) => Err(refusal(command, ran.status, &ran.output, &failure)),
            None => Ok(()),
        }
    }
}

fn option<'a>(role: &'a RoleConfig, name: &str) -> Option<&'a str> {
    role.actuator.as_ref().and_then(|part| part.text(name))
}

async fn run(
    command: &str,
    app: Option<&AppName>,
    role: &RoleConfig,
    more: &[(&str, &str)],
) -> Result<Ran, Failure> {
    let app = app.map(AppName::as_str).unwrap_or_default();
    let common = [("ROLE", role.role.as_str()), ("WORKER", role.worker.as_str()), ("APP", app)];
    let environment: Vec<_> = common.iter().chain(more).copied().collect();
    let patience =
        role.actuator.as_ref().and_then(|part| part.seconds("timeout").copied()).unwrap_or(TIMEOUT);
    match timeout(patience, shell::run(command, &environment, None)).await {
        Ok(Ok(ran)) => Ok(ran),
        Ok(Err(error)) => Err(Failure::retry(format!("`{command}` could not be run: {error}"))),
        Err(_) => Err(Failure::retry(format!("`{command}` did not end within {} s", patience.as_secs_f64()))),
    }
}

/// What a command's failure means.
fn refusal(command: &str, status: Option<i32>, output: &[u8], failure: &str) -> Failure {
    let what = format!("`{command}` {failure}");
    let limit = serde_json::from_slice::<Refusal>(output).ok().and_then(|refusal| refusal.limit);
    match (limit, status) {
        (Some(limit), _) => Failure::Limit { limit, what },
        (None, Some(TEMPORARY)) => Failure::retry(what),
        _ => Failure::Fatal(what),
    }
}

#[async_trait]
impl Actuator for Command {
    fn accepts(&self, role: &RoleConfig) -> Result<(), String> {
        match role.actuator.as_ref().filter(|part| part.kind() == KIND) {
            None => {
                Err("the role does not ask for it; say `actuator: {kind: command, command: …}`".to_owned())
            }
            Some(part) if part.text("command").is_none() => {
                Err("it has no command; set `command:` in `actuator:`".to_owned())
            }
            Some(_) => Ok(()),
        }
    }

    async fn count(
        &self,
        app: Option<&AppName>,
        roles: &[&RoleConfig],
    ) -> Answers<Option<WorkerCount>, ActuatorError> {
        let counts = roles.iter().map(|role| async move {
            let count = self.current(app, role).await.map(|count| count.map(WorkerCount::running));
            (role.role.clone(), count.map_err(ActuatorError::from))
        });
        join_all(counts).await.into_iter().collect()
    }

    async fn apply(&self, app: Option<&AppName>, changes: &[Change<'_>]) -> Answers<(), ActuatorError> {
        let changes = changes.iter().map(|change| async move {
            (change.role.role.clone(), self.set(app, change).await.map_err(ActuatorError::from))
        });
        join_all(changes).await.into_iter().collect()
    }
}
