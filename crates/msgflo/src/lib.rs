//! Write MsgFlo participants in Rust.
