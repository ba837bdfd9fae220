//! `imageresize resize`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use imageresize::picture::Limits;
use imageresize::worker;
use url::Url;

use super::data_folder;

/// Threads for what blocks: files, and the one picture that is worked on.
const BLOCKING_THREADS: usize = 4;

/// Resize pictures.
#[derive(Args)]
#[command(after_help = "\
Examples:
  imageresize resize --role resize --output ./results
  imageresize resize --output s3://bucket/small --public-url https://images.example/small")]
pub(crate) struct Resize {
    #[command(flatten)]
    participant: msgflo::Options,
    /// A folder or an s3: URL for the results [default: imageresize/results in the user's data folder]
    #[arg(long, value_name = "FOLDER|URL", env = "IMAGERESIZE_OUTPUT")]
    output: Option<String>,
    /// What the results' own URLs begin with, if not with where they are written
    #[arg(long, value_name = "URL", env = "IMAGERESIZE_PUBLIC_URL")]
    public_url: Option<Url>,
    /// Let file: URLs be read beneath this folder; repeatable
    #[arg(long, value_name = "FOLDER")]
    files: Vec<PathBuf>,
    /// The largest original, in megapixels
    #[arg(long, value_name = "N", default_value_t = 50, env = "IMAGERESIZE_MAX_MEGAPIXELS")]
    max_megapixels: u64,
    /// The longest original, in megabytes
    #[arg(long, value_name = "N", default_value_t = 32, env = "IMAGERESIZE_MAX_MEGABYTES")]
    max_megabytes: u32,
    /// Images that are fetched and stored at once
    #[arg(long, value_name = "N", default_value_t = 5, env = "IMAGERESIZE_PREFETCH")]
    prefetch: u16,
    /// Seconds that an image may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10, env = "IMAGERESIZE_TIMEOUT")]
    timeout: u64,
}

pub(crate) fn run(resize: Resize) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()?;
    runtime.block_on(work(resize))
}

async fn work(resize: Resize) -> anyhow::Result<ExitCode> {
    let output =
        resize.output.unwrap_or_else(|| data_folder().join("results").to_string_lossy().into_owned());
    let options = worker::Options {
        output,
        public_url: resize.public_url,
        files: resize.files,
        max_bytes: usize::try_from(resize.max_megabytes)?.saturating_mul(1_000_000),
        limits: Limits { max_pixels: resize.max_megapixels.saturating_mul(1_000_000) },
        prefetch: resize.prefetch,
        timeout: Duration::from_secs(resize.timeout),
    };
    let worker = worker::participant(&options)?;
    let running = msgflo::start(resize.participant, [worker]).await?.stop_on_signals()?;
    running.cancelled().await;
    running.shutdown().await?;
    Ok(ExitCode::SUCCESS)
}
