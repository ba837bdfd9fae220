//! The configuration of one governor, in a file that people may edit as well; its versions are plain files in a folder.
//!
//! A version's name is `NUMBER.SECONDS.WHO.yaml`. They are readable by their owner alone, as a configuration may hold
//! secrets.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atomic_write_file::OpenOptions;
use tokio::sync::Mutex;

use super::store::Version;
use crate::config::{Error as Invalid, Loaded};

/// Reads a text as the configuration of the governor.
pub type ReadConfig = Arc<dyn Fn(&str) -> Result<Loaded, Invalid> + Send + Sync>;

/// The file, and where its versions are kept.
pub struct FileConfig {
    /// The file.
    pub path: PathBuf,
    /// A folder; it is made when the first version is kept.
    pub versions: PathBuf,
    /// Reads it.
    pub read: ReadConfig,
    /// Held while it is changed: what is written last is what is in force.
    pub(super) changes: Mutex<()>,
}

/// The file or its versions cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{what} {}", path.display())]
pub(super) struct Error {
    what: &'static str,
    path: PathBuf,
    source: std::io::Error,
}

impl Error {
    fn of(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { what, path, source }
    }
}

impl FileConfig {
    /// This file.
    pub fn new(path: PathBuf, versions: PathBuf, read: ReadConfig) -> Self {
        Self { path, versions, read, changes: Mutex::default() }
    }

    pub(super) fn text(&self) -> Result<String, Error> {
        std::fs::read_to_string(&self.path).map_err(Error::of("cannot read", &self.path))
    }

    /// Writes the file, so that it is never half written, and keeps the text as the newest version. What somebody has
    /// written by hand since the version before is kept as one too.
    pub(super) fn write(&self, text: &str, who: &str, at: i64) -> Result<i64, Error> {
        if let Ok(old) = self.text() {
            self.keep(&old, "file", at)?;
        }
        // Where the file is a link, what it leads to is written.
        let path = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        write_whole(&path, text, OpenOptions::new()).map_err(Error::of("cannot write", &self.path))?;
        self.keep(text, who, at)
    }

    /// Keeps a text as the newest version, unless it is that already.
    fn keep(&self, text: &str, who: &str, at: i64) -> Result<i64, Error> {
        let newest = self.versions()?.into_iter().next();
        if let Some(newest) = &newest
            && self.version(newest.version)?.as_deref() == Some(text)
        {
            return Ok(newest.version);
        }
        let number = newest.map_or(0, |newest| newest.version) + 1;
        make_private(&self.versions).map_err(Error::of("cannot make", &self.versions))?;
        let who: String = who.chars().filter(char::is_ascii_alphanumeric).collect();
        let path = self.versions.join(format!("{number}.{at}.{who}.yaml"));
        let mut private = OpenOptions::new();
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut private, 0o600);
        write_whole(&path, text, private).map_err(Error::of("cannot write", &path))?;
        Ok(number)
    }

    /// Every version, newest first.
    pub(super) fn versions(&self) -> Result<Vec<Version>, Error> {
        let mut versions: Vec<_> = self.names()?.iter().filter_map(|name| parse(name)).collect();
        versions.sort_by_key(|version| std::cmp::Reverse(version.version));
        Ok(versions)
    }

    /// The text of a version.
    pub(super) fn version(&self, number: i64) -> Result<Option<String>, Error> {
        let is_it = |name: &String| parse(name).is_some_and(|version| version.version == number);
        let Some(name) = self.names()?.into_iter().find(is_it) else { return Ok(None) };
        let path = self.versions.join(name);
        std::fs::read_to_string(&path).map(Some).map_err(Error::of("cannot read", &path))
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        let failed = || Error::of("cannot read", &self.versions);
        let entries = match std::fs::read_dir(&self.versions) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed()(error)),
        };
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            Ok(entry.map_err(failed())?.file_name().to_string_lossy().into_owned())
        };
        entries.map(name).collect()
    }
}

fn parse(name: &str) -> Option<Version> {
    let mut parts = name.strip_suffix(".yaml")?.split('.');
    let (version, at, who) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?);
    Some(Version { version, at, who: who.to_owned() })
}

#[cfg(unix)]
fn make_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make_private(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)
}

/// Replaces a file: it is whole, or as before.
fn write_whole(path: &Path, text: &str, options: OpenOptions) -> std::io::Result<()> {
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_link_and_its_permissions_stay() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::TempDir::new().unwrap();
        let (real, link) = (folder.path().join("real.yaml"), folder.path().join("a.guv.yaml"));
        std::fs::write(&real, "one").unwrap();
        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let read: ReadConfig = Arc::new(|_| unreachable!("nothing is read"));
        let file = FileConfig::new(link.clone(), folder.path().join("versions"), read);
        file.write("two", "local", 10).unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "two");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&real), 0o640);
        for version in std::fs::read_dir(folder.path().join("versions")).unwrap() {
            assert_eq!(mode(&version.unwrap().path()), 0o600);
        }
    }

    #[test]
    fn what_was_written_by_hand_is_a_version_too() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("a.guv.yaml");
        std::fs::write(&path, "one").unwrap();
        let read: ReadConfig = Arc::new(|_| unreachable!("nothing is read"));
        let file = FileConfig::new(path.clone(), folder.path().join("versions"), read);
        assert_eq!(file.write("two", "local", 10).unwrap(), 2);
        std::fs::write(&path, "by hand").unwrap();
        assert_eq!(file.write("four", "local", 20).unwrap(), 4);
        assert_eq!(file.write("four", "local", 30).unwrap(), 4, "the same is no new version");
        let versions: Vec<_> = file
            .versions()
            .unwrap()
            .into_iter()
            .map(|version| (version.version, version.at, version.who))
            .collect();
        let who = |number, at, who: &str| (number, at, who.to_owned());
        assert_eq!(
            versions,
            [who(4, 20, "local"), who(3, 20, "file"), who(2, 10, "local"), who(1, 10, "file")]
        );
        assert_eq!(file.version(3).unwrap().as_deref(), Some("by hand"));
        assert_eq!(file.version(9).unwrap(), None);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "four");
    }
}
