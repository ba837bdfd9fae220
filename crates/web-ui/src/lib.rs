//! The page that both programs serve: the files of `web/dist`, as they were when this crate was compiled (in a debug build, as
//! they are now), with what a browser has to be told about them.
//!
//! Invariants:
//! - the page may load nothing from, and send nothing to, any other host: its Content-Security-Policy forbids it;
//! - a file whose name holds its hash is kept by browsers for good, and the others are asked about each time;
//! - without `web/dist` there is a page that says how to make it.
//!
//! Not here: who may do what. The page holds no secret, and everybody may have it.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::Embed;

#[derive(Embed)]
#[folder = "../../web/dist"]
struct Files;

const PAGE: &str = "index.html";
const NOT_BUILT: &str = include_str!("not_built.html");
/// Styles may be inline, since the editor makes its own; scripts may not.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; \
                      media-src data: blob:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// Whether whoever asks is a browser that wants to show a page, and not a program or `curl`.
pub fn is_wanted(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("text/html"))
}

/// The page itself.
pub fn page(headers: &HeaderMap) -> Response {
    match Files::get(PAGE) {
        Some(file) => answer(PAGE, file.data, file.metadata.sha256_hash(), headers),
        None => {
            with_policy(([(header::CONTENT_TYPE, "text/html; charset=utf-8")], NOT_BUILT).into_response())
        }
    }
}

/// What the page loads: for whatever a server has no other route for.
pub async fn file(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    // What the build leaves for tools, and files that stand for others, are not part of the page.
    let is_shown = !path.is_empty() && !path.starts_with('.') && !path.ends_with(".gz");
    match Files::get(path).filter(|_| is_shown) {
        Some(file) => answer(path, file.data, file.metadata.sha256_hash(), &headers),
        None => (StatusCode::NOT_FOUND, format!("there is nothing at /{path}\n")).into_response(),
    }
}

fn answer(path: &str, data: Cow<'static, [u8]>, hash: [u8; 32], headers: &HeaderMap) -> Response {
    let tag: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let has_hash = path.starts_with("assets/");
    let keep = if has_hash { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut response = if says(headers, header::IF_NONE_MATCH, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let packed =
            says(headers, header::ACCEPT_ENCODING, "gzip").then(|| Files::get(&format!("{path}.gz")));
        let mut response = match packed.flatten() {
            Some(packed) => {
                ([(header::CONTENT_ENCODING, "gzip")], Body::from(packed.data.into_owned())).into_response()
            }
            None => Body::from(data.into_owned()).into_response(),
        };
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
        response
    };
    let told = response.headers_mut();
    told.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    told.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        told.insert(header::ETAG, tag);
    }
    with_policy(response)
}

fn with_policy(mut response: Response) -> Response {
    let told = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    response.headers_mut().extend(told.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}

fn says(headers: &HeaderMap, name: HeaderName, what: &str) -> bool {
    headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains(what))
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "json" => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn there_is_a_page_whether_it_was_built_or_not_and_it_may_ask_nobody_else() {
        let response = page(&HeaderMap::new());
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("connect-src 'self'") && policy.contains("default-src 'none'"), "{policy}");
        assert!(!policy.contains("http"), "{policy}");
    }

    #[test]
    fn only_a_browser_that_wants_a_page_gets_it() {
        assert!(is_wanted(&asked(&[(header::ACCEPT, "text/html,application/xhtml+xml")])));
        assert!(!is_wanted(&asked(&[(header::ACCEPT, "*/*")])));
        assert!(!is_wanted(&HeaderMap::new()));
    }

    #[test]
    fn what_a_browser_has_is_not_sent_again() {
        let first = answer("assets/a-1234.js", Cow::Borrowed(b"a"), [7; 32], &HeaderMap::new());
        assert_eq!(first.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
        assert!(first.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
        let tag = first.headers()[header::ETAG].to_str().unwrap();
        let has = asked(&[(header::IF_NONE_MATCH, tag)]);
        let again = answer("index.html", Cow::Borrowed(b"a"), [7; 32], &has);
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(again.headers()[header::CACHE_CONTROL], "no-cache");
    }

    #[tokio::test]
    async fn what_is_no_part_of_the_page_is_not_found() {
        for path in ["/", "/.vite/manifest.json", "/../Cargo.toml", "/%2e%2e/Cargo.toml", "/nothing.js"] {
            let response = file(Uri::try_from(path).unwrap(), HeaderMap::new()).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }
}
