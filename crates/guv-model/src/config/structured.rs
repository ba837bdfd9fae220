//! Values that are more than one word or number: parts with options, tables, schedules, budgets.

use super::keys::nearest;
use super::parts::{self, OptionInfo, OptionValue, PartInfo, Shape};
use super::settings::{BudgetSettings, Given};
use super::tree::{Key, Node, Value};
use super::value::{About, Reader};
use super::{Part, Severity};
use crate::ratio::Step;
use crate::schedule::{Rule, When};
use crate::{JobWorkerRatio, Secret};

/// The default of an option that has none.
const REQUIRED: &str = "required";

/// The option that says how long an answer may take.
const TIMEOUT: &str = "timeout";

/// The key that says which kind a part is.
const KIND: &str = "kind";

impl<'a, 't> Reader<'a, '_, 't> {
    /// A source or an actuator: its name, or a mapping with its kind and options.
    pub(super) fn part(&mut self, table: &'static [PartInfo]) -> Option<Given<Part>> {
        let node = self.node;
        let (kind, options): (_, &[(Key, Node)]) = match &node.value {
            Value::Mapping(entries) => match entries.iter().find(|(key, _)| key.text == KIND) {
                Some((_, kind)) => (kind, entries),
                None => {
                    let message = format!("role `{}`: `{}` names no kind", self.role.text, self.key.text);
                    self.diagnostics.error(node.place, message, "`kind` is missing", kinds(table));
                    return None;
                }
            },
            _ => (node, &[]),
        };
        let name = Reader { node: kind, ..self.again() }.text()?.value;
        let Some(info) = parts::lookup(table, &name) else {
            let help = match nearest(&name, table.iter().map(|part| part.kind)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => kinds(table),
            };
            let message = format!("role `{}`: there is no {} `{name}`", self.role.text, self.key.text);
            self.diagnostics.error(kind.place, message, "unknown", help);
            return None;
        };
        let mut part = Part { kind: info.kind, options: Default::default() };
        let names = || std::iter::once(KIND).chain(info.options.iter().map(|option| option.name));
        for (key, node) in self.distinct(options) {
            if key.text == KIND {
                continue;
            }
            match info.option(&key.text) {
                Some(option) => {
                    let about = About {
                        meaning: option.meaning,
                        default: option.default,
                        secret: matches!(option.shape, Shape::Secret | Shape::Url),
                    };
                    let example = if option.name == "url" { info.address() } else { parts::HTTP };
                    if let Some(value) = (Reader { key, node, about, ..self.again() }).option(option, example)
                    {
                        part.options.insert(option.name, value);
                    }
                }
                None => self.unknown(&format!("{} `{name}`", self.key.text), key, names()),
            }
        }
        let is_given = |name: &str| options.iter().any(|(key, _)| key.text == name);
        if let Some(option) =
            info.options.iter().find(|option| option.default == REQUIRED && !is_given(option.name))
        {
            let message =
                format!("role `{}`: {} `{name}` has no `{}`", self.role.text, self.key.text, option.name);
            let help = format!("write it as `{{kind: {name}, {}: …}}`", option.name);
            self.diagnostics.error(node.place, message, option.meaning, help);
            return None;
        }
        self.given(part)
    }

    fn option(&mut self, option: &OptionInfo, example: &str) -> Option<OptionValue> {
        Some(match option.shape {
            Shape::Text => OptionValue::Text(self.text()?.value),
            Shape::Secret => OptionValue::Secret(Secret::new(self.text()?.value)),
            Shape::Url => OptionValue::Url(self.url(example)?.value),
            Shape::Count => OptionValue::Count(self.count()?.value.into()),
            Shape::Seconds => {
                let seconds = self.seconds()?.value;
                if seconds.is_zero() && option.name == TIMEOUT {
                    let message = format!(
                        "role `{}`: with `timeout: 0` nothing is ever answered in time",
                        self.role.text
                    );
                    let help =
                        format!("give it more time, or leave it out for the default ({} s)", option.default);
                    self.diagnostics.push(
                        Severity::Warning,
                        self.node.place,
                        message,
                        "no time at all",
                        help,
                    );
                }
                OptionValue::Seconds(seconds)
            }
            Shape::Flag => OptionValue::Flag(self.flag()?.value),
            Shape::Texts => OptionValue::Texts(self.texts()?.value),
        })
    }

    /// Workers → jobs, as a mapping.
    pub(super) fn ratio(&mut self) -> Option<Given<JobWorkerRatio>> {
        const WANTED: &str = "a mapping of workers to waiting jobs, both 1 or more";
        let help = || "write it as `{1: 1, 2: 25, 3: 50}`".to_owned();
        let Value::Mapping(entries) = &self.node.value else {
            return self.reject(WANTED, help());
        };
        let step = |(key, node): &(Key, Node)| {
            let workers = key.text.parse().ok().filter(|workers: &u32| *workers > 0)?;
            match node.value {
                Value::Number(jobs) if jobs >= 1.0 && jobs.fract() == 0.0 => {
                    Some(Step { workers, jobs: jobs as u64 })
                }
                _ => None,
            }
        };
        let steps: Option<Vec<_>> = entries.iter().map(step).collect();
        match steps.and_then(JobWorkerRatio::new) {
            Some(table) => {
                self.warn_of_fall(&table);
                self.given(table)
            }
            None => self.reject(WANTED, help()),
        }
    }

    /// More workers from fewer jobs on: those in between are never had.
    fn warn_of_fall(&mut self, table: &JobWorkerRatio) {
        let mut pairs = table.steps().windows(2).map(|pair| (pair[0], pair[1]));
        let Some((less, more)) = pairs.find(|(less, more)| more.jobs <= less.jobs) else { return };
        let message = format!(
            "role `{}`: {} workers are needed from {} jobs on, so {} never are, from {} on",
            self.role.text, more.workers, more.jobs, less.workers, less.jobs
        );
        let help = "more workers want more jobs: `{1: 1, 2: 25, 3: 50}`";
        self.diagnostics.push(Severity::Warning, self.node.place, message, "it does not rise", help);
    }

    /// A list of times with limits.
    pub(super) fn schedule(&mut self) -> Option<Given<Vec<Given<Rule>>>> {
        const WANTED: &str = "a list of `{when, minimum, maximum}`";
        const KEYS: [&str; 5] = ["when", "minimum", "min", "maximum", "max"];
        let help = || "write it as `[{when: mon-fri 08:00-18:00, minimum: 2}]`".to_owned();
        let node = self.node;
        let Value::Sequence(items) = &node.value else {
            return self.reject(WANTED, help());
        };
        let mut rules = Vec::new();
        for item in items {
            let Value::Mapping(entries) = &item.value else {
                Reader { node: item, ..self.again() }.reject::<()>(WANTED, help());
                continue;
            };
            let (mut when, mut minimum, mut maximum) = (None, None, None);
            for (key, node) in self.distinct(entries) {
                let mut reader = Reader { key, node, ..self.again() };
                match key.text.as_str() {
                    "when" => when = reader.when(),
                    "minimum" | "min" => minimum = reader.count().map(|given| given.value),
                    "maximum" | "max" => maximum = reader.count().map(|given| given.value),
                    _ => self.unknown("schedule", key, KEYS),
                }
            }
            match when {
                Some(when) => rules.push(Given { value: Rule { when, minimum, maximum }, place: item.place }),
                None if entries.iter().any(|(key, _)| key.text == "when") => {}
                None => {
                    let message = format!("role `{}`: a rule of `schedule` has no `when`", self.role.text);
                    self.diagnostics.error(item.place, message, "when?", help());
                }
            }
        }
        self.given(rules)
    }

    fn when(&mut self) -> Option<When> {
        let text = self.text()?.value;
        match When::parse(&text) {
            Ok(when) => Some(when),
            Err(error) => {
                let message = format!("role `{}`: `{}`: {error}", self.role.text, self.key.text);
                let help = "write days and hours, `mon-fri 08:00-18:00`, or five fields as in a crontab";
                self.diagnostics.error(self.node.place, message, "not a time", help);
                None
            }
        }
    }

    /// A cap, or a list of caps.
    pub(super) fn budgets(&mut self) -> Option<Given<Vec<BudgetSettings>>> {
        const WANTED: &str = "`{workers, cost, roles}` with a cap on workers or cost, or a list of such";
        const KEYS: [&str; 3] = ["workers", "cost", "roles"];
        let node = self.node;
        let items = match &node.value {
            Value::Sequence(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut budgets = Vec::new();
        for item in items {
            let help = || "write it as `{workers: 20}` or `{cost: 2.5, roles: [a, b]}`".to_owned();
            let Value::Mapping(entries) = &item.value else {
                Reader { node: item, ..self.again() }.reject::<()>(WANTED, help());
                continue;
            };
            let mut budget = BudgetSettings::default();
            for (key, node) in self.distinct(entries) {
                let mut reader = Reader { key, node, ..self.again() };
                match key.text.as_str() {
                    "workers" => budget.workers = reader.count().map(|given| given.value),
                    "cost" => budget.cost = reader.money(),
                    "roles" => budget.roles = reader.names(),
                    _ => self.unknown("budget", key, KEYS),
                }
            }
            if !entries.iter().any(|(key, _)| key.text == "workers" || key.text == "cost") {
                let message = format!("role `{}`: a budget has no cap", self.role.text);
                self.diagnostics.error(item.place, message, "neither `workers` nor `cost`", help());
            }
            budgets.push(budget);
        }
        self.given(budgets)
    }

    fn money(&mut self) -> Option<f64> {
        self.number("an amount of money per hour, 0 or more", |n| n >= 0.0 && n.is_finite())
    }

    /// Texts, each with its place.
    fn names(&mut self) -> Option<Vec<Given<String>>> {
        let node = self.node;
        let items = match &node.value {
            Value::Sequence(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        items.iter().map(|node| Reader { node, ..self.again() }.text()).collect()
    }

    /// Sizes → price per hour.
    pub(super) fn prices(&mut self) -> Option<Given<Vec<(String, f64)>>> {
        let node = self.node;
        let Value::Mapping(entries) = &node.value else {
            let help = "write it as `{standard-1x: 0.035, performance-m: 0.35}`".to_owned();
            return self.reject("a mapping of sizes to prices per hour", help);
        };
        let mut prices = Vec::new();
        for (key, node) in self.distinct(entries) {
            let price = Reader { key, node, ..self.again() }.money();
            prices.extend(price.map(|price| (key.text.clone(), price)));
        }
        self.given(prices)
    }

    /// The entries, less those whose key was there before, which are reported.
    fn distinct(&mut self, entries: &'a [(Key, Node)]) -> Vec<(&'a Key, &'a Node)> {
        let mut seen: Vec<(&Key, &Node)> = Vec::new();
        for (key, node) in entries {
            match seen.iter().find(|(first, _)| first.text == key.text) {
                Some((first, _)) => {
                    let context = format!("role `{}`: `{}`: ", self.role.text, self.key.text);
                    super::settings::repeated(key, first, &context, self.diagnostics);
                }
                None => seen.push((key, node)),
            }
        }
        seen
    }

    fn unknown<'n>(&mut self, within: &str, key: &Key, names: impl IntoIterator<Item = &'n str> + Clone) {
        let message = format!("role `{}`: {within} has no key `{}`", self.role.text, key.text);
        let help = match nearest(&key.text, names.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the keys are {}", names.into_iter().collect::<Vec<_>>().join(", ")),
        };
        self.diagnostics.error(key.place, message, "unknown key", help);
    }
}

fn kinds(table: &[PartInfo]) -> String {
    format!("the kinds are {}", table.iter().map(|part| part.kind).collect::<Vec<_>>().join(", "))
}
