//! What an application calls.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::courier;
use crate::notes::{Note, Notes};
use crate::target::{NotConfigured, Target};

/// Tells that workers are needed. Clones tell together. The thread that does it ends when the last clone is dropped; what
/// was not told by then is not told ([`flush`](Notifier::flush) waits for it).
#[derive(Clone, Debug)]
pub struct Notifier {
    shared: Arc<Shared>,
    /// Ends the thread with the last clone.
    _owner: Arc<Owner>,
}

/// What an application knows of a role's jobs and workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Jobs that wait.
    pub pending: u64,
    /// Jobs that are worked on.
    pub working: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) notes: Notes,
    /// A request is under way.
    pub(crate) telling: bool,
    pub(crate) ended: bool,
}

#[derive(Debug)]
struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.change(|state| state.ended = true);
    }
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.notify_all();
        changed
    }

    /// Waits for a change, until then at the latest.
    pub(crate) fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        until: Option<Instant>,
    ) -> MutexGuard<'a, State> {
        match until {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }
}

impl Notifier {
    /// Tells whom the environment names: GUV_URL (with GUV_TOKEN), else HEROKU_APP with HEROKU_OAUTH_TOKEN.
    ///
    /// # Errors
    /// When it names nobody.
    pub fn from_environment() -> Result<Self, NotConfigured> {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Target::from_variables(std::env::vars_os().filter_map(text)).map(Self::new)
    }

    /// Tells this one.
    ///
    /// # Panics
    /// When the system has no thread left.
    pub fn new(target: Target) -> Self {
        let shared = Arc::new(Shared::default());
        courier::start(target, shared.clone());
        Self { _owner: Arc::new(Owner(shared.clone())), shared }
    }

    /// Jobs were enqueued: so many more wait. Never blocks.
    pub fn scale_up(&self, role: &str, jobs: u64) {
        if jobs > 0 {
            self.note(role, Note::More { pending: jobs });
        }
    }

    /// The last job is done: none waits, and none is worked on. Never blocks.
    pub fn scale_down(&self, role: &str) {
        self.note(role, Note::Down);
    }

    /// Up or down, by what the application knows of the role. While jobs are worked on but none waits, there is nothing to
    /// tell. Never blocks.
    pub fn scale_with(&self, role: &str, load: Load) {
        match load {
            Load { pending: 0, working: 0 } => self.scale_down(role),
            Load { pending: 0, .. } => {}
            Load { pending, .. } => self.note(role, Note::Up { pending }),
        }
    }

    /// A job of this class was enqueued; nobody is told if the class is [disabled](Notifier::set_enabled). Never blocks.
    pub fn enqueued(&self, role: &str, class: &str) {
        if self.shared.lock().notes.is_enabled(class) {
            self.scale_up(role, 1);
        }
    }

    /// Switches telling of jobs of one class off, or on again.
    pub fn set_enabled(&self, class: &str, enabled: bool) {
        self.shared.lock().notes.set_enabled(class, enabled);
    }

    /// Until this is dropped nothing is told; then each role once.
    pub fn batch(&self) -> Batch<'_> {
        self.shared.change(|state| state.notes.begin_batch());
        Batch { notifier: self }
    }

    /// Waits until everything is told, or could not be; `false` when that takes longer than `patience`. For programs that
    /// are about to end.
    pub fn flush(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut state = self.shared.lock();
        while !state.notes.is_empty() || state.telling {
            if Instant::now() >= until {
                return false;
            }
            state = self.shared.wait(state, Some(until));
        }
        true
    }

    fn note(&self, role: &str, note: Note) {
        self.shared.change(|state| state.notes.note(role, note));
    }
}

/// Many jobs, one notification a role.
#[derive(Debug)]
#[must_use = "it is told when this is dropped"]
pub struct Batch<'a> {
    notifier: &'a Notifier,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.notifier.shared.change(|state| state.notes.end_batch());
    }
}
