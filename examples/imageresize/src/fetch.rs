//! Getting originals: over HTTP, or from folders that were opened for it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use url::Url;

/// How long a server may take to accept a connection, and to send the next bytes.
const CONNECT: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(10);

/// Gets originals.
#[derive(Clone, Debug)]
pub struct Fetcher {
    client: reqwest::Client,
    folders: Vec<PathBuf>,
    max_bytes: usize,
}

/// Why an original could not be got.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL cannot be understood or is of a scheme that is not fetched.
    #[error("`{url}` is no http, https or file URL")]
    NotFetchable {
        /// As it was given.
        url: String,
    },
    /// A folder that was to be opened does not exist.
    #[error("the folder {} cannot be opened for file: URLs", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The HTTP client could not be made.
    #[error("there is no HTTP client")]
    Client(#[source] reqwest::Error),
    /// The file lies outside the folders that were opened.
    #[error("{} is not in a folder whose files may be read (`--files FOLDER`)", path.display())]
    Forbidden {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The server cannot be reached, or broke off.
    #[error("{url} cannot be fetched")]
    Http {
        /// The URL.
        url: Url,
        /// Why.
        source: reqwest::Error,
    },
    /// The server does not have it.
    #[error("{url} cannot be fetched: the server answered {status}")]
    Status {
        /// The URL.
        url: Url,
        /// What the server answered.
        status: StatusCode,
    },
    /// It is longer than we take.
    #[error("{url} is longer than {limit} bytes")]
    TooLong {
        /// The URL.
        url: Url,
        /// The limit.
        limit: usize,
    },
}

impl Fetcher {
    /// A fetcher that reads files only beneath `folders` and takes at most `max_bytes`.
    ///
    /// # Errors
    /// When a folder does not exist.
    pub fn new(folders: &[PathBuf], max_bytes: usize) -> Result<Self, Error> {
        let folders = folders
            .iter()
            .map(|path| path.canonicalize().map_err(|source| Error::Folder { path: path.clone(), source }));
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .user_agent(concat!("imageresize/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(Error::Client)?;
        Ok(Self { client, folders: folders.collect::<Result<_, _>>()?, max_bytes })
    }

    /// The bytes at `url`.
    ///
    /// # Errors
    /// When they cannot be had, are too many, or are not for us to read.
    pub async fn fetch(&self, url: &str) -> Result<Vec<u8>, Error> {
        let not_fetchable = || Error::NotFetchable { url: url.to_owned() };
        let parsed = Url::parse(url).map_err(|_| not_fetchable())?;
        match parsed.scheme() {
            "http" | "https" => self.get(parsed).await,
            "file" => {
                let path = parsed.to_file_path().map_err(|()| not_fetchable())?;
                self.read(parsed, &path).await
            }
            _ => Err(not_fetchable()),
        }
    }

    async fn get(&self, url: Url) -> Result<Vec<u8>, Error> {
        let failed = |source: reqwest::Error| Error::Http { url: url.clone(), source: source.without_url() };
        let too_long = || Error::TooLong { url: url.clone(), limit: self.max_bytes };
        let request = self.client.get(url.clone()).header(reqwest::header::ACCEPT, "image/jpeg, image/png");
        let mut response = request.send().await.map_err(failed)?;
        if !response.status().is_success() {
            return Err(Error::Status { url: url.clone(), status: response.status() });
        }
        let announced = usize::try_from(response.content_length().unwrap_or(0)).unwrap_or(usize::MAX);
        if announced > self.max_bytes {
            return Err(too_long());
        }
        tracing::trace!(bytes = announced, kind = ?response.headers().get(CONTENT_TYPE), "an original begins");
        let mut bytes = Vec::with_capacity(announced);
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > self.max_bytes {
                return Err(too_long());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    async fn read(&self, url: Url, path: &Path) -> Result<Vec<u8>, Error> {
        let failed = |source| Error::File { path: path.to_owned(), source };
        // Links and `..` are resolved first, so that none leads out of the folders. What lies outside is not even looked
        // for: whether it exists is not for the asker to know.
        let forbidden = || Error::Forbidden { path: path.to_owned() };
        let real = tokio::fs::canonicalize(path).await;
        let is_within = |path: &Path| self.folders.iter().any(|folder| path.starts_with(folder));
        let real = match real {
            Ok(real) if is_within(&real) => real,
            Err(error) if is_within(path) => return Err(failed(error)),
            Ok(_) | Err(_) => return Err(forbidden()),
        };
        let length = tokio::fs::metadata(&real).await.map_err(failed)?.len();
        if usize::try_from(length).unwrap_or(usize::MAX) > self.max_bytes {
            return Err(Error::TooLong { url, limit: self.max_bytes });
        }
        tokio::fs::read(&real).await.map_err(failed)
    }
}
