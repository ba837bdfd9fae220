//! The policies: how many workers a role should have.
//!
//! A policy is a pure function of the role's configuration, the window of past estimates, one observation and
//! `now`. Adding one is a variant here and a file beside this one.

mod proportional;
mod window;

use serde::{Deserialize, Serialize};

use crate::{Decision, Observation, RoleConfig, Timestamp};

pub use window::EstimateWindow;

/// How the number of workers is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Policy {
    /// In proportion to the jobs at hand, down only as far as the recent past allows: the original guv.
    #[default]
    Proportional,
}

impl Policy {
    /// Decides for one role. The estimates in `window` are those of earlier cycles, without this one.
    pub fn decide(
        self,
        role: &RoleConfig,
        window: &EstimateWindow,
        observation: &Observation,
        now: Timestamp,
    ) -> Decision {
        match self {
            Self::Proportional => proportional::decide(role, window, observation, now),
        }
    }
}
