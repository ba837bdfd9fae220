//! The actuators: one file each, or one folder.
//!
//! Only the program that builds the [`Registry`](crate::Registry) names them.

mod command;
mod docker;
mod failure;
mod heroku;
#[cfg(feature = "keda")]
pub mod keda;
mod kubernetes;
pub mod processes;
mod systemd;
mod webhook;

pub use command::Command;
pub use docker::Docker;
pub use heroku::Heroku;
#[cfg(feature = "keda")]
pub use keda::Keda;
pub use kubernetes::Kubernetes;
pub use processes::Processes;
pub use systemd::Systemd;
pub use webhook::Webhook;
