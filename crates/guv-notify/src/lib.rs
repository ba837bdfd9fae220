//! For applications that enqueue jobs: tells guv, or Heroku itself where there is no guv, that workers are needed.
//!
//! Nothing here ever waits for a network: what is to be told is noted, and a thread of its own tells it. What comes
//! several times before it could be told is told once. What could not be told is logged and forgotten: guv polls anyway,
//! and the next job says it again.
//!
//! ```no_run
//! use guv_notify::Notifier;
//!
//! # fn enqueue(_: &str) {}
//! # fn main() -> Result<(), guv_notify::NotConfigured> {
//! // GUV_URL and GUV_TOKEN, else HEROKU_APP and HEROKU_OAUTH_TOKEN.
//! let notifier = Notifier::from_environment()?;
//! enqueue("resize");
//! notifier.scale_up("resize", 1);
//!
//! // A thousand jobs, one notification.
//! let batch = notifier.batch();
//! for _ in 0..1000 {
//!     enqueue("resize");
//!     notifier.scale_up("resize", 1);
//! }
//! drop(batch);
//! # Ok(())
//! # }
//! ```
//!
//! It does not count jobs, run workers, or know a queue: that is guv's business.

mod courier;
mod notes;
mod notifier;
mod target;

pub use notifier::{Batch, Load, Notifier};
pub use target::{Guv, Heroku, NotConfigured, Target};
