//! Requests that change something are never sent on: a POST that is answered with a redirection would come to nothing, or
//! tell its secrets elsewhere.

use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response, StatusCode};

/// A client that does not follow redirections.
pub(crate) fn firm_client() -> ClientBuilder {
    Client::builder().user_agent("guv").redirect(Policy::none())
}

/// Where a redirection points, in words and without secrets; `None` where the answer is none.
pub(crate) fn target(response: &Response) -> Option<String> {
    if !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED {
        return None;
    }
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let url = location.and_then(|location| response.url().join(location).ok());
    Some(match url {
        Some(mut url) => {
            // A URL without a host has no credentials.
            let _ = url.set_username("").and_then(|()| url.set_password(None));
            url.set_query(None);
            url.set_fragment(None);
            format!("it points to {url}")
        }
        None => "it does not say where to".to_owned(),
    })
}
