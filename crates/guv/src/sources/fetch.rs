//! Fetching JSON over HTTP, as an option of a source says it.

use guv_model::Part;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use url::Url;

use crate::SourceError;
use crate::record::with_causes;

/// The longest answer that is read.
const LONGEST: usize = 16 << 20;

/// A client for all requests. Each has the deadline of its role.
pub(super) fn client() -> Result<Client, reqwest::Error> {
    Client::builder().user_agent("guv").build()
}

/// A request with what the options `token`, `headers` and the credentials of `url` add.
pub(super) fn request(client: &Client, url: Url, part: &Part) -> RequestBuilder {
    let mut request = client.request(Method::GET, url);
    if let Some(token) = part.secret("token") {
        request = request.bearer_auth(token.reveal());
    }
    for header in part.texts("headers").unwrap_or_default() {
        if let Some((name, value)) = header.split_once(':') {
            request = request.header(name.trim(), value.trim());
        }
    }
    request
}

/// The body of the answer; `place` names the server in errors.
pub(super) async fn body(request: RequestBuilder, place: &str) -> Result<Vec<u8>, SourceError> {
    let unreachable = |error: reqwest::Error| SourceError::Unreachable {
        what: format!("{place}: {}", with_causes(&error.without_url())),
        source: None,
    };
    let mut response = request.send().await.map_err(unreachable)?;
    let refused =
        |hint: &str| SourceError::Refused { what: format!("{place} answers {}{hint}", response.status()) };
    match response.status() {
        status if status.is_success() => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return Err(refused("; check `token:` or `headers:`"));
        }
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            return Err(SourceError::Unreachable { what: format!("{place} answers {status}"), source: None });
        }
        _ => return Err(refused("; check `url:`")),
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > LONGEST {
            let what = format!("{place} answers more than {LONGEST} bytes");
            return Err(SourceError::Malformed { what, source: None });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A URL without what may be a secret in it.
pub(super) fn place(url: &Url) -> String {
    let mut place = url.clone();
    // Both only fail for URLs without a host.
    let _ = place.set_username("");
    let _ = place.set_password(None);
    place.set_query(None);
    place.into()
}
