//! The decisions of guv from outside: configuration files, worked examples and laws.

mod config;
mod laws;
mod reference;
mod worked_examples;
