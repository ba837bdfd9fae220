//! The governor and its adapters from outside: doubles where a decision is under test, a real RabbitMQ, and the
//! documented contract of Heroku.

mod doubles;
mod governor;
mod heroku;
mod isolation;
mod platform_limits;
mod rabbitmq;
