//! The queue sources: one file each, or one folder for a family of them.
//!
//! Only the program that builds the [`Registry`](crate::Registry) names them. They are written as `queues::Queues`
//! (looking at the queues of one place; grouping, sums, deadlines and watching are common to all) or as `each::Ask`
//! (asked for each role by itself).

mod command;
mod each;
mod failure;
mod fetch;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod http;
mod numbers;
#[cfg(feature = "postgres")]
mod postgres;
mod prometheus;
mod queues;
mod rabbitmq;
#[cfg(feature = "redis")]
mod redis;
mod watch;

pub use command::command;
pub use http::http;
#[cfg(feature = "postgres")]
pub use postgres::{delayed_job, good_job, oban, pgmq, river, solid_queue, sql};
pub use prometheus::prometheus;
pub use rabbitmq::RabbitMq;
#[cfg(feature = "amqp")]
pub use rabbitmq::amqp;
#[cfg(feature = "redis")]
pub use redis::{bullmq, celery, resque, rq, sidekiq};
