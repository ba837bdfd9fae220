//! The broker as real clients see it: lapin over a real socket, and a raw client where lapin is too polite.

mod raw;
mod support;

mod consuming;
mod dead_letters;
mod handshake;
mod hostile;
mod inspection;
mod publishing;
mod refusals;
mod routing;
mod transactions;
