//! What a client is told when it gets nothing else.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::GalleryError;
use crate::request::Invalid;
use crate::store::{self, BoxError};

/// Why a request has no other answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{0}")]
    Invalid(Invalid),
    #[error("the header Idempotency-Key is no UUID")]
    Key,
    #[error("{reason}")]
    Query { reason: String },
    #[error("{what} does not exist")]
    NotFound { what: String },
    #[error("this path does not take this method")]
    Method,
    #[error("the job cannot be kept or found now")]
    Store(#[source] store::Error),
    #[error("{count} of {of} images could not be handed to a worker; they count as failed")]
    Publish { count: usize, of: usize, source: BoxError },
    #[error("there are no photographs to show")]
    Gallery(#[source] GalleryError),
}

impl Error {
    fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) | Self::Key | Self::Query { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Store(_) | Self::Publish { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Gallery(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if self.status().is_server_error() {
            tracing::error!(error = chain(&self), "a request could not be served");
        }
        (self.status(), Json(serde_json::json!({ "message": self.to_string() }))).into_response()
    }
}

/// An error's text, and those of its sources.
fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
