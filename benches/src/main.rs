//! Benchmarks, side by side with the peers.

fn main() {}
