//! The image-resizing service: an HTTP API, resize workers and a store, joined by a graph.
