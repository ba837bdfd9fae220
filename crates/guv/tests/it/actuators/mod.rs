//! The actuators: one suite that all of them pass, and what each has beyond it.

mod conformance;
mod docker;
#[cfg(feature = "keda")]
mod keda;
mod kubernetes;
mod processes;
#[cfg(feature = "redis")]
mod procfile;
mod systemd;
mod told;

use guv::{Actuator, ActuatorError, AppName, Change, RoleConfig, WorkerCount};

/// The application of all roles here.
const APP: &str = "shop";

/// The configuration of one role of that application. Its workers may take long to end, as on a busy machine.
fn role(text: &str) -> RoleConfig {
    crate::doubles::config(&format!("'*': {{app: {APP}, grace: 30}}\n{text}")).roles.remove(0)
}

async fn count(actuator: &dyn Actuator, role: &RoleConfig) -> Result<Option<WorkerCount>, ActuatorError> {
    let app = AppName::new(APP);
    actuator.count(Some(&app), &[role]).await.remove(&role.role).expect("an answer for each role")
}

/// Asks for so many workers, as the governor does: with what was counted before.
async fn apply(actuator: &dyn Actuator, role: &RoleConfig, target: u32) -> Result<(), ActuatorError> {
    let app = AppName::new(APP);
    let current = count(actuator, role).await.ok().flatten().map(|count| count.current);
    let change = Change { role, current, target };
    actuator.apply(Some(&app), &[change]).await.remove(&role.role).expect("an answer for each role")
}
