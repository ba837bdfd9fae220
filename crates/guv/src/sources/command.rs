//! A command that writes what waits: a number, or an object of JSON as for a query of one's own.
//!
//! It is run by a shell, once for each role, with `ROLE` and `QUEUE` (all of the role's queues, separated by commas) in
//! its environment. One that takes too long is ended with everything that it started.

use async_trait::async_trait;
use guv_model::{QueueName, QueueSample, RoleConfig};

use super::each::{self, Ask, Each};
use super::numbers::Numbers;
use crate::shell::{self, Ran};
use crate::{Source, SourceError};

const KIND: &str = "command";

/// Commands that tell numbers.
pub fn command() -> impl Source {
    Each(Command)
}

struct Command;

#[async_trait]
impl Ask for Command {
    fn accepts(&self, role: &RoleConfig) -> Result<(), String> {
        each::accepts(role, KIND, &["command"], false)
    }

    async fn ask(&self, role: &RoleConfig) -> Result<QueueSample, SourceError> {
        let part = role.source.as_ref().ok_or(SourceError::NoAnswer)?;
        let command = part.text("command").ok_or(SourceError::NoAnswer)?;
        let queues: Vec<_> = role.queues.iter().map(QueueName::as_str).collect();
        let environment = [("ROLE", role.role.as_str()), ("QUEUE", &queues.join(","))];
        match shell::run(command, &environment, None).await {
            Err(error) => Err(SourceError::Unreachable {
                what: format!("`{command}` could not be run"),
                source: Some(error.into()),
            }),
            Ok(Ran { failure: Some(failure), .. }) => {
                Err(SourceError::Refused { what: format!("`{command}` {failure}") })
            }
            Ok(Ran { output, failure: None, .. }) => {
                Numbers::parse(&output).map(Numbers::into_sample).map_err(|problem| SourceError::Malformed {
                    what: format!("`{command}` writes {problem}"),
                    source: None,
                })
            }
        }
    }
}
