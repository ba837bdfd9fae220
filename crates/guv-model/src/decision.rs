//! A decision, with everything that it was made from.

use std::cmp::Ordering;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Demand, InFlight, Need, Observation, Policy, Prospect, Role, Timestamp, WorkerLimits};

/// What a policy decided for one role in one cycle. It can be recorded, explained and replayed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The role decided upon.
    pub role: Role,
    /// When.
    pub at: Timestamp,
    /// The number of workers to ask for; `None` leaves it as it is.
    pub target: Option<u32>,
    /// What that means against the number of workers now.
    pub action: Action,
    /// Why.
    pub reason: Reason,
    /// The estimate; `None` when there were no data for one.
    pub estimate: Option<Estimate>,
    /// What kept the estimate from being followed freely.
    pub limits: Vec<Limit>,
    /// When to look at the role again, though nothing happens; `None` leaves it to the next poll.
    #[serde(default, with = "crate::seconds::option", skip_serializing_if = "Option::is_none")]
    pub look_again: Option<Duration>,
    /// What it was decided from.
    pub inputs: Inputs,
}

/// What happens to the number of workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// More workers.
    Up,
    /// Fewer workers.
    Down,
    /// A number is asked for, though it is not known how many there are.
    Set,
    /// No change is needed.
    Keep,
    /// No change is made because something that is needed to decide is not known.
    Hold,
}

/// Why a decision is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// More are needed than there are: never delayed.
    UpAtOnce,
    /// Fewer are needed, and no estimate in the window was higher.
    DownToEstimate,
    /// Fewer are needed; the highest estimate in the window says how far down.
    DownToWindow {
        /// The highest estimate in the window.
        highest: u32,
    },
    /// Fewer are needed, but not long ago at least as many were as there are.
    WindowHolds {
        /// The highest estimate in the window.
        highest: u32,
    },
    /// Fewer would do even if more came than is likely.
    FewerDo,
    /// Fewer would do, but all were needed a moment ago.
    JustNeeded,
    /// As many are needed as there are.
    Steady,
    /// It is not known how many there are, so the estimate is asked for.
    WorkersUnknown,
    /// Nothing has waited or run for as long as it takes, so the workers go.
    LastJobDone,
    /// Nothing waits or runs, but not for long enough.
    IdleDelay {
        /// How long still; in records, seconds.
        #[serde(with = "crate::seconds")]
        left: Duration,
    },
    /// Fewer would do, but jobs wait or run.
    Working,
    /// Somebody has set the number by hand.
    Manual {
        /// The number.
        workers: u32,
        /// Until when.
        until: Timestamp,
    },
    /// It is not known how many messages are ready.
    ReadyUnknown,
    /// There are fewer than the minimum, which are wanted whatever the queue holds.
    UpToMinimum,
    /// It is not known how many jobs are in flight, so workers could only be added, and none need be.
    InFlightUnknown,
}

/// What kept an estimate from being followed freely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Limit {
    /// Fewer would do, but the role's minimum is this.
    Minimum {
        /// The configured minimum.
        workers: u32,
    },
    /// More are needed, but the role's maximum is this.
    Maximum {
        /// The configured maximum.
        workers: u32,
    },
    /// More are needed, but the platform refused to run more than this.
    Platform {
        /// The most that the platform runs.
        workers: u32,
    },
    /// The deadline cannot be met for the wanted share of jobs, however many workers there are.
    Deadline,
    /// The number of jobs in flight is only bounded, so that workers are released one by one.
    OneByOne,
    /// So many workers are busy, and no busy one is stopped.
    Busy {
        /// The busy workers.
        workers: u32,
    },
    /// One decision adds or takes away no more than this.
    Step {
        /// The configured step.
        workers: u32,
    },
    /// The last change was not long ago, so that nothing is taken away yet.
    Cooldown {
        /// How long still; in records, seconds.
        #[serde(with = "crate::seconds")]
        left: Duration,
    },
    /// The same number was asked for just now.
    Throttled,
    /// Nobody has looked for long enough to tell who is busy, and no busy one is stopped.
    Unwatched,
    /// The role is paused.
    Paused,
    /// A budget over several roles leaves this one so many.
    Budget {
        /// Its share.
        workers: u32,
    },
}

/// The number of workers that the jobs need, and how it came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// Jobs to do: ready and in flight.
    pub jobs: u64,
    /// ⌈jobs ÷ concurrency⌉: how often one worker would have to take jobs. By a table: the jobs.
    pub turns: u64,
    /// Workers needed, before any limit: ⌈turns × processing ÷ available⌉, or as the table says.
    pub needed: u64,
    /// Workers needed, within the limits. This is what the window remembers.
    pub workers: u32,
}

impl Estimate {
    /// The limit that keeps it from what is needed.
    pub(crate) fn limit_met(&self, platform_limit: Option<u32>) -> Option<Limit> {
        let workers = self.workers;
        match (self.needed.cmp(&u64::from(workers)), platform_limit) {
            (Ordering::Equal, _) => None,
            (Ordering::Less, _) => Some(Limit::Minimum { workers }),
            (Ordering::Greater, Some(_)) => Some(Limit::Platform { workers }),
            (Ordering::Greater, None) => Some(Limit::Maximum { workers }),
        }
    }
}

/// What a decision was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// The policy.
    #[serde(default)]
    pub policy: Policy,
    /// What was seen.
    pub observation: Observation,
    /// The jobs in flight, as derived from it.
    pub in_flight: InFlight,
    /// Past estimates, oldest first.
    pub window: Vec<u32>,
    /// How long nothing has waited or run, where the policy wants to know.
    #[serde(default, with = "crate::seconds::option", skip_serializing_if = "Option::is_none")]
    pub idle_for: Option<Duration>,
    /// What is expected, where the policy looks ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prospect: Option<Prospect>,
    /// The numbers of the configuration that took part.
    pub parameters: Parameters,
}

/// The numbers of the configuration that took part in a decision.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// Time within which jobs are to be done.
    #[serde(with = "crate::seconds")]
    pub deadline: Duration,
    /// Time from asking for a worker to its first job.
    #[serde(with = "crate::seconds")]
    pub boot: Duration,
    /// Mean processing time of a job.
    #[serde(with = "crate::seconds")]
    pub processing: Duration,
    /// Deadline less the tail of the processing time; in records, seconds.
    #[serde(with = "crate::seconds")]
    pub target: Duration,
    /// The time in which the jobs at hand have to be begun: max(processing, target − processing).
    #[serde(with = "crate::seconds")]
    pub available: Duration,
    /// Jobs that one worker processes at once.
    pub concurrency: NonZeroU32,
    /// Fewest and most workers.
    #[serde(flatten)]
    pub limits: WorkerLimits,
}

/// The decision in words and numbers, on one line.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_jobs(f)?;
        if let Some(estimate) = &self.estimate {
            self.write_estimate(f, estimate)?;
        }
        for limit in &self.limits {
            write!(f, ", {limit}")?;
        }
        match self.inputs.observation.workers {
            Some(workers) => {
                write!(f, "; {} now: {}", count(u64::from(workers.current), "worker"), self.because())?
            }
            None => write!(f, "; {}", self.because())?,
        }
        match self.target {
            Some(target) => write!(f, " → {target}"),
            None => Ok(()),
        }
    }
}

impl Decision {
    /// The workers that there are, where it is known.
    pub fn current(&self) -> Option<u32> {
        self.inputs.observation.workers.map(|workers| workers.current)
    }

    /// Why, in words. Where limits have made something else of what was wanted, the reason for that is not the reason for what
    /// came of it.
    pub fn because(&self) -> String {
        match self.action {
            Action::Keep if self.reason.moves() => "no change".to_owned(),
            Action::Down if !self.reason.lowers() => "down, to keep within a limit".to_owned(),
            _ => self.reason.to_string(),
        }
    }

    /// Asks for another number of workers than the policy does.
    pub(crate) fn ask_for(&mut self, workers: u32) {
        (self.action, self.target) = match self.current() {
            None => (Action::Set, Some(workers)),
            Some(current) => match workers.cmp(&current) {
                Ordering::Greater => (Action::Up, Some(workers)),
                Ordering::Less => (Action::Down, Some(workers)),
                Ordering::Equal => (Action::Keep, None),
            },
        };
    }

    /// Leaves the number of workers as it is.
    pub(crate) fn keep(&mut self) {
        self.action = Action::Keep;
        self.target = None;
    }

    fn write_jobs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(ready) = self.inputs.observation.queue.ready else {
            return f.write_str("the number of ready messages is not known");
        };
        match self.inputs.in_flight {
            InFlight::Counted(n) | InFlight::Reported(n) => {
                write!(f, "{} ({ready} ready + {n} in flight)", count(ready.saturating_add(n), "job"))
            }
            InFlight::AtMost(n) => {
                write!(
                    f,
                    "at most {} ({ready} ready + at most {n} in flight)",
                    count(ready.saturating_add(n), "job")
                )
            }
            InFlight::Unknown => {
                write!(f, "at least {} (ready; in flight is not known)", count(ready, "job"))
            }
        }
    }

    fn write_estimate(&self, f: &mut fmt::Formatter<'_>, estimate: &Estimate) -> fmt::Result {
        let Parameters { processing, available, concurrency, .. } = self.inputs.parameters;
        f.write_str(", ")?;
        if let Some(prospect) = &self.inputs.prospect {
            return write_prospect(f, prospect, estimate);
        }
        if self.inputs.policy == Policy::Ratio {
            return write!(f, "by the table {}", count(estimate.needed, "worker"));
        }
        if concurrency.get() > 1 {
            write!(f, "{concurrency} at once = {}, ", count(estimate.turns, "turn"))?;
        }
        write!(
            f,
            "{} × {} s in {} s = {}",
            estimate.turns,
            seconds(processing),
            seconds(available),
            count(estimate.needed, "worker")
        )
    }
}

impl Reason {
    /// Whether it is one for another number of workers than there are.
    fn moves(self) -> bool {
        matches!(self, Self::UpAtOnce | Self::UpToMinimum)
            || self.lowers() && !matches!(self, Self::Manual { .. })
    }

    /// Whether it can be one for fewer workers than there are.
    fn lowers(self) -> bool {
        matches!(
            self,
            Self::DownToEstimate
                | Self::DownToWindow { .. }
                | Self::FewerDo
                | Self::LastJobDone
                | Self::Manual { .. }
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UpAtOnce => f.write_str("up at once"),
            Self::DownToEstimate => f.write_str("down, nothing in the window needed more"),
            Self::DownToWindow { highest } => {
                write!(f, "down as far as the window allows, it needed {highest}")
            }
            Self::WindowHolds { highest } => write!(f, "no change, the window needed {highest}"),
            Self::FewerDo => f.write_str("down, fewer do even if more comes than is likely"),
            Self::JustNeeded => f.write_str("no change, all were needed a moment ago"),
            Self::Steady => f.write_str("no change"),
            Self::WorkersUnknown => f.write_str("it is not known how many workers there are"),
            Self::LastJobDone => f.write_str("down, the last job is done"),
            Self::IdleDelay { left } => {
                write!(f, "no change for {} s more, a job may come", seconds(*left))
            }
            Self::Working => f.write_str("no change until the last job is done"),
            Self::Manual { workers, .. } => write!(f, "set to {workers} by hand"),
            Self::ReadyUnknown => f.write_str("hold"),
            Self::UpToMinimum => f.write_str("up to the minimum"),
            Self::InFlightUnknown => f.write_str("hold, work in flight may need the workers there are"),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minimum { workers } => write!(f, "at least the minimum of {workers}"),
            Self::Maximum { workers } => write!(f, "at most the maximum of {workers}"),
            Self::Platform { workers } => write!(f, "at most the {workers} that the platform runs"),
            Self::Deadline => f.write_str("the deadline is out of reach"),
            Self::Busy { workers } => write!(f, "not fewer than the {workers} that are busy"),
            Self::Step { workers } => write!(f, "no more than {workers} at a time"),
            Self::Cooldown { left } => {
                write!(f, "none taken away for {} s more after the last change", seconds(*left))
            }
            Self::Throttled => f.write_str("asked for just now"),
            Self::Unwatched => f.write_str("who is busy is not known yet, so none is taken away"),
            Self::Paused => f.write_str("paused"),
            Self::Budget { workers } => write!(f, "the budget leaves it {workers}"),
            Self::OneByOne => f.write_str("in flight is only bounded, so one worker at a time"),
        }
    }
}

fn write_prospect(f: &mut fmt::Formatter<'_>, prospect: &Prospect, estimate: &Estimate) -> fmt::Result {
    let Prospect { forecast, booting, why, caution, .. } = prospect;
    write!(f, "{:.3} per second expected", (forecast.rate + forecast.excess).max(0.0))?;
    if let Some(due) = forecast.due {
        let jobs = count(due.jobs.iter().sum::<f64>().round() as u64, "job");
        write!(f, ", and {jobs} from {:.0} s on as every {:.0} min", due.within, due.every / 60.0)?;
    }
    if *booting > 0 {
        write!(f, ", {} booting", count((*booting).into(), "worker"))?;
    }
    let workers = count(estimate.needed, "worker");
    match why {
        Some(Need::Work(Demand { work, within })) => {
            write!(f, ", {work:.0} s of work within {within:.0} s need {workers}")
        }
        Some(Need::Burst(jobs)) => {
            let jobs = count(jobs.round() as u64, "job");
            write!(
                f,
                ", {workers} stand by for a burst of {jobs} within {:.0} s, as there often is",
                forecast.alone
            )
        }
        Some(Need::Standing) => {
            write!(f, ", {workers} stand by for jobs that come by chance")?;
            match caution {
                0.5.. => write!(f, " (more than usual: lately more jobs were late than is aimed at)"),
                ..=-0.5 => write!(f, " (fewer than usual: lately hardly any job was late for having waited)"),
                _ => Ok(()),
            }
        }
        Some(Need::Fresh) => write!(f, ", {workers} kept of those there were at first"),
        None => write!(f, ", {workers} do"),
    }
}

/// "1 job", "2 jobs".
fn count(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// At most three decimals, and no trailing zeros.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
