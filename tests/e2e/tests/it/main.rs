//! Several programs at once: ours, and those of others.

mod clients;
mod components;
mod differential;
mod editor;
mod endings;
mod hackerspace;
mod live_editing;
mod mqtt;
mod participants;
mod polyglot;
mod protocol;
mod refused;
