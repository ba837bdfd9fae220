//! The estimates of the recent past, which scaling down must respect.

use std::collections::VecDeque;

use crate::WorkerLimits;

/// The last estimates of a role, at most a fixed number of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EstimateWindow {
    capacity: usize,
    estimates: VecDeque<u32>,
}

impl EstimateWindow {
    /// An empty window that remembers so many estimates. A window of none never delays anything.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, estimates: VecDeque::new() }
    }

    /// Remembers an estimate, and forgets the oldest when the window is full.
    pub fn push(&mut self, workers: u32) {
        self.estimates.push_back(workers);
        self.forget();
    }

    /// Raises the newest estimate to this one, where it is lower.
    pub fn raise(&mut self, workers: u32) {
        match self.estimates.back_mut() {
            Some(newest) => *newest = workers.max(*newest),
            None => self.push(workers),
        }
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.estimates.clear();
    }

    /// Changes how many are remembered; the newest are kept.
    pub fn resize(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.forget();
    }

    /// Puts every estimate within limits, as if they had been in force all along.
    pub fn bound(&mut self, limits: WorkerLimits) {
        self.estimates.iter_mut().for_each(|workers| *workers = limits.bound(*workers));
    }

    /// The highest estimate, `None` when there is none.
    pub fn highest(&self) -> Option<u32> {
        self.estimates.iter().copied().max()
    }

    /// Whether it remembers anything at all.
    pub(super) fn remembers(&self) -> bool {
        self.capacity > 0
    }

    /// Whether it remembers as many as it can: so long somebody has looked.
    pub fn is_full(&self) -> bool {
        self.estimates.len() == self.capacity
    }

    /// The estimates, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.estimates.iter().copied()
    }

    fn forget(&mut self) {
        let excess = self.estimates.len().saturating_sub(self.capacity);
        self.estimates.drain(..excess);
    }
}

impl Extend<u32> for EstimateWindow {
    fn extend<I: IntoIterator<Item = u32>>(&mut self, estimates: I) {
        estimates.into_iter().for_each(|workers| self.push(workers));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_newest() {
        let mut window = EstimateWindow::new(2);
        window.extend([9, 1, 2]);
        assert_eq!(window.iter().collect::<Vec<_>>(), [1, 2]);
        window.raise(1);
        assert_eq!(window.iter().collect::<Vec<_>>(), [1, 2]);
        window.raise(5);
        assert_eq!(window.iter().collect::<Vec<_>>(), [1, 5]);
        window.resize(1);
        assert_eq!(window.highest(), Some(5));
        window.resize(0);
        window.push(7);
        assert_eq!(window.highest(), None);
    }
}
