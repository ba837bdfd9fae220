//! Several programs at once: ours, and those of others.

mod clients;
mod differential;
mod components;
mod editor;
mod endings;
mod live_editing;
mod mqtt;
mod participants;
mod polyglot;
mod protocol;
mod refused;
