//! The resize worker: the component `imageresize/ResizeImage`.
//!
//! It fetches several originals at once, and decodes one at a time: 25 workers on a small machine then take the memory of
//! 25 decoded pictures, not of 125. A picture that cannot be resized is a failure of its job, sent to the error port.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use msgflo::{BoxError, Context, Handler, Inport, Outport, Participant};
use tokio::sync::Semaphore;
use url::Url;

use crate::fetch::{self, Fetcher};
use crate::message::{Ending, ResizeMessage, Resized, now};
use crate::output::{self, Output};
use crate::picture::{self, Limits, Size, Target};

/// The component's name.
pub const COMPONENT: &str = "imageresize/ResizeImage";

/// What a worker is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// A folder or a URL for the results.
    pub output: String,
    /// What the results' own URLs begin with, if not with `output`.
    pub public_url: Option<Url>,
    /// The folders beneath which `file:` URLs may be read.
    pub files: Vec<PathBuf>,
    /// The longest original in bytes.
    pub max_bytes: usize,
    /// How large an original may be.
    pub limits: Limits,
    /// How many messages are taken at once.
    pub prefetch: u16,
    /// How long one may take.
    pub timeout: Duration,
}

/// Why a worker cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Originals cannot be fetched.
    #[error("originals cannot be fetched")]
    Fetch(#[from] fetch::Error),
    /// Results cannot be kept.
    #[error("results cannot be kept")]
    Output(#[from] output::Error),
}

struct Resize {
    fetcher: Fetcher,
    output: Output,
    limits: Limits,
    /// Whose turn it is to decode.
    turn: Arc<Semaphore>,
    out: Outport<ResizeMessage>,
}

/// The worker as a participant.
///
/// # Errors
/// When the place for results cannot be made, or a folder of originals does not exist.
pub fn participant(options: &Options) -> Result<Participant, Error> {
    let mut resize = Participant::new(COMPONENT).role("resize");
    resize = resize.label("Fetches a picture, fits it within a box and stores the result").icon("image");
    let out = resize.outport("OUT");
    resize.error_port("ERROR");
    let handler = Resize {
        fetcher: Fetcher::new(&options.files, options.max_bytes)?,
        output: Output::open(&options.output, options.public_url.clone())?,
        limits: options.limits,
        turn: Arc::new(Semaphore::new(1)),
        out,
    };
    let inport = Inport::default().data_type("object").prefetch(options.prefetch).timeout(options.timeout);
    resize.handler("IN", inport, handler);
    Ok(resize)
}

impl Handler<ResizeMessage> for Resize {
    async fn handle(&self, message: ResizeMessage, context: Context) -> Result<(), BoxError> {
        let started_at = now();
        let order = &message.payload;
        let original = self.fetcher.fetch(&order.input).await?;
        let target = Target { bounds: Size::new(order.width, order.height), format: order.format };
        let small = self.shrink(original, target).await?;
        let url = self.output.put(message.job, order.id, order.format, small).await?;
        let ending = Ending::Completed(Resized { output: url.into() });
        context.send(&self.out, &message.ended(started_at, now(), ending))?;
        Ok(())
    }
}

impl Resize {
    async fn shrink(&self, original: Vec<u8>, target: Target) -> Result<Vec<u8>, BoxError> {
        // The turn goes along to the thread, so that work that timed out still keeps others from starting beside it.
        let turn = Arc::clone(&self.turn).acquire_owned().await?;
        let limits = self.limits;
        let small = tokio::task::spawn_blocking(move || {
            let small = picture::resize(&original, target, limits);
            drop(turn);
            small
        });
        Ok(small.await??)
    }
}
