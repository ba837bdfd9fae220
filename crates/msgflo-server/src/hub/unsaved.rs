//! A graph that is saved by itself, and has been changed since. Pure.

use std::time::{Duration, Instant};

/// How long after the last change it is saved.
const AFTER: Duration = Duration::from_millis(500);
/// How long after a failure it is tried again, unless it is changed before.
const AGAIN: Duration = Duration::from_secs(10);

/// What is not saved.
#[derive(Debug, Default)]
pub(super) struct Unsaved {
    /// When it is to be saved.
    due: Option<Instant>,
    /// Why it could not be saved the last time.
    because: Option<String>,
}

impl Unsaved {
    pub(super) fn changed(&mut self, now: Instant) {
        self.due = Some(now + AFTER);
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    pub(super) fn is_any(&self) -> bool {
        self.due.is_some()
    }

    /// The graph as it is was given to be saved, by itself or because somebody asked.
    pub(super) fn tried<T, E>(&mut self, saved: &Result<T, E>) {
        if saved.is_ok() {
            *self = Self::default();
        }
    }

    /// It is tried again later. Whether this reason is another one than the last.
    pub(super) fn postpone(&mut self, because: &str, now: Instant) -> bool {
        self.due = Some(now + AGAIN);
        let is_new = self.because.as_deref() != Some(because);
        self.because = Some(because.to_owned());
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = "the disk is full";

    #[test]
    fn what_could_not_be_saved_when_somebody_asked_is_saved_later() {
        let (mut unsaved, now) = (Unsaved::default(), Instant::now());
        unsaved.changed(now);
        unsaved.tried::<(), _>(&Err(FULL));
        assert!(unsaved.is_any() && unsaved.is_due(now + AFTER));
        unsaved.tried::<_, ()>(&Ok(()));
        assert!(!unsaved.is_any() && !unsaved.is_due(now + AFTER));
    }

    #[test]
    fn a_failure_is_told_once_and_tried_again() {
        let (mut unsaved, now) = (Unsaved::default(), Instant::now());
        unsaved.changed(now);
        assert!(!unsaved.is_due(now) && unsaved.is_due(now + AFTER));
        assert!(unsaved.postpone(FULL, now));
        assert!(!unsaved.is_due(now + AFTER) && unsaved.is_due(now + AGAIN));
        assert!(!unsaved.postpone(FULL, now) && unsaved.postpone("it is locked", now));
        unsaved.tried::<_, ()>(&Ok(()));
        unsaved.changed(now);
        assert!(unsaved.postpone("it is locked", now), "it was saved meanwhile");
    }
}
