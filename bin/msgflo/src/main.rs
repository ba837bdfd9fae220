//! The msgflo program.

fn main() {}
