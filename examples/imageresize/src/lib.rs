//! The image-resizing service: an HTTP API, resize workers and a store, joined by a graph.
//!
//! A request is a job of one or more images. The [HTTP interface](http) keeps it as a row and sends one [message] an
//! image; a [worker] fetches, shrinks and stores the picture; the [store](service) merges the result into the row.
//! How many workers there are is nobody's business here: they compete for one queue.
//!
//! Invariants:
//! - A job is in the store before anybody can work on it, and an image ends once, however often its message comes.
//! - A message is acknowledged after its result is safe: the picture written, then the result confirmed, then the row committed.
//!
//! Not its job: to connect the participants, to start and scale them (`msgflo run service.fbp --scale autoscale.guv.yaml`).

pub mod fetch;
pub mod http;
pub mod job;
pub mod message;
pub mod output;
pub mod photograph;
pub mod picture;
pub mod request;
pub mod service;
pub mod store;
pub mod worker;
