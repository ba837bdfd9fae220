//! The project's own chores: test servers, generated documents.

fn main() {}
