//! `imageresize load`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use imageresize::http::Gallery;
use tokio::net::TcpListener;

use crate::load::{Endpoint, Generator, Progress};
use crate::outcome::Work;
use crate::workload::{Arrivals, Workload};

/// Send jobs to a running service and wait for their results.
#[derive(Args)]
#[command(after_help = "\
Examples:
  imageresize load                                  3,000 images at once
  imageresize load --rate 60 --images 500           60 jobs a minute, at random
  imageresize load --photographs ~/Pictures --json")]
pub(crate) struct Load {
    /// The service
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080/")]
    url: url::Url,
    /// How many images
    #[arg(long, value_name = "N", default_value_t = 3_000)]
    images: usize,
    /// How many of them make a job
    #[arg(long, value_name = "N", default_value_t = 10)]
    per_job: usize,
    /// Jobs a minute, arriving at random (Poisson) [default: all at once]
    #[arg(long, value_name = "JOBS")]
    rate: Option<f64>,
    /// The side of the square in which results fit, in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 400)]
    side: u32,
    /// Seconds within which an image should be done
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    deadline: f64,
    /// Give up when nothing was completed for this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,
    /// A folder of photographs [default: rendered ones]
    #[arg(long, value_name = "FOLDER", env = "IMAGES")]
    photographs: Option<PathBuf>,
    /// The result as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(load: Load) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(work(load))
}

async fn work(load: Load) -> anyhow::Result<ExitCode> {
    ensure!(load.images > 0 && load.per_job > 0, "--images and --per-job must be at least 1");
    let deadline = Duration::try_from_secs_f64(load.deadline).context("--deadline makes no sense")?;
    let arrivals = match load.rate {
        Some(rate) if rate > 0.0 && rate.is_finite() => Arrivals::Poisson { per_second: rate / 60.0 },
        Some(_) => anyhow::bail!("--rate must be more than 0"),
        None => Arrivals::Burst,
    };
    // The photographs are served from here, so that workers of any machine's own loopback can have them.
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let base = format!("http://{}/photographs/", listener.local_addr()?);
    let gallery = Gallery::new(load.photographs);
    let originals = gallery.urls(&base.parse()?).await?;
    tokio::spawn(async move { axum::serve(listener, gallery.router()).await });

    let workload = Workload::new(load.images, load.per_job, load.side, arrivals, &originals);
    let generator = Generator::new(Endpoint::Fixed(load.url), Duration::from_secs(load.patience))?;
    let progress = Progress::new(load.images);
    let jobs = generator.run(&workload, &progress).await?;
    progress.finish();
    let work = Work::of(&jobs, deadline);
    if load.json {
        println!("{}", serde_json::to_string_pretty(&work)?);
    } else {
        print!("{work}");
    }
    Ok(if work.completed == load.images { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
