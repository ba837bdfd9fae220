//! Originals to try the service with: somebody's own folder, or rendered ones.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use tokio::sync::OnceCell;
use url::Url;

use super::{Error, Shared};
use crate::photograph;

/// How many are rendered when nobody gave a folder.
const RENDERED: u64 = 8;

/// Pictures by their name. Clones are the same.
#[derive(Clone)]
pub struct Gallery {
    pictures: Arc<OnceCell<Vec<Picture>>>,
    folder: Option<PathBuf>,
}

/// A picture that can be had.
#[derive(Clone)]
struct Picture {
    name: String,
    media_type: &'static str,
    place: Place,
}

#[derive(Clone)]
enum Place {
    File(PathBuf),
    Memory(Bytes),
}

/// Why there are no pictures.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GalleryError {
    /// The folder or a file of it cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The folder or the file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The folder holds none.
    #[error("there is no .jpg, .jpeg or .png in {}", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// None could be rendered.
    #[error("no photograph could be rendered")]
    Render(#[source] photograph::Error),
}

impl Gallery {
    /// The pictures in `folder`, or rendered ones. They are looked for, or rendered, when they are first asked for.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { pictures: Arc::default(), folder }
    }

    /// The pictures' names.
    ///
    /// # Errors
    /// When there are none.
    pub async fn names(&self) -> Result<Vec<String>, GalleryError> {
        Ok(self.pictures().await?.iter().map(|picture| picture.name.clone()).collect())
    }

    /// Their URLs, beneath `base`.
    ///
    /// # Errors
    /// When there are none.
    pub async fn urls(&self, base: &Url) -> Result<Vec<Url>, GalleryError> {
        let names = self.names().await?;
        // An encoded name is always a relative URL, so none is lost.
        Ok(names.iter().filter_map(|name| base.join(&encoded(name)).ok()).collect())
    }

    /// Serves them at `/photographs/NAME` and nothing else.
    pub fn router(self) -> Router {
        let one =
            async |State(gallery): State<Gallery>, Path(name): Path<String>| gallery.answer(&name).await;
        Router::new().route("/photographs/{name}", get(one)).with_state(self)
    }

    async fn pictures(&self) -> Result<&[Picture], GalleryError> {
        let folder = self.folder.clone();
        let found = self.pictures.get_or_try_init(|| async move {
            let found = tokio::task::spawn_blocking(move || match folder {
                Some(folder) => find(folder),
                None => render(),
            });
            found.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
        });
        found.await.map(Vec::as_slice)
    }

    async fn answer(&self, name: &str) -> Result<Response, Error> {
        let pictures = self.pictures().await.map_err(Error::Gallery)?;
        let picture = pictures.iter().find(|picture| picture.name == name);
        let picture = picture.ok_or_else(|| Error::NotFound { what: format!("photograph {name}") })?;
        let bytes = match &picture.place {
            Place::Memory(bytes) => bytes.clone(),
            Place::File(path) => {
                let failed = |source| Error::Gallery(GalleryError::Read { path: path.clone(), source });
                tokio::fs::read(path).await.map_err(failed)?.into()
            }
        };
        Ok(([(header::CONTENT_TYPE, picture.media_type)], bytes).into_response())
    }
}

/// The pictures in a folder, by name.
fn find(folder: PathBuf) -> Result<Vec<Picture>, GalleryError> {
    let failed = |source| GalleryError::Read { path: folder.clone(), source };
    let mut pictures = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        let media_type = match extension.as_deref() {
            Some("jpg" | "jpeg") => "image/jpeg",
            Some("png") => "image/png",
            _ => continue,
        };
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        pictures.push(Picture { name: name.to_owned(), media_type, place: Place::File(path) });
    }
    pictures.sort_by(|one, other| one.name.cmp(&other.name));
    if pictures.is_empty() {
        return Err(GalleryError::Empty { path: folder });
    }
    Ok(pictures)
}

fn render() -> Result<Vec<Picture>, GalleryError> {
    let picture = |number| {
        let bytes = photograph::render(number)?.into();
        let name = format!("photograph-{number:02}.jpg");
        Ok(Picture { name, media_type: "image/jpeg", place: Place::Memory(bytes) })
    };
    (0..RENDERED).map(picture).collect::<Result<_, _>>().map_err(GalleryError::Render)
}

/// `GET /photographs`: their URLs, as whoever asks sees this server.
pub(super) async fn list(State(service): Shared, headers: HeaderMap) -> Result<Response, Error> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let names = service.gallery.names().await.map_err(Error::Gallery)?;
    let urls = names.iter().map(|name| format!("http://{host}/photographs/{}", encoded(name)));
    Ok(Json(urls.collect::<Vec<_>>()).into_response())
}

/// `GET /photographs/NAME`.
pub(super) async fn one(State(service): Shared, Path(name): Path<String>) -> Result<Response, Error> {
    service.gallery.answer(&name).await
}

/// A file's name as a segment of a URL's path.
fn encoded(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}
