//! The messages of the FBP runtime protocol, versions 0.7 and 0.8, as values. Pure.
//!
//! [`Request`] is what a client sends, [`Signal`] what we send; [`Capabilities`] say who may send and see what. Decoding
//! tolerates what clients are known to send beyond the schemas; what cannot be understood is a [`Fault`].

mod capability;
mod edit;
mod request;
mod signal;

pub(crate) use capability::{Capabilities, Capability};
pub(crate) use edit::{Edit, End};
pub(crate) use request::{Cleared, Command, Fault, MAX_MESSAGE, Request, Source};
pub(crate) use signal::{Protocol, Signal};

/// The version that we say we speak. 0.7 differs in where the secret is, which is accepted in both places.
pub(crate) const VERSION: &str = "0.8";
