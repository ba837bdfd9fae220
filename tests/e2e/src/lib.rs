//! End-to-end tests with real brokers and real peers.
