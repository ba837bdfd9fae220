//! The whole crate, from the outside.

mod properties;
