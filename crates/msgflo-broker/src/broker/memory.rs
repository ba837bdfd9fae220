//! How much memory messages occupy: counted where they are made, and given back when the last one who holds them
//! lets go, be it a queue, a connection's outbox or the storage.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The sum of all charges (bytes). Cheap to clone; clones are the same sum.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(Arc<AtomicUsize>);

impl Memory {
    /// Counts so many bytes until the charge is dropped.
    pub(crate) fn charge(&self, bytes: usize) -> Charge {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Charge { bytes, memory: Some(self.clone()) }
    }

    pub(crate) fn used(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Some bytes of the sum. Two charges are always equal: they are no part of what a value means.
#[derive(Debug, Default)]
pub(crate) struct Charge {
    bytes: usize,
    memory: Option<Memory>,
}

impl Charge {
    /// Counts so many bytes more.
    pub(crate) fn grow(&mut self, bytes: usize) {
        if let Some(memory) = &self.memory {
            memory.0.fetch_add(bytes, Ordering::Relaxed);
            self.bytes += bytes;
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(memory) = &self.memory {
            memory.0.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

impl PartialEq for Charge {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Charge {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_given_back() {
        let memory = Memory::default();
        let mut first = memory.charge(10);
        let second = memory.clone().charge(5);
        first.grow(1);
        assert_eq!(memory.used(), 16);
        drop(first);
        assert_eq!(memory.used(), 5);
        drop(second);
        assert_eq!(memory.used(), 0);
    }
}
