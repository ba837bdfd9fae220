//! The governor and its adapters from outside: doubles where a decision is under test, a real RabbitMQ, and the
//! documented contract of Heroku.

#![allow(clippy::unwrap_used, reason = "a test may, and so may the functions that it calls")]

mod actuators;
mod budgets;
mod complaints;
mod doubles;
mod events;
mod faults;
mod governor;
mod heroku;
mod history;
mod isolation;
mod platform_limits;
mod reporters;
mod service;
mod sources;
