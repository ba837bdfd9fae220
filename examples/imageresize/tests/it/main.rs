//! The service's tests with databases, over HTTP and on a broker.

mod api;
mod files;
mod network;
mod stores;
mod support;
