//! The bodies of requests, and refusals in the interface's own format.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use super::access::Api;
use super::error::Refusal;

/// The most of a refusal in plain text that is passed on, in bytes.
const LONGEST: usize = 4 << 10;

/// A body in JSON, which is read only of those who are known.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Api> for Body<T> {
    type Rejection = Response;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Response> {
        api.identify(request.headers()).map_err(IntoResponse::into_response)?;
        match Json::from_request(request, api).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(rejection.into_response()),
        }
    }
}

/// Puts a refusal that the framework writes as plain text, or without any, into the format of all others.
pub(super) async fn in_json(response: Response) -> Response {
    let status = response.status();
    if !status.is_client_error() || is_json(response.headers()) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = to_bytes(body, LONGEST).await.unwrap_or_default();
    let text = match String::from_utf8_lossy(&text).trim() {
        "" => status.canonical_reason().unwrap_or("it cannot be answered").to_lowercase(),
        text => text.to_owned(),
    };
    let mut answer = Refusal::new(status, text).into_response();
    answer.headers_mut().extend(parts.headers.get(header::ALLOW).map(|allow| (header::ALLOW, allow.clone())));
    answer
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"))
}
