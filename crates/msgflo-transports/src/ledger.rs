//! The memory of our bindings, since no broker lists those of one coordinator.
//!
//! A binding is written down before it is made and struck out after it is removed. So after any crash the ledger holds
//! at least what is in the broker, and removing what is not there is harmless.
//!
//! Changes that come while the file is being written are written together, with one more write: a thousand bindings that are made at
//! once cost a few writes and not a thousand.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atomic_write_file::AtomicWriteFile;
use msgflo_core::{Binding, BoxError, Error};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The version of the file's format.
const VERSION: u32 = 1;

/// Who wants a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The network whose ledger it is.
    Network,
    /// Somebody who has asked our router for it.
    Peers,
}

#[derive(Clone, Serialize, Deserialize)]
struct File {
    version: u32,
    /// Names what the ledger's owner leaves in a broker.
    #[serde(default = "Uuid::new_v4")]
    instance: Uuid,
    bindings: BTreeSet<Binding>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    peers: BTreeSet<Binding>,
}

impl File {
    fn new() -> Self {
        Self { version: VERSION, instance: Uuid::new_v4(), bindings: BTreeSet::new(), peers: BTreeSet::new() }
    }

    fn of(&mut self, owner: Owner) -> &mut BTreeSet<Binding> {
        match owner {
            Owner::Network => &mut self.bindings,
            Owner::Peers => &mut self.peers,
        }
    }
}

/// Sets of bindings, kept in a file where there is one.
pub(crate) struct Ledger {
    path: Option<PathBuf>,
    instance: Uuid,
    content: Mutex<Content>,
    /// The revision that the file has. Whoever holds it is writing.
    written: Arc<tokio::sync::Mutex<u64>>,
}

#[derive(Clone)]
struct Content {
    file: File,
    /// Grows with every change.
    revision: u64,
}

impl Ledger {
    /// Opens the ledger in the file `path`, which need not exist. Without a path it lives in memory.
    pub(crate) fn open(path: Option<PathBuf>) -> Result<Self, Error> {
        let content = match &path {
            Some(path) => match read(path).map_err(|source| failed(path, "read", source))? {
                Some(content) => content,
                None => {
                    // Written at once: whatever is left in a broker under this instance's name must be found again.
                    let new = File::new();
                    write(path, &new).map_err(|source| failed(path, "written", source))?;
                    new
                }
            },
            None => File::new(),
        };
        let instance = content.instance;
        let content = Mutex::new(Content { file: content, revision: 0 });
        Ok(Self { path, instance, content, written: Arc::default() })
    }

    /// Names what the ledger's owner leaves in a broker; the same in every life.
    pub(crate) fn instance(&self) -> &Uuid {
        &self.instance
    }

    /// Whether it outlives us.
    pub(crate) fn is_kept(&self) -> bool {
        self.path.is_some()
    }

    pub(crate) fn list(&self, owner: Owner) -> Vec<Binding> {
        self.lock().file.of(owner).iter().cloned().collect()
    }

    /// The bindings of all owners.
    pub(crate) fn all(&self) -> BTreeSet<Binding> {
        let content = self.lock();
        content.file.bindings.union(&content.file.peers).cloned().collect()
    }

    /// Writes `binding` down. Whether it is new.
    pub(crate) async fn add(&self, binding: &Binding, owner: Owner) -> Result<bool, Error> {
        self.change(|file| file.of(owner).insert(binding.clone())).await
    }

    /// Strikes `binding` out.
    pub(crate) async fn remove(&self, binding: &Binding, owner: Owner) -> Result<bool, Error> {
        self.change(|file| file.of(owner).remove(binding)).await
    }

    async fn change(&self, change: impl FnOnce(&mut File) -> bool) -> Result<bool, Error> {
        let (is_changed, revision) = {
            let mut content = self.lock();
            let is_changed = change(&mut content.file);
            content.revision += u64::from(is_changed);
            (is_changed, content.revision)
        };
        self.write_down(revision).await?;
        Ok(is_changed)
    }

    /// Returns when the file has that revision or a later one.
    async fn write_down(&self, revision: u64) -> Result<(), Error> {
        let Some(path) = self.path.clone() else { return Ok(()) };
        let mut written = self.written.clone().lock_owned().await;
        if *written >= revision {
            return Ok(());
        }
        let content = self.lock().clone();
        let file = path.clone();
        // It goes on, and holds the lock, also if nobody waits for it any more: no older file replaces a newer one.
        let writing = tokio::task::spawn_blocking(move || {
            let result = write(&file, &content.file);
            if result.is_ok() {
                *written = content.revision;
            }
            result
        });
        let result = writing.await.unwrap_or_else(|error| Err(error.into()));
        result.map_err(|source| failed(&path, "written", source))
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(path: &Path, doing: &'static str, source: BoxError) -> Error {
    Error::Ledger { path: path.display().to_string(), doing, source }
}

fn read(path: &Path) -> Result<Option<File>, BoxError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let file: File = serde_json::from_slice(&bytes)?;
    if file.version != VERSION {
        return Err(format!("it has version {}, and this program reads {VERSION}", file.version).into());
    }
    Ok(Some(file))
}

/// Replaces the file as a whole: a crash leaves the old one or the new one.
fn write(path: &Path, content: &File) -> Result<(), BoxError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder)?;
    let mut file = AtomicWriteFile::open(path)?;
    file.write_all(&serde_json::to_vec_pretty(content)?)?;
    file.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(target: &str) -> Binding {
        Binding::PubSub { source: "a.OUT".into(), target: target.into() }
    }

    #[tokio::test]
    async fn survives_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/ledger.json");
        let ledger = Ledger::open(Some(path.clone())).unwrap();
        assert!(ledger.add(&binding("b.IN"), Owner::Network).await.unwrap());
        assert!(
            !ledger.add(&binding("b.IN"), Owner::Network).await.unwrap(),
            "the second time nothing changes"
        );
        ledger.add(&binding("c.IN"), Owner::Network).await.unwrap();
        ledger.add(&binding("d.IN"), Owner::Peers).await.unwrap();
        ledger.remove(&binding("b.IN"), Owner::Network).await.unwrap();
        let instance = *ledger.instance();
        drop(ledger);
        let again = Ledger::open(Some(path)).unwrap();
        assert_eq!(again.list(Owner::Network), [binding("c.IN")]);
        assert_eq!(again.list(Owner::Peers), [binding("d.IN")]);
        assert_eq!(again.all(), [binding("c.IN"), binding("d.IN")].into());
        assert_eq!(*again.instance(), instance);
    }

    #[tokio::test]
    async fn changes_that_come_together_are_all_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.json");
        let ledger = Ledger::open(Some(path.clone())).unwrap();
        let bindings: Vec<_> = (0..100).map(|n| binding(&format!("{n}.IN"))).collect();
        let added =
            futures_util::future::join_all(bindings.iter().map(|it| ledger.add(it, Owner::Network))).await;
        assert!(added.into_iter().all(|it| it.unwrap()));
        assert_eq!(read(&path).unwrap().unwrap().bindings, bindings.into_iter().collect());
    }

    #[test]
    fn a_damaged_file_is_named_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.json");
        std::fs::write(&path, "{\"version\": 1, \"bindings\": [").unwrap();
        let Err(error) = Ledger::open(Some(path.clone())) else { panic!("it opened") };
        assert!(error.to_string().contains("ledger.json"), "{error}");
        assert!(std::fs::read_to_string(&path).unwrap().ends_with('['));
    }
}
