//! Segments: the files of the log. Only the last one is written to.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The first bytes of each segment: whose it is, and the version of its form.
pub(super) const MAGIC: [u8; 8] = *b"msgfloL1";
const EXTENSION: &str = "segment";
/// Of what could not be read of the segment with the same number.
const DAMAGED: &str = "damaged";
/// A copy of the segment with the same number, which holds messages of no queue that is known.
const HOMELESS: &str = "homeless.damaged";
const LOCK: &str = "lock";

/// Where segments are made.
#[derive(Debug)]
pub(super) enum Folder {
    /// They stay.
    Kept {
        path: PathBuf,
        /// Held as long as the folder is ours.
        _lock: File,
    },
    /// They have no names, and end with the process.
    Scratch,
}

/// A file of the log.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u32,
    pub(super) file: Arc<File>,
    /// Bytes that count.
    pub(super) length: u64,
    /// Bytes that survive a loss of power.
    pub(super) synced: u64,
    /// Nothing more may be written to it: another broker wrote it, or what the disk did with the last write is unknown.
    pub(super) sealed: bool,
    /// Bytes of messages that are still wanted.
    pub(super) live: u64,
}

impl Segment {
    /// Appends bytes, which count when this returns.
    ///
    /// # Errors
    /// When the disk does not take them. Then they do not count.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.file.write_all_at(bytes, self.length);
        if written.is_err() {
            self.cut();
        }
        written?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Makes everything that counts safe.
    ///
    /// # Errors
    /// When the disk cannot. Then the segment is sealed.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if self.is_safe() {
            return Ok(());
        }
        let synced = self.file.sync_data();
        // After a failed sync the system may hold for clean what never reached the disk.
        self.sealed |= synced.is_err();
        synced?;
        self.synced = self.length;
        Ok(())
    }

    /// Takes back what was appended behind `length`.
    pub(super) fn take_back(&mut self, length: u64) {
        self.length = length;
        self.cut();
    }

    /// Whether everything that counts survives a loss of power.
    pub(super) fn is_safe(&self) -> bool {
        self.synced == self.length
    }

    fn cut(&self) {
        // The room that was taken may be what is missing. If this fails, what is there does not count all the same.
        let _ = self.file.set_len(self.length);
    }
}

impl Folder {
    /// Takes possession of a folder, which is made if need be.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self::Kept { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                Err(io::Error::new(io::ErrorKind::ResourceBusy, "another broker uses it"))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The numbers of the segments that are there, in order.
    pub(super) fn list(&self) -> io::Result<Vec<u32>> {
        let Self::Kept { path, .. } = self else { return Ok(Vec::new()) };
        let mut numbers = Vec::new();
        for entry in fs::read_dir(path)? {
            let name = PathBuf::from(entry?.file_name());
            if name.extension().is_some_and(|extension| extension == EXTENSION)
                && let Some(number) = name.file_stem().and_then(|stem| stem.to_str()?.parse().ok())
            {
                numbers.push(number);
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Where a segment is, for those who read of it.
    pub(super) fn path(&self, number: u32) -> PathBuf {
        match self {
            Self::Kept { path, .. } => path.join(format!("{number:010}.{EXTENSION}")),
            Self::Scratch => scratch(),
        }
    }

    pub(super) fn open_segment(&self, number: u32) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(self.path(number))
    }

    /// Makes an empty segment. Nothing that may be there under its number has counted.
    pub(super) fn create(&self, number: u32) -> io::Result<Segment> {
        let file = match self {
            Self::Kept { .. } => {
                let mut options = OpenOptions::new();
                options.read(true).write(true).create(true).truncate(true).open(self.path(number))?
            }
            Self::Scratch => tempfile::tempfile_in(scratch()).or_else(|_| tempfile::tempfile())?,
        };
        file.write_all_at(&MAGIC, 0)?;
        self.sync()?;
        let length = MAGIC.len() as u64;
        Ok(Segment { number, file: Arc::new(file), length, synced: 0, sealed: false, live: 0 })
    }

    /// Keeps what cannot be read of a segment in a file beside it; returns where.
    pub(super) fn keep_aside(&self, number: u32, bytes: &[u8]) -> io::Result<PathBuf> {
        let path = self.path(number).with_extension(DAMAGED);
        let mut file = File::create(&path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        self.sync()?;
        Ok(path)
    }

    /// Keeps a copy of a segment beside it; returns where.
    pub(super) fn keep_copy(&self, number: u32) -> io::Result<PathBuf> {
        let path = self.path(number).with_extension(HOMELESS);
        fs::copy(self.path(number), &path)?;
        File::open(&path)?.sync_all()?;
        self.sync()?;
        Ok(path)
    }

    /// Removes a segment. It must not come back after a crash when a later one, with what was removed of it, does not.
    pub(super) fn remove(&self, number: u32) -> io::Result<()> {
        match self {
            Self::Kept { .. } => fs::remove_file(self.path(number)).and_then(|()| self.sync()),
            Self::Scratch => Ok(()),
        }
    }

    /// Makes the coming and going of segments safe.
    fn sync(&self) -> io::Result<()> {
        match self {
            Self::Kept { path, .. } => File::open(path)?.sync_all(),
            Self::Scratch => Ok(()),
        }
    }

    /// What is free on the disk (bytes), if it can be told and matters.
    pub(super) fn free(&self) -> Option<u64> {
        let Self::Kept { path, .. } = self else { return None };
        let free = rustix::fs::statvfs(path).ok()?;
        Some(free.f_bavail.saturating_mul(free.f_frsize))
    }

    pub(super) fn is_kept(&self) -> bool {
        matches!(self, Self::Kept { .. })
    }
}

/// Where files without names are made. Often /tmp is memory, which is what they are to save.
fn scratch() -> PathBuf {
    let large = Path::new("/var/tmp");
    if std::env::var_os("TMPDIR").is_none() && large.is_dir() {
        return large.to_owned();
    }
    std::env::temp_dir()
}
