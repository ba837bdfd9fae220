//! Participants without a broker, to test them.
//!
//! ```
//! use msgflo::testing::{Bench, Fate};
//! use msgflo::{Inport, Participant};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), msgflo::Error> {
//! let mut double = Participant::new("math/Double").role("double");
//! let out = double.outport::<i64>("OUT");
//! let error = double.error_port("ERROR");
//! double.inport("IN", Inport::default(), move |number: i64, context| {
//!     let out = out.clone();
//!     async move {
//!         let doubled = number.checked_mul(2).ok_or("too large")?;
//!         context.send(&out, &doubled)?;
//!         Ok(())
//!     }
//! });
//!
//! let bench = Bench::start([double]).await?;
//! bench.send("double.IN", &21);
//! assert_eq!(bench.received::<i64>("double.OUT").await, 42);
//! assert_eq!(bench.fate("double.IN").await, Fate::Acked);
//!
//! bench.send("double.IN", &i64::MAX);
//! let failure: serde_json::Value = bench.received("double.ERROR").await;
//! assert_eq!(failure["error"]["message"], "too large");
//! assert_eq!(bench.fate("double.IN").await, Fate::Refused);
//! bench.stop().await
//! # }
//! ```

mod bench;
mod memory;

pub use bench::Bench;
pub use memory::{Confirms, Fate, Memory};
