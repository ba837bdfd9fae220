//! Tokens: those of an application, and those that open all.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};

use super::Answer;
use crate::service::access::{Api, May, bearer};
use crate::service::answers::{AddedToken, NewToken, Removed, TokenList};
use crate::service::body::Body;
use crate::service::error::Refusal;
use crate::service::secrets::TokenHash;

type Added = Result<(StatusCode, Json<AddedToken>), Refusal>;

pub(super) async fn list(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer<TokenList> {
    api.writer(&headers, &id)?;
    api.kept(&id)?;
    listed(&api, Some(&id), &headers)
}

pub(super) async fn list_of_all(State(api): State<Api>, headers: HeaderMap) -> Answer<TokenList> {
    api.admin(&headers)?;
    listed(&api, None, &headers)
}

fn listed(api: &Api, app: Option<&str>, headers: &HeaderMap) -> Answer<TokenList> {
    let mut tokens = api.fleet()?.store.tokens(app)?;
    let own = own(headers);
    for token in &mut tokens {
        token.is_yours = Some(&token.id) == own.as_ref();
    }
    Ok(Json(TokenList { tokens }))
}

pub(super) async fn add(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(body): Body<NewToken>,
) -> Added {
    api.writer(&headers, &id)?;
    api.kept(&id)?;
    added(&api, Some(&id), body)
}

pub(super) async fn add_for_all(
    State(api): State<Api>,
    headers: HeaderMap,
    Body(body): Body<NewToken>,
) -> Added {
    api.admin(&headers)?;
    added(&api, None, body)
}

fn added(api: &Api, app: Option<&str>, body: NewToken) -> Added {
    let name = body.name.trim();
    if name.is_empty() || name.len() > 64 {
        let message = "`name` must have 1 to 64 bytes: who or what will use the token";
        return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, message));
    }
    let token = api.fleet()?.store.add_token(app, name, body.may.unwrap_or(May::Write))?;
    let added = AddedToken { name: name.to_owned(), token: token.reveal().to_owned() };
    Ok((StatusCode::CREATED, Json(added)))
}

pub(super) async fn remove(
    State(api): State<Api>,
    Path((id, token)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer<Removed> {
    api.writer(&headers, &id)?;
    api.kept(&id)?;
    removed(&api, Some(&id), token, &headers)
}

pub(super) async fn remove_for_all(
    State(api): State<Api>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Answer<Removed> {
    api.admin(&headers)?;
    removed(&api, None, token, &headers)
}

fn removed(api: &Api, app: Option<&str>, token: String, headers: &HeaderMap) -> Answer<Removed> {
    if own(headers).as_ref() == Some(&token) {
        let message = "this is the token that you came with; use another one to revoke it";
        return Err(Refusal::new(StatusCode::CONFLICT, message));
    }
    if !api.fleet()?.store.remove_token(app, &token)? {
        return Err(Refusal::new(StatusCode::NOT_FOUND, format!("there is no token `{token}`")));
    }
    Ok(Json(Removed { removed: token }))
}

/// The name of the token that a request came with.
fn own(headers: &HeaderMap) -> Option<String> {
    bearer(headers).map(|token| TokenHash::of(token).id())
}
