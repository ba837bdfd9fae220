//! The queue sources: one file each.
//!
//! Only the program that builds the [`Registry`](crate::Registry) names them.

mod rabbitmq;

pub use rabbitmq::RabbitMq;
