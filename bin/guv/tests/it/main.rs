//! The guv program, as it is called.

#![allow(clippy::unwrap_used, reason = "a test may, and so may the functions that it calls")]

mod commands;
mod decide;
mod past;
mod program;
mod run;
mod tools;
mod validate;
