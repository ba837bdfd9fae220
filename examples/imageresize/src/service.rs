//! The service's front: the HTTP interface and the store, two participants of one process.
//!
//! The web participant only sends; the store only takes. They share the database, so that a page shows what the store has
//! merged without asking anybody.

use std::sync::Arc;

use async_trait::async_trait;
use msgflo::{BoxError, Context, Handler, Inport, Outport, Participant};

use crate::http::Publish;
use crate::job::Merged;
use crate::message::{Ended, ResizeMessage, now};
use crate::store::Jobs;

/// The component that takes requests.
pub const WEB: &str = "imageresize/HttpApi";
/// The component that keeps results.
pub const STORE: &str = "imageresize/StoreResult";

/// Results that are merged at once: the store commits together what comes together.
const PREFETCH: u16 = 50;

/// The port on which the web participant asks for images.
#[derive(Clone, Debug)]
pub struct Requests(Outport<ResizeMessage>);

#[async_trait]
impl Publish for Requests {
    async fn publish(&self, message: &ResizeMessage) -> Result<(), BoxError> {
        Ok(self.0.send(message).await?)
    }
}

/// The HTTP interface as a participant, and its port.
pub fn web() -> (Participant, Requests) {
    let mut web = Participant::new(WEB).role("web");
    web = web.label("Takes requests over HTTP and shows what has become of them").icon("globe");
    let requests = web.outport("RESIZEIMAGE");
    (web, Requests(requests))
}

struct Store {
    jobs: Arc<dyn Jobs>,
}

/// The store as a participant.
pub fn store(jobs: Arc<dyn Jobs>) -> Participant {
    let mut store = Participant::new(STORE).role("store");
    store = store.label("Merges what became of an image into its job").icon("database");
    store.handler("IN", Inport::default().data_type("object").prefetch(PREFETCH), Store { jobs });
    store
}

impl Handler<ResizeMessage> for Store {
    async fn handle(&self, message: ResizeMessage, _: Context) -> Result<(), BoxError> {
        let ended = Ended::try_from(message)?;
        let (job, image) = (ended.job, ended.image);
        if self.jobs.merge(ended, now()).await? == Merged::AlreadyEnded {
            tracing::debug!(%job, %image, "a result came again and was left out");
        }
        Ok(())
    }
}
