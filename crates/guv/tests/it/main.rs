//! The governor and its adapters from outside.
