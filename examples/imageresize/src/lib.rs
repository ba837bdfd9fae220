//! The image-resizing service: an HTTP API, resize workers and a store, joined by a graph.

pub mod fetch;
pub mod job;
pub mod message;
pub mod output;
pub mod photograph;
pub mod picture;
pub mod request;
pub mod store;
