//! The value of one key: its type, its range, and what to say when it is something else.

use std::num::NonZeroU32;
use std::time::Duration;

use super::Percentile;
use super::diagnostic::Diagnostics;
use super::keys::{KeyInfo, KeyName};
use super::settings::{Given, Settings};
use super::tree::{Key, Node, Value};
use crate::BrokerUrl;

/// Reads the value of one key.
pub(super) struct Reader<'a, 'd, 't> {
    pub(super) role: &'a Key,
    pub(super) key: &'a Key,
    pub(super) node: &'a Node,
    pub(super) info: &'static KeyInfo,
    pub(super) diagnostics: &'d mut Diagnostics<'t>,
}

impl Reader<'_, '_, '_> {
    /// Puts the value where its key belongs; a value that will not do becomes a diagnostic and stays unset.
    pub(super) fn read_into(mut self, settings: &mut Settings) {
        match self.info.key {
            KeyName::Processing => settings.processing = self.positive_seconds(),
            KeyName::StdDev => settings.stddev = self.seconds(),
            KeyName::Deadline => settings.deadline = self.positive_seconds(),
            KeyName::Boot => settings.boot = self.seconds(),
            KeyName::Concurrency => settings.concurrency = self.positive_count(),
            KeyName::DynoSize => settings.dyno_size = self.text(),
            KeyName::Minimum => settings.minimum = self.count(),
            KeyName::Maximum => settings.maximum = self.count(),
            KeyName::Worker => settings.worker = self.text(),
            KeyName::Queue => settings.queue = self.text(),
            KeyName::App => settings.app = self.text(),
            KeyName::Broker => settings.broker = self.broker(),
            KeyName::ApiKey => settings.api_key = self.text(),
            KeyName::StatusPage => settings.status_page = self.text(),
            KeyName::Metric => settings.metric = self.text(),
            KeyName::Percentile => settings.percentile = self.percentile(),
            KeyName::Target => settings.target = self.positive_seconds(),
            KeyName::PollInterval => settings.poll_interval = self.interval(),
            KeyName::History => settings.history = self.seconds(),
        }
    }

    fn given<T>(&self, value: T) -> Option<Given<T>> {
        Some(Given { value, place: self.node.place })
    }

    fn reject<T>(&mut self, wanted: &str, help: String) -> Option<T> {
        // A value that is not there has no extent to mark.
        let place = if self.node.value == Value::Null { self.key.place } else { self.node.place };
        // A secret is not repeated.
        let found = match (self.info.key, &self.node.value) {
            (KeyName::ApiKey | KeyName::Broker, value) if *value != Value::Null => {
                "something else".to_owned()
            }
            (_, value) => value.describe(),
        };
        let message =
            format!("role `{}`: `{}` must be {wanted}, but this is {found}", self.role.text, self.key.text);
        self.diagnostics.error(place, message, self.info.meaning, help);
        None
    }

    fn number(&mut self, wanted: &str, accept: impl Fn(f64) -> bool) -> Option<f64> {
        let default = self.info.default;
        match &self.node.value {
            Value::Number(number) if accept(*number) => Some(*number),
            Value::Text(text) => {
                let digits: String = text.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
                match digits.parse::<f64>() {
                    Ok(number) if accept(number) => self.reject(
                        wanted,
                        format!("write it without quotes or unit: `{}: {number}`", self.key.text),
                    ),
                    _ => self.reject(wanted, format!("the default is {default}")),
                }
            }
            _ => self.reject(wanted, format!("the default is {default}")),
        }
    }

    fn duration(&mut self, wanted: &str, accept: impl Fn(f64) -> bool) -> Option<Given<Duration>> {
        // More than a year is a slip of the pen, and a bound keeps the arithmetic from overflowing.
        const LONGEST: f64 = 366.0 * 86_400.0;
        let seconds = self.number(wanted, |n| accept(n) && n <= LONGEST)?;
        let duration = Duration::try_from_secs_f64(seconds).expect("within 0 and a year");
        self.given(duration)
    }

    fn seconds(&mut self) -> Option<Given<Duration>> {
        self.duration("a number of seconds from 0 to a year", |n| n >= 0.0)
    }

    fn positive_seconds(&mut self) -> Option<Given<Duration>> {
        // Below a nanosecond is zero.
        self.duration("a number of seconds above 0, up to a year", |n| n >= 1e-9)
    }

    fn interval(&mut self) -> Option<Given<Duration>> {
        // Anything shorter is a way to be locked out by the API that is asked.
        self.duration("a number of seconds from 0.01 to a year", |n| n >= 0.01)
    }

    fn count(&mut self) -> Option<Given<u32>> {
        let count = self.number("a whole number, 0 or more", |n| n >= 0.0 && is_whole(n))?;
        self.given(count as u32)
    }

    fn positive_count(&mut self) -> Option<Given<NonZeroU32>> {
        let count = self.number("a whole number, 1 or more", |n| n >= 1.0 && is_whole(n))?;
        self.given(NonZeroU32::new(count as u32)?)
    }

    fn percentile(&mut self) -> Option<Given<Percentile>> {
        let percent = self.number("a number above 0 and below 100", |n| Percentile::new(n).is_some())?;
        self.given(Percentile::new(percent)?)
    }

    fn text(&mut self) -> Option<Given<String>> {
        match &self.node.value {
            Value::Text(text) if !text.is_empty() => self.given(text.clone()),
            Value::Number(_) | Value::Bool(_) => {
                self.reject("text", format!("put it in quotes: `{}: \"…\"`", self.key.text))
            }
            _ => self.reject("text", format!("leave the key out for the default ({})", self.info.default)),
        }
    }

    fn broker(&mut self) -> Option<Given<BrokerUrl>> {
        let text = self.text()?;
        match BrokerUrl::parse(&text.value) {
            Ok(url) => self.given(url),
            Err(error) => {
                // The value is not repeated: it may hold a password.
                let message = format!("role `{}`: `{}` is not a URL: {error}", self.role.text, self.key.text);
                let help = "write it as amqp://user:password@host/vhost";
                self.diagnostics.error(self.node.place, message, "not a URL", help);
                None
            }
        }
    }
}

fn is_whole(n: f64) -> bool {
    n.fract() == 0.0 && n <= f64::from(u32::MAX)
}
