//! The guv program.

fn main() {}
