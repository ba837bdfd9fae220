//! The broker as real clients see it: lapin over a real socket, and a raw client where lapin is too polite.

mod raw;
mod support;

mod consuming;
mod crash;
mod dead_letters;
mod disk;
mod durable;
mod encrypted;
mod handshake;
mod hostile;
mod inspection;
mod management;
mod pressure;
mod publishing;
mod refusals;
mod routing;
mod transactions;
