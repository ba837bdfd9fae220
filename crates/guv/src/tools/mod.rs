//! What the commands beside governing compute: capacity, cost, replay, export. Files and output are the caller's.

pub mod capacity;
pub mod export;
pub mod preview;
pub mod replay;
pub mod workerstats;
