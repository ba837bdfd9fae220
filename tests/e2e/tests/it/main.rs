//! Several programs at once: ours, and those of others.

mod clients;
mod endings;
mod polyglot;
