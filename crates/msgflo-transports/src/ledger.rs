//! The memory of our bindings, since AMQP cannot list them.
//!
//! A binding is written down before it is made and struck out after it is removed. So after any crash the ledger holds
//! at least what is in the broker, and removing what is not there is harmless.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use msgflo_core::{Binding, BoxError, Error};
use serde::{Deserialize, Serialize};

/// The version of the file's format.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    bindings: BTreeSet<Binding>,
}

/// A set of bindings, kept in a file where there is one.
pub(crate) struct Ledger {
    path: Option<PathBuf>,
    bindings: Mutex<BTreeSet<Binding>>,
}

impl Ledger {
    /// Opens the ledger in the file `path`, which need not exist. Without a path it lives in memory.
    pub(crate) fn open(path: Option<PathBuf>) -> Result<Self, Error> {
        let bindings = match &path {
            Some(path) => read(path).map_err(|source| failed(path, "read", source))?,
            None => BTreeSet::new(),
        };
        Ok(Self { path, bindings: Mutex::new(bindings) })
    }

    pub(crate) fn list(&self) -> Vec<Binding> {
        self.lock().iter().cloned().collect()
    }

    /// Writes `binding` down. Whether it is new.
    pub(crate) fn add(&self, binding: &Binding) -> Result<bool, Error> {
        self.change(|bindings| bindings.insert(binding.clone()))
    }

    /// Strikes `binding` out.
    pub(crate) fn remove(&self, binding: &Binding) -> Result<bool, Error> {
        self.change(|bindings| bindings.remove(binding))
    }

    fn change(&self, change: impl FnOnce(&mut BTreeSet<Binding>) -> bool) -> Result<bool, Error> {
        let mut bindings = self.lock();
        let mut changed = bindings.clone();
        if !change(&mut changed) {
            return Ok(false);
        }
        if let Some(path) = &self.path {
            write(path, &changed).map_err(|source| failed(path, "written", source))?;
        }
        *bindings = changed;
        Ok(true)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<Binding>> {
        self.bindings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(path: &Path, doing: &'static str, source: BoxError) -> Error {
    Error::Ledger { path: path.display().to_string(), doing, source }
}

fn read(path: &Path) -> Result<BTreeSet<Binding>, BoxError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(error.into()),
    };
    let file: File = serde_json::from_slice(&bytes)?;
    if file.version != VERSION {
        return Err(format!("it has version {}, and this program reads {VERSION}", file.version).into());
    }
    Ok(file.bindings)
}

/// Replaces the file as a whole: a crash leaves the old one or the new one.
fn write(path: &Path, bindings: &BTreeSet<Binding>) -> Result<(), BoxError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    let content = File { version: VERSION, bindings: bindings.clone() };
    file.write_all(&serde_json::to_vec_pretty(&content)?)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(target: &str) -> Binding {
        Binding::PubSub { source: "a.OUT".into(), target: target.into() }
    }

    #[test]
    fn survives_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/ledger.json");
        let ledger = Ledger::open(Some(path.clone())).unwrap();
        assert!(ledger.add(&binding("b.IN")).unwrap());
        assert!(!ledger.add(&binding("b.IN")).unwrap(), "the second time nothing changes");
        ledger.add(&binding("c.IN")).unwrap();
        ledger.remove(&binding("b.IN")).unwrap();
        drop(ledger);
        assert_eq!(Ledger::open(Some(path)).unwrap().list(), vec![binding("c.IN")]);
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
