//! Several programs at once: ours, and those of others.

mod between_brokers;
mod broker_restart;
mod clients;
mod components;
mod differential;
mod editor;
mod endings;
mod hackerspace;
mod live_editing;
mod mqtt;
mod mqtt_encrypted;
mod numbers;
mod participants;
mod polyglot;
mod protocol;
mod refused;
mod scaling_ui;
mod ui;
