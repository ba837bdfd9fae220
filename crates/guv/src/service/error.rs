//! What a request is told when it cannot be answered.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::apps::Refused;
use crate::record::with_causes;

/// A status, and a body of `{"message": …}` and more.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    body: Value,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let message: String = message.into();
        Self { status, body: json!({ "message": message }) }
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "a valid token is needed: `Authorization: Bearer …`")
    }

    pub(super) fn no_app(id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            format!("there is no application `{id}`, or it has no configuration yet"),
        )
    }

    pub(super) fn no_role(role: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no role `{role}`"))
    }

    /// Something that should not happen; the log tells more.
    pub(super) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = with_causes(error), "a request could not be answered");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "it failed here; the service's log tells why")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}

impl From<super::store::Error> for Refusal {
    fn from(error: super::store::Error) -> Self {
        Self::internal(&error)
    }
}

impl From<super::file::Error> for Refusal {
    fn from(error: super::file::Error) -> Self {
        tracing::error!(error = with_causes(&error), "the configuration's file cannot be used");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, with_causes(&error))
    }
}

impl From<crate::history::Error> for Refusal {
    fn from(error: crate::history::Error) -> Self {
        Self::internal(&error)
    }
}

impl From<crate::governor::Error> for Refusal {
    fn from(error: crate::governor::Error) -> Self {
        match error {
            crate::governor::Error::UnknownRole(role) => Self::no_role(role.as_str()),
            error => Self::internal(&error),
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Config(error) => Self {
                status: StatusCode::UNPROCESSABLE_ENTITY,
                body: json!({ "message": error.to_string(), "diagnostics": error.diagnostics }),
            },
            refused @ Refused::Foreign { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, refused.to_string())
            }
            refused @ Refused::Runs(_) => Self::new(StatusCode::FORBIDDEN, refused.to_string()),
            Refused::Gone(id) => Self::no_app(&id),
            Refused::Governor(error) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
            refused => Self::internal(&refused),
        }
    }
}
