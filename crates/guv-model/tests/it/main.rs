//! The decisions of guv from outside: configuration files, worked examples and laws.

mod config;
mod deadline;
mod laws;
mod reference;
mod simulation;
mod worked_examples;
