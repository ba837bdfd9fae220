//! The whole crate, from the outside.

mod diagnostics;
mod editing;
mod fixtures;
mod json;
mod language;
mod printing;
mod properties;
