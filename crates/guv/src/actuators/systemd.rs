//! systemd: instances of a template unit, `UNIT@1.service` and so on.
//!
//! It calls `systemctl`, and never waits for units to come up or go down: how long one may take to stop is its own
//! `TimeoutStopSec`. Instances whose name is no number are left alone. The lowest free numbers are started, the highest
//! are stopped first. A unit of `Type=simple` is active as soon as it is started: those that were started here count as
//! booting until they have had the role's `boot`.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::join_all;
use guv_model::{AppName, RoleConfig, WorkerCount};
use serde::Deserialize;
use tokio::process;
use tokio::time::timeout;

use super::failure::Failure;
use crate::{Actuator, ActuatorError, Answers, Change};

const KIND: &str = "systemd";
/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// "Access denied" of systemctl(1), as in the LSB specification of init scripts.
const ACCESS_DENIED: i32 = 4;

/// Starts and stops units of systemd.
pub struct Systemd {
    systemctl: PathBuf,
    started: Mutex<HashMap<Manager, HashMap<u32, Instant>>>,
}

/// A template, and whether its units are the user's own.
type Manager = (String, bool);

/// A unit, as `systemctl list-units --output=json` tells.
#[derive(Deserialize)]
struct Unit {
    unit: String,
    active: String,
}

/// The numbered instances of a template.
#[derive(Debug, Default, PartialEq)]
struct Instances {
    /// Those that are up or come up, sorted.
    up: Vec<u32>,
    /// Those of them that come up.
    activating: HashSet<u32>,
    /// Those that go down, sorted: their numbers are not free yet.
    stopping: Vec<u32>,
}

impl Default for Systemd {
    fn default() -> Self {
        Self::calling("systemctl")
    }
}

impl Systemd {
    /// An actuator for all roles that ask for it, by the machine's `systemctl`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same by another program that understands what `systemctl` does.
    pub fn calling(systemctl: impl Into<PathBuf>) -> Self {
        Self { systemctl: systemctl.into(), started: Mutex::default() }
    }

    async fn instances(&self, role: &RoleConfig) -> Result<Instances, Failure> {
        let template = template(role);
        let pattern = format!("{template}@*.service");
        let output = self.call(role, &["list-units", "--all", "--output=json", &pattern]).await?;
        Instances::parse(&template, &output).map_err(|error| {
            Failure::Fatal(format!(
                "systemctl writes something else than units: {error}; it needs systemd 246 or later"
            ))
        })
    }

    async fn set(&self, change: &Change<'_>) -> Result<(), Failure> {
        let instances = self.instances(change.role).await?;
        let (verb, numbers) = instances.towards(change.target);
        if numbers.is_empty() {
            return Ok(());
        }
        let template = template(change.role);
        let units: Vec<_> = numbers.iter().map(|number| format!("{template}@{number}.service")).collect();
        let arguments: Vec<&str> =
            ["--no-block", verb].into_iter().chain(units.iter().map(String::as_str)).collect();
        self.call(change.role, &arguments).await?;
        if verb == "start" {
            let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let key = (template, is_of_user(change.role));
            started.entry(key).or_default().extend(numbers.into_iter().map(|number| (number, now)));
        }
        Ok(())
    }

    /// The numbers of those that were started here less than the role's `boot` ago.
    fn young(&self, role: &RoleConfig) -> HashSet<u32> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(started) = started.get_mut(&(template(role), is_of_user(role))) else {
            return HashSet::new();
        };
        started.retain(|_, at| at.elapsed() < role.boot);
        started.keys().copied().collect()
    }

    async fn call(&self, role: &RoleConfig, arguments: &[&str]) -> Result<Vec<u8>, Failure> {
        let arguments: Vec<OsString> = is_of_user(role)
            .then_some("--user")
            .into_iter()
            .chain(arguments.iter().copied())
            .map(OsString::from)
            .collect();
        let calling = process::Command::new(&self.systemctl)
            .args(&arguments)
            .env("LC_ALL", "C")
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = match timeout(PATIENCE, calling).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => {
                return Err(Failure::Fatal(format!("{} cannot be run: {error}", self.systemctl.display())));
            }
            Err(_) => {
                return Err(Failure::retry(format!("systemctl did not end within {} s", PATIENCE.as_secs())));
            }
        };
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said =
            said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing").trim().to_owned();
        let what = format!("systemctl ends with {}: {said}", output.status);
        Err(match output.status.code() {
            _ if said.contains("not found") => Failure::Fatal(format!("{what}; check `unit:`")),
            _ if said.contains("authentication") || said.contains("denied") => Failure::Fatal(permit(&what)),
            Some(ACCESS_DENIED) => Failure::Fatal(permit(&what)),
            _ => Failure::retry(what),
        })
    }
}

fn permit(what: &str) -> String {
    format!(
        "{what}; let guv manage these units, by a rule of polkit, or set `user: true` for units of its own user"
    )
}

fn is_of_user(role: &RoleConfig) -> bool {
    role.actuator.as_ref().is_some_and(|part| part.flag("user"))
}

/// The role's template unit, without `@` and `.service`.
fn template(role: &RoleConfig) -> String {
    let own = role.actuator.as_ref().and_then(|part| part.text("unit"));
    own.unwrap_or(role.worker.as_str()).trim_end_matches(".service").trim_end_matches('@').to_owned()
}

impl Instances {
    fn parse(template: &str, output: &[u8]) -> Result<Self, serde_json::Error> {
        let mut instances = Self::default();
        // Without any unit, some versions write nothing at all.
        let units: Vec<Unit> = match output.trim_ascii() {
            b"" => Vec::new(),
            output => serde_json::from_slice(output)?,
        };
        for Unit { unit, active } in units {
            let number =
                unit.strip_prefix(template).and_then(|rest| rest.strip_prefix('@')?.strip_suffix(".service"));
            let Some(number) = number.and_then(|number| number.parse().ok()) else { continue };
            match active.as_str() {
                "active" | "reloading" => instances.up.push(number),
                "activating" => {
                    instances.up.push(number);
                    instances.activating.insert(number);
                }
                "deactivating" => instances.stopping.push(number),
                _ => {}
            }
        }
        instances.up.sort_unstable();
        Ok(instances)
    }

    /// What is to be done with which instances to have so many.
    fn towards(&self, target: u32) -> (&'static str, Vec<u32>) {
        let now = u32::try_from(self.up.len()).unwrap_or(u32::MAX);
        if target >= now {
            let missing = usize::try_from(target - now).unwrap_or(usize::MAX);
            let free = (1..).filter(|number| !self.up.contains(number) && !self.stopping.contains(number));
            ("start", free.take(missing).collect())
        } else {
            let excess = usize::try_from(now - target).unwrap_or(usize::MAX);
            ("stop", self.up.iter().rev().copied().take(excess).collect())
        }
    }

    fn count(&self, young: &HashSet<u32>) -> WorkerCount {
        let boots = |unit: &&u32| self.activating.contains(unit) || young.contains(unit);
        let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        WorkerCount {
            booting: Some(number(self.up.iter().filter(boots).count())),
            draining: Some(number(self.stopping.len())),
            drains: true,
            ..WorkerCount::running(number(self.up.len()))
        }
    }
}

#[async_trait]
impl Actuator for Systemd {
    fn accepts(&self, role: &RoleConfig) -> Result<(), String> {
        if role.actuator.as_ref().is_none_or(|part| part.kind() != KIND) {
            return Err("the role does not ask for it; say `actuator: systemd`".to_owned());
        }
        let template = template(role);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '\\');
        // A name with other characters could be taken for an option or a pattern.
        if template.is_empty() || template.starts_with('-') || !template.chars().all(plain) {
            return Err(format!(
                "`{template}` is not the name of a template unit; set `unit:` in `actuator:`"
            ));
        }
        Ok(())
    }

    async fn count(
        &self,
        _: Option<&AppName>,
        roles: &[&RoleConfig],
    ) -> Answers<Option<WorkerCount>, ActuatorError> {
        let counts = roles.iter().map(|role| async move {
            let count = self.instances(role).await.map(|instances| Some(instances.count(&self.young(role))));
            (role.role.clone(), count.map_err(ActuatorError::from))
        });
        join_all(counts).await.into_iter().collect::<HashMap<_, _>>()
    }

    async fn apply(&self, _: Option<&AppName>, changes: &[Change<'_>]) -> Answers<(), ActuatorError> {
        let changes = changes.iter().map(|change| async move {
            (change.role.role.clone(), self.set(change).await.map_err(ActuatorError::from))
        });
        join_all(changes).await.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_by_number_and_state() {
        let output = br#"[
            {"unit":"worker@1.service","load":"loaded","active":"active","sub":"running","description":"w"},
            {"unit":"worker@10.service","load":"loaded","active":"activating","sub":"start","description":"w"},
            {"unit":"worker@2.service","load":"loaded","active":"deactivating","sub":"stop-sigterm","description":"w"},
            {"unit":"worker@3.service","load":"loaded","active":"failed","sub":"failed","description":"w"},
            {"unit":"worker@blue.service","load":"loaded","active":"active","sub":"running","description":"w"},
            {"unit":"worker-b@4.service","load":"loaded","active":"active","sub":"running","description":"w"}]"#;
        let instances = Instances::parse("worker", output).unwrap();
        assert_eq!(instances, Instances { up: vec![1, 10], activating: [10].into(), stopping: vec![2] });
        assert_eq!(instances.count(&HashSet::new()).booting, Some(1));
        assert_eq!(instances.count(&[1, 2, 10].into()).booting, Some(2));
        assert_eq!(instances.towards(4), ("start", vec![3, 4]));
        assert_eq!(instances.towards(2), ("start", vec![]));
        assert_eq!(instances.towards(1), ("stop", vec![10]));
        assert_eq!(instances.towards(0), ("stop", vec![10, 1]));
        assert_eq!(Instances::parse("worker", b"\n").unwrap(), Instances::default());
    }
}
