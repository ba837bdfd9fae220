//! What is to be told: the latest of each role, not before its time. Pure.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// The same is not told twice within this time, so that a flood of jobs is not one of requests.
pub(crate) const THROTTLE: Duration = Duration::from_secs(5);

/// What is to be told of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// So many more jobs wait.
    More { pending: u64 },
    /// So many jobs wait in all.
    Up { pending: u64 },
    /// None waits, and none is worked on.
    Down,
}

/// What is to be told, and what was told last.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pending: HashMap<String, Note>,
    /// When: `None` where nobody may have heard it.
    told: HashMap<String, (u64, Option<Instant>)>,
    /// Batches that are open: nothing is told.
    batches: usize,
    /// Job classes that nobody is told of.
    disabled: HashSet<String>,
}

impl Notes {
    /// Notes something. Of several notes of a role the last one counts, but further jobs add up.
    pub(crate) fn note(&mut self, role: &str, note: Note) {
        let sum = match (self.pending.get(role), note) {
            (Some(Note::Up { pending: before }), Note::More { pending }) => {
                Note::Up { pending: before.saturating_add(pending) }
            }
            (Some(Note::More { pending: before }), Note::More { pending }) => {
                Note::More { pending: before.saturating_add(pending) }
            }
            (_, note) => note,
        };
        self.pending.insert(role.to_owned(), sum);
    }

    pub(crate) fn begin_batch(&mut self) {
        self.batches += 1;
    }

    pub(crate) fn end_batch(&mut self) {
        self.batches = self.batches.saturating_sub(1);
    }

    pub(crate) fn set_enabled(&mut self, class: &str, enabled: bool) {
        if enabled {
            self.disabled.remove(class);
        } else {
            self.disabled.insert(class.to_owned());
        }
    }

    pub(crate) fn is_enabled(&self, class: &str) -> bool {
        !self.disabled.contains(class)
    }

    /// What is to be told now, or when there will be something. `what` says what a note comes to: notes that come to the
    /// same are the same, and while there are jobs it never comes to less than was told.
    pub(crate) fn due(
        &mut self,
        now: Instant,
        what: impl Fn(Note) -> u64,
    ) -> Result<Vec<(String, u64)>, Option<Instant>> {
        if self.batches > 0 {
            return Err(None);
        }
        let comes_to = |role: &str, note: Note| match (note, self.told.get(role)) {
            (Note::More { .. } | Note::Up { .. }, Some((told, _))) => what(note).max(*told),
            _ => what(note),
        };
        let again = |role: &str, what: u64| {
            let (told, at) = self.told.get(role)?;
            at.filter(|_| *told == what).map(|at| at + THROTTLE).filter(|again| *again > now)
        };
        let (later, due): (Vec<_>, Vec<_>) = self
            .pending
            .iter()
            .map(|(role, note)| (role.clone(), comes_to(role, *note)))
            .map(|(role, what)| (again(&role, what), role, what))
            .partition(|note| note.0.is_some());
        if due.is_empty() {
            return Err(later.into_iter().filter_map(|(again, _, _)| again).min());
        }
        let due: Vec<_> = due.into_iter().map(|(_, role, what)| (role, what)).collect();
        for (role, what) in &due {
            self.pending.remove(role);
            self.told.insert(role.clone(), (*what, Some(now)));
        }
        Ok(due)
    }

    /// It could not be told: it may be said again at once. Nor is less said: it may have been heard all the same.
    pub(crate) fn failed(&mut self, role: &str) {
        if let Some((_, at)) = self.told.get_mut(role) {
            *at = None;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that counts for guv is whether there are jobs.
    fn due(notes: &mut Notes, now: Instant) -> Result<Vec<(String, u64)>, Option<Instant>> {
        notes.due(now, |note| u64::from(note != Note::Down))
    }

    fn one(what: u64) -> Result<Vec<(String, u64)>, Option<Instant>> {
        Ok(vec![("r".to_owned(), what)])
    }

    fn more(pending: u64) -> Note {
        Note::More { pending }
    }

    #[test]
    fn the_same_is_told_once_in_five_seconds_and_something_else_at_once() {
        let (mut notes, now) = (Notes::default(), Instant::now());
        notes.note("r", more(1));
        assert_eq!(due(&mut notes, now), one(1));
        notes.note("r", more(2));
        notes.note("r", more(3));
        assert_eq!(due(&mut notes, now), Err(Some(now + THROTTLE)));
        assert_eq!(due(&mut notes, now + THROTTLE), one(1));
        notes.note("r", Note::Down);
        assert_eq!(due(&mut notes, now + THROTTLE), one(0));
        assert_eq!(due(&mut notes, now + THROTTLE), Err(None));
    }

    fn jobs(note: Note) -> u64 {
        match note {
            Note::More { pending } | Note::Up { pending } => pending,
            Note::Down => 0,
        }
    }

    #[test]
    fn further_jobs_add_up_and_a_number_of_all_of_them_replaces_what_was_noted() {
        let (mut notes, now) = (Notes::default(), Instant::now());
        for note in [more(2), more(3)] {
            notes.note("r", note);
        }
        assert_eq!(notes.due(now, jobs), one(5));
        for note in [Note::Up { pending: 10 }, Note::Up { pending: 12 }, more(1)] {
            notes.note("r", note);
        }
        assert_eq!(notes.due(now, jobs), one(13));
    }

    #[test]
    fn one_more_job_takes_no_worker_away() {
        let (mut notes, now) = (Notes::default(), Instant::now());
        notes.note("r", Note::Up { pending: 100 });
        assert_eq!(notes.due(now, jobs), one(100));
        notes.note("r", more(1));
        assert_eq!(notes.due(now, jobs), Err(Some(now + THROTTLE)), "it comes to what was told");
        notes.note("r", Note::Down);
        assert_eq!(notes.due(now, jobs), one(0));
        notes.note("r", more(1));
        assert_eq!(notes.due(now, jobs), one(1));
    }

    #[test]
    fn what_failed_may_be_said_again() {
        let (mut notes, now) = (Notes::default(), Instant::now());
        notes.note("r", more(1));
        due(&mut notes, now).unwrap();
        notes.failed("r");
        notes.note("r", more(1));
        assert!(due(&mut notes, now).is_ok());
    }

    #[test]
    fn one_more_job_takes_no_worker_away_after_a_failure() {
        let (mut notes, now) = (Notes::default(), Instant::now());
        notes.note("r", Note::Up { pending: 5 });
        assert_eq!(notes.due(now, jobs), one(5));
        for _ in 0..2 {
            notes.note("r", more(1));
            assert_eq!(notes.due(now + THROTTLE, jobs), one(5));
            notes.failed("r");
        }
        notes.note("r", Note::Down);
        assert_eq!(notes.due(now + THROTTLE, jobs), one(0));
    }

    #[test]
    fn nothing_is_told_while_a_batch_is_open() {
        let (mut notes, now) = (Notes::default(), Instant::now());
        notes.begin_batch();
        notes.begin_batch();
        notes.note("r", more(1));
        notes.note("r", more(1));
        notes.end_batch();
        assert_eq!(due(&mut notes, now), Err(None));
        notes.end_batch();
        assert_eq!(notes.due(now, jobs), one(2));
    }
}
