//! The coordinator's HTTP interface.
