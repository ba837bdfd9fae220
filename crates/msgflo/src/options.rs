//! What a program that runs participants is told by its command line and its environment.

use std::fmt;
use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches, Parser};
use msgflo_core::BrokerUrl;

use crate::{Error, Participant};

/// What participants are told from outside: where the broker is, and which roles they play.
///
/// A program with options of its own takes these in with `#[command(flatten)]`, for they are [`clap::Args`]. One without
/// gets them from [`Options::from_args_and_env`], and [`run`](crate::run) does so by itself.
///
/// ```
/// let options = msgflo::Options::default().broker("amqp://localhost").role("web=frontend");
/// # let _ = options;
/// ```
#[derive(Args, Clone, Default)]
pub struct Options {
    /// The broker's URL, as amqp://user:password@host:5672/vhost [default: MSGFLO_BROKER, else CLOUDAMQP_URL, else
    /// amqp://localhost]
    #[arg(long, value_name = "URL")]
    broker: Option<String>,

    /// The role to play in the network. Where several participants run, each by its default role: THIS=OTHER
    #[arg(long, value_name = "[THIS=]ROLE")]
    pub(crate) role: Vec<String>,

    /// The identity to announce, instead of one made up. Where several participants run: THIS=ID
    #[arg(long, value_name = "[THIS=]ID")]
    pub(crate) id: Vec<String>,

    /// Seconds within which coordinators must hear of a participant
    #[arg(long, value_name = "SECONDS", env = "MSGFLO_DISCOVERY_PERIOD", value_parser = seconds)]
    pub(crate) discovery_period: Option<Duration>,

    /// Seconds that jobs in hand may take after SIGTERM, before their messages go back to the queue
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) grace: Option<Duration>,
}

/// The broker of one who did not say: RabbitMQ's, and our own embedded one's, usual place.
const BROKER: &str = "amqp://localhost";

/// The command line of a program that has no options of its own.
#[derive(Parser)]
#[command(disable_version_flag = true)]
struct CommandLine {
    #[command(flatten)]
    options: Options,
}

impl Options {
    /// What this program's command line and environment say.
    ///
    /// # Errors
    /// [`Error::Usage`] when an option cannot be understood, or help was asked for: [`Error::report`] then prints it.
    pub fn from_args_and_env() -> Result<Self, Error> {
        Self::parse(CommandLine::command())
    }

    /// As [`from_args_and_env`](Self::from_args_and_env), with a help text about `participants`.
    pub(crate) fn for_participants(participants: &[Participant]) -> Result<Self, Error> {
        let about: Vec<_> = participants.iter().map(describe).collect();
        let name = std::env::args().next().unwrap_or_default();
        let example = match participants {
            [_, _, ..] => {
                format!("{name} --role {}=OTHER --broker amqp://localhost", participants[0].default_role)
            }
            _ => format!("{name} --role ROLE --broker amqp://localhost"),
        };
        let after = format!(
            "Examples:\n  {example}\n  MSGFLO_BROKER=amqps://user:password@host/vhost {name}\n\n\
             Exit status: 0 stopped by SIGTERM, 130 by SIGINT, 2 wrong usage, 78 wrong configuration, 70 failed."
        );
        Self::parse(CommandLine::command().about(about.join("\n")).after_help(after))
    }

    fn parse(command: clap::Command) -> Result<Self, Error> {
        let matches = command.try_get_matches().map_err(Box::new)?;
        Ok(Self::from_arg_matches(&matches).map_err(Box::new)?)
    }

    /// The broker's URL.
    #[must_use]
    pub fn broker(mut self, url: impl Into<String>) -> Self {
        self.broker = Some(url.into());
        self
    }

    /// As `--role`: the role of the only participant, or `this=other` for the one whose default role is `this`.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.role.push(role.into());
        self
    }

    /// As `--id`: the identity of the only participant, or `this=id` for the one whose default role is `this`.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id.push(id.into());
        self
    }

    /// Within which time coordinators must hear of a participant.
    #[must_use]
    pub fn discovery_period(mut self, period: Duration) -> Self {
        self.discovery_period = Some(period);
        self
    }

    /// How long jobs in hand may take when the participants stop.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// Where the broker is.
    pub(crate) fn broker_url(&self) -> Result<BrokerUrl, Error> {
        let said = self.broker.clone().filter(|url| !url.is_empty());
        let variable = |name| std::env::var(name).ok().filter(|url| !url.is_empty());
        let url = said.or_else(|| variable("MSGFLO_BROKER")).or_else(|| variable("CLOUDAMQP_URL"));
        url.as_deref().unwrap_or(BROKER).parse().map_err(|source| Error::Connect { source })
    }
}

/// Does not show the broker's URL, which may have a password.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("role", &self.role).field("id", &self.id).finish_non_exhaustive()
    }
}

/// One line of help about a participant.
fn describe(participant: &Participant) -> String {
    let Participant { component, default_role, label, .. } = participant;
    let label = label.as_deref().map(|label| format!(": {label}")).unwrap_or_default();
    format!("{component}{label} [role: {default_role}]")
}

/// A positive number of seconds, fractions allowed.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("give more than zero seconds".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_positive_numbers() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["", "0", "-1", "NaN", "inf", "1e400", "ten"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_command_line_is_in_order() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_password_is_not_shown() {
        let options = Options::default().broker("amqp://me:secret@host");
        assert!(!format!("{options:?}").contains("secret"));
    }
}
