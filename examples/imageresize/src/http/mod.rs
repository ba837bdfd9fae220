//! The HTTP interface.
//!
//! | request | answer |
//! |---|---|
//! | `POST /resize` `{images: [{input, width, height, operation?, format?, policy?}]}` | 202, `Location: /job/ID` |
//! | `GET /job/ID` | the job; 201 while images are pending, 200 when all have ended |
//! | `GET /jobs?limit=N` | the newest jobs |
//! | `GET /totals` | how many jobs are where |
//! | `GET /photographs` | the URLs of originals to try it with |
//! | `GET /` | a page that does all this |
//!
//! Errors are `{message}`: 422 for a request that makes no sense, 404 for what does not exist, 503 when the work cannot be
//! handed on. A client that repeats `POST /resize` with the same `Idempotency-Key: UUID` gets the same job: it is kept once, and
//! what of it has not ended is sent to the workers again.

mod error;
mod photographs;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::job::Job;
use crate::message::{Ended, Ending, Failure, JobId, ResizeMessage, now};
use crate::request;
use crate::store::{BoxError, Jobs};
use error::Error;
pub use photographs::{Gallery, GalleryError};

/// The longest body of a request.
const MAX_BODY: usize = 1 << 20;
/// The most jobs in one list, and how many there are if nobody says.
const MAX_LISTED: u32 = 500;
const LISTED: u32 = 50;
/// Messages of one job that wait for their confirmation at once.
const SENDING: usize = 64;
/// The header by which a client repeats a request safely.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Hands messages to the workers.
#[async_trait::async_trait]
pub trait Publish: Send + Sync {
    /// Sends `message`. Resolves when it is safe.
    ///
    /// # Errors
    /// When it may not have been sent.
    async fn publish(&self, message: &ResizeMessage) -> Result<(), BoxError>;
}

/// What the interface works with.
pub struct Service {
    /// Where jobs are kept.
    pub jobs: Arc<dyn Jobs>,
    /// The way to the workers.
    pub publish: Arc<dyn Publish>,
    /// Originals to try it with.
    pub gallery: Gallery,
}

type Shared = State<Arc<Service>>;

/// Serves `service` on `listener` until `stop` is cancelled and the answers under way are given.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: tokio::net::TcpListener,
    service: Service,
    stop: CancellationToken,
) -> std::io::Result<()> {
    axum::serve(listener, router(service)).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// The interface as a router.
pub fn router(service: Service) -> Router {
    Router::new()
        .route("/", get(async || Html(include_str!("page.html"))))
        .route("/resize", post(resize))
        .route("/resize/", post(resize))
        .route("/job/{id}", get(job))
        .route("/jobs", get(jobs))
        .route("/totals", get(totals))
        .route("/photographs", get(photographs::list))
        .route("/photographs/{name}", get(photographs::one))
        .fallback(async |request: axum::extract::Request| Error::NotFound {
            what: request.uri().path().to_owned(),
        })
        .method_not_allowed_fallback(async || Error::Method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Arc::new(service))
}

async fn resize(State(service): Shared, headers: HeaderMap, body: Bytes) -> Result<Response, Error> {
    let id = job_id(&headers)?;
    let orders = request::read(&body).map_err(Error::Invalid)?;
    // The row comes first: a result that arrives finds it.
    let job = service.jobs.insert(Job::new(id, now(), orders)).await.map_err(Error::Store)?;
    publish(&service, &job).await?;
    let location = [(header::LOCATION, format!("/job/{id}"))];
    Ok((StatusCode::ACCEPTED, location, Json(serde_json::json!({ "id": id }))).into_response())
}

/// The client's own id for the job, or a new one.
fn job_id(headers: &HeaderMap) -> Result<JobId, Error> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else { return Ok(JobId(Uuid::new_v4())) };
    let uuid = key.to_str().ok().and_then(|key| key.trim_matches('"').parse().ok());
    uuid.map(JobId).ok_or(Error::Key)
}

/// Sends what is pending of `job`. What cannot be sent has failed: nobody would ever work on it.
async fn publish(service: &Service, job: &Job) -> Result<(), Error> {
    let messages = job.pending_messages();
    let of = messages.len();
    let sent = stream::iter(messages).map(|message| {
        let publish = Arc::clone(&service.publish);
        async move { publish.publish(&message).await.map_err(|error| (message, error)) }
    });
    let failed = sent.buffer_unordered(SENDING).filter_map(|sent| std::future::ready(sent.err()));
    let failed: Vec<_> = failed.collect().await;
    let count = failed.len();
    let mut reason = None;
    for (message, error) in failed {
        let failure = Failure { message: format!("it could not be handed to a worker: {error}") };
        let (started_at, ended_at) = (None, now());
        let (job, image) = (message.job, message.payload.id);
        let ended = Ended { job, image, started_at, ended_at, ending: Ending::Failed(failure) };
        service.jobs.merge(ended, ended_at).await.map_err(Error::Store)?;
        reason = Some(error);
    }
    match reason {
        None => Ok(()),
        Some(source) => Err(Error::Publish { count, of, source }),
    }
}

async fn job(State(service): Shared, Path(id): Path<String>) -> Result<Response, Error> {
    let unknown = || Error::NotFound { what: format!("job {id}") };
    let uuid: Uuid = id.parse().map_err(|_| unknown())?;
    let job = service.jobs.get(JobId(uuid)).await.map_err(Error::Store)?.ok_or_else(unknown)?;
    let status = if job.has_ended() { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(job)).into_response())
}

#[derive(Deserialize)]
struct Listing {
    limit: Option<u32>,
}

async fn jobs(
    State(service): Shared,
    listing: Result<Query<Listing>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Error> {
    let Query(listing) = listing.map_err(|error| Error::Query { reason: error.body_text() })?;
    let limit = listing.limit.unwrap_or(LISTED).min(MAX_LISTED);
    Ok(Json(service.jobs.newest(limit).await.map_err(Error::Store)?).into_response())
}

async fn totals(State(service): Shared) -> Result<Response, Error> {
    Ok(Json(service.jobs.totals().await.map_err(Error::Store)?).into_response())
}
