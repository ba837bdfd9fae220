//! The actuators: one file each.
//!
//! Only the program that builds the [`Registry`](crate::Registry) names them.

mod heroku;

pub use heroku::Heroku;
