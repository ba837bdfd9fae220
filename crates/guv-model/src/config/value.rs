//! The value of one key: its type, its range, and what to say when it is something else.

use std::num::NonZeroU32;
use std::time::Duration;

use super::diagnostic::Diagnostics;
use super::keys::{KeyName, nearest};
use super::parts::{ACTUATORS, AMQP, SOURCES};
use super::settings::{Given, Processing, Settings};
use super::tree::{Key, Node, Value};
use super::{Percentile, Severity};
use crate::{BrokerUrl, Policy, schedule};

/// Reads the value of one key.
pub(super) struct Reader<'a, 'd, 't> {
    pub(super) role: &'a Key,
    pub(super) key: &'a Key,
    pub(super) node: &'a Node,
    pub(super) about: About,
    pub(super) diagnostics: &'d mut Diagnostics<'t>,
}

/// What is to be said about a key when its value will not do.
#[derive(Clone, Copy)]
pub(super) struct About {
    pub(super) meaning: &'static str,
    pub(super) default: &'static str,
    /// The value is not to be repeated.
    pub(super) secret: bool,
}

impl<'a, 't> Reader<'a, '_, 't> {
    /// Puts the value where its key belongs; a value that will not do becomes a diagnostic and stays unset.
    pub(super) fn read_into(mut self, key: KeyName, settings: &mut Settings) {
        match key {
            KeyName::Processing => settings.processing = self.processing(),
            KeyName::StdDev => settings.stddev = self.seconds(),
            KeyName::Deadline => settings.deadline = self.positive_seconds(),
            KeyName::Boot => settings.boot = self.seconds(),
            KeyName::Concurrency => settings.concurrency = self.positive_count(),
            KeyName::DynoSize => settings.dyno_size = self.text(),
            KeyName::Minimum => settings.minimum = self.count(),
            KeyName::Maximum => settings.maximum = self.count(),
            KeyName::Worker => settings.worker = self.text(),
            KeyName::Queue => settings.queue = self.texts(),
            KeyName::App => settings.app = self.text(),
            KeyName::Broker => settings.broker = self.broker(),
            KeyName::ApiKey => settings.api_key = self.text(),
            KeyName::StatusPage => settings.status_page = self.text(),
            KeyName::Metric => settings.metric = self.text(),
            KeyName::Percentile => settings.percentile = self.percentile(),
            KeyName::Target => settings.target = self.positive_seconds(),
            KeyName::Policy => settings.policy = self.policy(),
            KeyName::JobWorkerRatio => settings.job_worker_ratio = self.ratio(),
            KeyName::DownDelay => settings.down_delay = self.seconds(),
            KeyName::Source => settings.source = self.part(SOURCES),
            KeyName::Actuator => settings.actuator = self.part(ACTUATORS),
            KeyName::Schedule => settings.schedule = self.schedule(),
            KeyName::TimeZone => settings.time_zone = self.time_zone(),
            KeyName::MaxStepUp => settings.max_step_up = self.positive_count(),
            KeyName::MaxStepDown => settings.max_step_down = self.positive_count(),
            KeyName::Cooldown => settings.cooldown = self.seconds(),
            KeyName::Grace => settings.grace = self.seconds(),
            KeyName::StopBusy => settings.stop_busy = self.flag(),
            KeyName::Paused => settings.paused = self.flag(),
            KeyName::Budget => settings.budgets = self.budgets(),
            KeyName::Prices => settings.prices = self.prices(),
            KeyName::PollInterval => settings.poll_interval = self.interval(),
            KeyName::History => settings.history = self.seconds(),
        }
    }

    pub(super) fn given<T>(&self, value: T) -> Option<Given<T>> {
        Some(Given { value, place: self.node.place })
    }

    pub(super) fn reject<T>(&mut self, wanted: &str, help: String) -> Option<T> {
        // A value that is not there has no extent to mark.
        let place = if self.node.value == Value::Null { self.key.place } else { self.node.place };
        // A secret is not repeated.
        let found = match &self.node.value {
            value if self.about.secret && *value != Value::Null => "something else".to_owned(),
            value => value.describe(),
        };
        let message =
            format!("role `{}`: `{}` must be {wanted}, but this is {found}", self.role.text, self.key.text);
        self.diagnostics.error(place, message, self.about.meaning, help);
        None
    }

    pub(super) fn number(&mut self, wanted: &str, accept: impl Fn(f64) -> bool) -> Option<f64> {
        self.number_of(wanted, accept, |_| Some(1.0))
    }

    /// A number; `unit` says what one is worth that is written with a unit, which it must not be.
    fn number_of(
        &mut self,
        wanted: &str,
        accept: impl Fn(f64) -> bool,
        unit: impl Fn(&str) -> Option<f64>,
    ) -> Option<f64> {
        let default = self.about.default;
        match &self.node.value {
            Value::Number(number) if accept(*number) => Some(*number),
            Value::Text(text) => {
                let digits: String = text.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
                let worth = unit(text[digits.len()..].trim());
                let number = digits.parse::<f64>().ok().zip(worth).map(|(number, worth)| number * worth);
                // No more digits than were written.
                match number.map(|number| (number * 1e9).round() / 1e9) {
                    Some(number) if accept(number) => self.reject(
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
        let seconds = self.number_of(wanted, |n| accept(n) && n <= LONGEST, seconds_of)?;
        let duration = Duration::try_from_secs_f64(seconds).expect("within 0 and a year");
        self.given(duration)
    }

    pub(super) fn seconds(&mut self) -> Option<Given<Duration>> {
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

    pub(super) fn count(&mut self) -> Option<Given<u32>> {
        let count = self.number("a whole number, 0 or more", |n| n >= 0.0 && is_whole(n))?;
        self.given(count as u32)
    }

    fn positive_count(&mut self) -> Option<Given<NonZeroU32>> {
        let count = self.number("a whole number, 1 or more", |n| n >= 1.0 && is_whole(n))?;
        self.given(NonZeroU32::new(count as u32)?)
    }

    fn percentile(&mut self) -> Option<Given<Percentile>> {
        let percent = self.number("a number above 0 and below 100", |n| Percentile::new(n).is_some())?;
        if percent < 1.0 {
            let message = format!(
                "role `{}`: `percentile: {percent}` is less than one job in a hundred",
                self.role.text
            );
            let help = format!("it is in percent: write `percentile: {}`", (percent * 1e4).round() / 100.0);
            self.diagnostics.push(Severity::Warning, self.node.place, message, "a share, not percent?", help);
        }
        self.given(Percentile::new(percent)?)
    }

    pub(super) fn text(&mut self) -> Option<Given<String>> {
        match &self.node.value {
            Value::Text(text) if !text.is_empty() => self.given(text.clone()),
            Value::Number(_) | Value::Bool(_) => {
                self.reject("text", format!("put it in quotes: `{}: \"…\"`", self.key.text))
            }
            _ => self.reject("text", format!("leave the key out for the default ({})", self.about.default)),
        }
    }

    fn processing(&mut self) -> Option<Given<Processing>> {
        if matches!(&self.node.value, Value::Text(text) if text == "auto") {
            return self.given(Processing::Auto);
        }
        let mean = self.positive_seconds()?;
        self.given(Processing::Mean(mean.value))
    }

    pub(super) fn flag(&mut self) -> Option<Given<bool>> {
        match self.node.value {
            Value::Bool(flag) => self.given(flag),
            _ => self.reject("true or false", format!("the default is {}", self.about.default)),
        }
    }

    fn policy(&mut self) -> Option<Given<Policy>> {
        let text = self.text()?;
        if let Some(policy) = Policy::named(&text.value) {
            return self.given(policy);
        }
        let names = Policy::ALL.map(Policy::name);
        let help = match nearest(&text.value, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the policies are {}", names.join(", ")),
        };
        self.reject("the name of a policy", help)
    }

    fn time_zone(&mut self) -> Option<Given<jiff::tz::TimeZone>> {
        let name = self.text()?.value;
        if let Some(zone) = schedule::time_zone(&name) {
            return self.given(zone);
        }
        let zones: Vec<_> = schedule::time_zones().collect();
        let help = match nearest(&name, zones.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write it as in `Europe/Oslo`, or `UTC`".to_owned(),
        };
        self.reject("the name of a time zone", help)
    }

    /// A text, or a list of them that is not empty.
    pub(super) fn texts(&mut self) -> Option<Given<Vec<String>>> {
        let node = self.node;
        let Value::Sequence(items) = &node.value else {
            let text = self.text()?;
            return self.given(vec![text.value]);
        };
        if items.is_empty() {
            let message = format!("role `{}`: `{}` is an empty list", self.role.text, self.key.text);
            let help = "name at least one, or leave the key out";
            self.diagnostics.error(node.place, message, self.about.meaning, help);
            return None;
        }
        let mut texts = Vec::new();
        for item in items {
            texts.push(Reader { node: item, ..self.again() }.text());
        }
        let texts: Option<Vec<_>> = texts.into_iter().map(|text| Some(text?.value)).collect();
        let texts = texts?;
        if let Some((item, text)) = items
            .iter()
            .zip(&texts)
            .enumerate()
            .find(|(place, (_, text))| texts[..*place].contains(text))
            .map(|found| found.1)
        {
            let message = format!("role `{}`: `{}` names `{text}` twice", self.role.text, self.key.text);
            self.diagnostics.error(item.place, message, "it would count twice", "leave one of them out");
            return None;
        }
        self.given(texts)
    }

    /// The same reader, to look at another value.
    pub(super) fn again(&mut self) -> Reader<'a, '_, 't> {
        Reader {
            role: self.role,
            key: self.key,
            node: self.node,
            about: self.about,
            diagnostics: &mut *self.diagnostics,
        }
    }

    pub(super) fn broker(&mut self) -> Option<Given<BrokerUrl>> {
        self.url(AMQP)
    }

    /// A URL that looks like the example.
    pub(super) fn url(&mut self, example: &str) -> Option<Given<BrokerUrl>> {
        let text = self.text()?;
        match BrokerUrl::parse(&text.value) {
            Ok(url) => self.given(url),
            Err(error) => {
                // The value is not repeated: it may hold a password.
                let message = format!("role `{}`: `{}` is not a URL: {error}", self.role.text, self.key.text);
                let help = format!("write it as {example}");
                self.diagnostics.error(self.node.place, message, "not a URL", help);
                None
            }
        }
    }
}

/// The seconds of a unit of time.
fn seconds_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "" | "s" | "sec" | "second" | "seconds" => 1.0,
        "ms" => 1e-3,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        _ => return None,
    })
}

fn is_whole(n: f64) -> bool {
    n.fract() == 0.0 && n <= f64::from(u32::MAX)
}
