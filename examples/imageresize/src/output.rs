//! Where results are kept: a folder, or `s3://…` (cargo feature `s3`).
//!
//! A result's name is made of its job and its image, so one that is made twice replaces itself. In a folder it appears whole
//! or not at all, whenever the worker dies.

use std::path::PathBuf;

use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use url::Url;

use crate::message::{Format, ImageId, JobId};

/// A place for results.
#[derive(Debug)]
pub struct Output {
    store: Box<dyn ObjectStore>,
    prefix: Path,
    base: Url,
}

/// Why results cannot be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder cannot be made.
    #[error("the folder for results {} cannot be made", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The place is neither a folder nor a URL that this program can write to.
    #[error("`{location}` is neither a folder nor a URL to which this program can write{hint}")]
    Location {
        /// As it was given.
        location: String,
        /// What may help.
        hint: &'static str,
        /// Why.
        source: Option<object_store::Error>,
    },
    /// A result cannot be written, or the results cannot be listed.
    #[error("the results at {base} cannot be {doing}")]
    Store {
        /// The place.
        base: Url,
        /// `written` or `listed`.
        doing: &'static str,
        /// Why.
        source: object_store::Error,
    },
}

impl Output {
    /// The results at `location`, a folder (which is made) or a URL. Their own URLs begin with `public` where that is given.
    ///
    /// # Errors
    /// When it cannot be made or is not understood.
    pub fn open(location: &str, public: Option<Url>) -> Result<Self, Error> {
        let unknown =
            |source| Error::Location { location: location.to_owned(), hint: hint(location), source };
        let (store, prefix, base) = match Url::parse(location) {
            Ok(url) if url.scheme() != "file" => {
                let options = std::env::vars().map(|(name, value)| (name.to_lowercase(), value));
                let (store, prefix) =
                    object_store::parse_url_opts(&url, options).map_err(|source| unknown(Some(source)))?;
                (store, prefix, url)
            }
            Ok(url) => Self::open_folder(url.to_file_path().map_err(|()| unknown(None))?)?,
            Err(_) => Self::open_folder(PathBuf::from(location))?,
        };
        let mut base = public.unwrap_or(base);
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Ok(Self { store, prefix, base })
    }

    fn open_folder(path: PathBuf) -> Result<(Box<dyn ObjectStore>, Path, Url), Error> {
        let failed = |source| Error::Folder { path: path.clone(), source };
        std::fs::create_dir_all(&path).map_err(failed)?;
        let real = path.canonicalize().map_err(failed)?;
        let not_absolute = || failed(std::io::Error::other("it has no absolute path"));
        let base = Url::from_directory_path(&real).map_err(|()| not_absolute())?;
        let store = object_store::local::LocalFileSystem::new_with_prefix(&real)
            .map_err(|source| failed(std::io::Error::other(source)))?;
        Ok((Box::new(store), Path::default(), base))
    }

    /// Keeps the result of `image`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn put(
        &self,
        job: JobId,
        image: ImageId,
        format: Format,
        bytes: Vec<u8>,
    ) -> Result<Url, Error> {
        let name = format!("{job}/{image}.{}", format.extension());
        let failed = |source| Error::Store { base: self.base.clone(), doing: "written", source };
        let path = name.split('/').fold(self.prefix.clone(), |path, part| path.join(part));
        self.store.put(&path, bytes.into()).await.map_err(failed)?;
        let mut url = self.base.clone();
        url.set_path(&format!("{}{name}", self.base.path()));
        Ok(url)
    }

    /// How many results there are, of all jobs.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn count(&self) -> Result<usize, Error> {
        let failed = |source| Error::Store { base: self.base.clone(), doing: "listed", source };
        let list = self.store.list(Some(&self.prefix));
        list.try_fold(0, |count, _| async move { Ok(count + 1) }).await.map_err(failed)
    }
}

fn hint(location: &str) -> &'static str {
    if location.starts_with("s3:") && !cfg!(feature = "s3") { "; build it with `--features s3`" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[tokio::test]
    async fn a_result_that_is_made_twice_is_there_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let location = folder.path().join("new/deep");
        let output = Output::open(location.to_str().expect("text"), None).expect("it is made");
        let (job, image) = (JobId(Uuid::from_u128(1)), ImageId(Uuid::from_u128(2)));
        let first = output.put(job, image, Format::Jpeg, b"one".to_vec()).await.expect("it is written");
        let second = output.put(job, image, Format::Jpeg, b"two".to_vec()).await.expect("it is written");
        assert_eq!(first, second);
        assert_eq!(output.count().await.expect("they are listed"), 1);
        let path = second.to_file_path().expect("a file");
        assert_eq!(std::fs::read(&path).expect("it is there"), b"two");
        assert!(path.ends_with(format!("{job}/{image}.jpg")), "{}", path.display());
    }

    #[tokio::test]
    async fn the_public_url_stands_before_the_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let public = Url::parse("https://images.example/small").expect("a URL");
        let output = Output::open(folder.path().to_str().expect("text"), Some(public)).expect("it is made");
        let (job, image) = (JobId(Uuid::from_u128(1)), ImageId(Uuid::from_u128(2)));
        let url = output.put(job, image, Format::Png, Vec::new()).await.expect("it is written");
        assert_eq!(url.as_str(), format!("https://images.example/small/{job}/{image}.png"));
    }

    #[test]
    fn an_unknown_place_is_refused() {
        let error = Output::open("ftp://example.net/results", None).expect_err("not known");
        assert!(error.to_string().starts_with("`ftp://example.net/results` is neither a folder"), "{error}");
    }
}
