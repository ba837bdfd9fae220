//! `imageresize demo`: the whole service under load, with the number of workers following it.
//!
//! It starts `msgflo run` on the service's own graph, sends jobs once everything is connected and no worker runs, watches the
//! network's status until every image has ended and the workers are gone, ends what it started, and says what it cost.
//! It succeeds only if every image arrived exactly once.

mod chart;
mod disturbance;
mod folder;
mod network;
mod observer;
mod plan;
mod summary;
mod workers;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use imageresize::http::Gallery;
use imageresize::output::Output;
use imageresize::photograph;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::load::{Endpoint, Generator, Progress};
use crate::outcome::Work;
use crate::workload::{Arrivals, Workload};
use disturbance::Disturbances;
use folder::{Folder, Record};
use network::{Network, Settings};
use observer::Observer;
use plan::Plan;
use summary::{Delivery, Summary};
use workers::Workers;

/// The worker role of the graph.
const ROLE: &str = "resize";
/// How long each phase beside the work itself may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a shell reports of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Run the whole service under load, and show how the number of workers follows it.
#[derive(Args)]
#[command(after_help = "\
Examples:
  imageresize demo
  IMAGES=~/Pictures imageresize demo --images 500
  MSGFLO_BROKER=amqp://localhost imageresize demo --chaos 5 --kill-coordinator

Exit status: 0 every image arrived exactly once, 1 not so, 130 interrupted.")]
pub(crate) struct Demo {
    /// How many images
    #[arg(long, value_name = "N", default_value_t = 3_000)]
    images: usize,
    /// How many of them make a job
    #[arg(long, value_name = "N", default_value_t = 10)]
    per_job: usize,
    /// The side of the square in which results fit, in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 400)]
    side: u32,
    /// A folder of photographs [default: rendered ones]
    #[arg(long, value_name = "FOLDER", env = "IMAGES")]
    photos: Option<PathBuf>,
    /// Kill this many workers, with SIGKILL, while they work
    #[arg(long, value_name = "N", default_value_t = 0)]
    chaos: u32,
    /// Kill msgflo itself, with SIGKILL, in the middle, and start it again; needs a broker of its own
    #[arg(long)]
    kill_coordinator: bool,
    /// The broker, as amqp://user:password@host:5672/vhost [default: MSGFLO_BROKER, else one in msgflo itself]
    #[arg(long, value_name = "URL", hide_env_values = true)]
    broker: Option<String>,
    /// The folder with service.fbp, package.json and autoscale.guv.yaml
    #[arg(long, value_name = "FOLDER", default_value = "examples/imageresize")]
    service: PathBuf,
    /// The program `msgflo` [default: MSGFLO, else beside this program]
    #[arg(long, value_name = "FILE")]
    msgflo: Option<PathBuf>,
    /// Where jobs, results and the log are kept, and stay [default: a temporary folder]
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// Go on with the run that is kept in --state
    #[arg(long, requires = "state")]
    resume: bool,
    /// Do not remove the temporary folder
    #[arg(long)]
    keep: bool,
    /// Draw workers and queue over time into this file
    #[arg(long, value_name = "FILE.svg")]
    chart: Option<PathBuf>,
    /// The summary as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(demo: Demo) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(perform(demo))
}

async fn perform(demo: Demo) -> Result<ExitCode> {
    ensure!(demo.images > 0 && demo.per_job > 0, "--images and --per-job must be at least 1");
    let plan = Plan::read(&demo.service.join("autoscale.guv.yaml"), ROLE)?;
    let broker = demo.broker.clone().or_else(broker_of_environment);
    let is_embedded = broker.as_deref().is_none_or(|url| url.starts_with("embedded:"));
    if demo.kill_coordinator && is_embedded {
        bail!(
            "--kill-coordinator needs a broker that outlives msgflo: the embedded one keeps its messages in memory; name a \
             RabbitMQ with --broker or MSGFLO_BROKER"
        );
    }
    let folder = Folder::open(demo.state.clone(), demo.keep)?;
    let record = match demo.resume {
        true => Some(folder.record()?),
        false => {
            folder.check_unused()?;
            None
        }
    };

    let photos = match &demo.photos {
        Some(photos) => {
            photos.canonicalize().with_context(|| format!("{} cannot be read", photos.display()))?
        }
        None => render(&folder)?,
    };
    let port = record.as_ref().map_or(0, |record| record.port);
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .with_context(|| format!("the originals cannot be served on port {port} of 127.0.0.1"))?;
    let address = listener.local_addr()?;
    let gallery = Gallery::new(Some(photos.clone()));
    let originals = gallery.urls(&format!("http://{address}/photographs/").parse()?).await?;
    tokio::spawn(async move { axum::serve(listener, gallery.router()).await });

    let mut workload = Workload::new(demo.images, demo.per_job, demo.side, Arrivals::Burst, &originals);
    match &record {
        Some(record) => workload = record.continue_with(workload)?,
        None => folder.write_record(&Record::of(&workload, demo.images, demo.per_job, address.port()))?,
    }

    let settings = Settings {
        program: network::find(demo.msgflo.clone())?,
        service: demo.service.clone(),
        broker,
        folder: folder.path().to_owned(),
        photos,
    };
    let mut network = Network::start(settings)?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let driven = tokio::select! {
        driven = drive(&demo, &plan, &workload, &folder, &mut network) => Some(driven),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
    };
    let stopped = network.stop().await;
    let summary = match driven {
        None => {
            eprintln!("interrupted; everything that was started is ended");
            return Ok(ExitCode::from(INTERRUPTED));
        }
        Some(Err(error)) => {
            let kept = folder.keep();
            return Err(error.context(format!("the demo did not end well; its log is in {}", kept.display())));
        }
        Some(Ok(summary)) => summary,
    };
    stopped?;
    report(&demo, &summary)?;
    if demo.keep || demo.state.is_some() {
        eprintln!("kept in {}", folder.keep().display());
    }
    Ok(if summary.delivery.is_exact() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What `msgflo run` would take for the broker.
fn broker_of_environment() -> Option<String> {
    let variables = ["MSGFLO_BROKER", "CLOUDAMQP_URL"];
    variables.into_iter().find_map(|name| std::env::var(name).ok().filter(|url| !url.is_empty()))
}

fn render(folder: &Folder) -> Result<PathBuf> {
    let photos = folder.path().join("originals");
    std::fs::create_dir_all(&photos).with_context(|| format!("{} cannot be made", photos.display()))?;
    let begin = Instant::now();
    let rendered = photograph::render_all(&photos, photograph::DISTINCT)?;
    eprintln!("{} photographs rendered in {:.1} s", rendered.len(), begin.elapsed().as_secs_f64());
    Ok(photos)
}

/// From the network's start to the moment when its workers are gone again.
async fn drive(
    demo: &Demo,
    plan: &Plan,
    workload: &Workload,
    folder: &Folder,
    network: &mut Network,
) -> Result<Summary> {
    let mut observer = Observer::start(network.url_file(), ROLE);
    let generator = Generator::new(Endpoint::File(network.service_url_file()), PATIENCE)?;

    // A run that is gone on with finds work in the queue, and so workers.
    let may_have_workers = demo.resume;
    eprintln!(
        "starting the network, and waiting until all is connected{}",
        if may_have_workers { "" } else { " and no worker runs" }
    );
    let is_ready = |status: &observer::Status| {
        status.is_connected() && (may_have_workers || status.has_no_workers(ROLE))
    };
    let begun = Instant::now();
    let status = network.while_up(observer.until("connected", PATIENCE, is_ready)).await?;
    network.while_up(wait_for_file(network.service_url_file())).await?;
    eprintln!("connected in {:.1} s, on {}", begun.elapsed().as_secs_f64(), status.broker);

    eprintln!("sending {} images in {} jobs", demo.images, workload.requests.len());
    let progress = Progress::new(demo.images);
    let begun = Instant::now();
    let disturbances = Disturbances { workers: demo.chaos, coordinator: demo.kill_coordinator };
    let shown = observer.show(&progress, ROLE);
    let (jobs, disturbed) = tokio::select! {
        both = async {
            tokio::try_join!(
                generator.run(workload, &progress),
                disturbances.make(network, observer.clone(), &progress, demo.images as u64),
            )
        } => both?,
        never = shown => match never {},
    };
    progress.finish();
    eprintln!("every image has ended; waiting until the workers are gone");
    let is_idle = |status: &observer::Status| status.has_no_workers(ROLE);
    network.while_up(observer.until("without workers", PATIENCE, is_idle)).await?;
    let totals = generator.totals().await?;

    let output = Output::open(&network.results().to_string_lossy(), None)?;
    let delivery = Delivery {
        images: demo.images,
        completed: jobs.iter().map(|job| job.counts().completed).sum(),
        jobs_sent: workload.requests.len(),
        jobs_stored: totals.jobs,
        results: output.count().await?,
    };
    let workers = Workers::of(&observer.samples_since(begun), plan);
    let work = Work::of(&jobs, plan.deadline);
    folder.mark_complete()?;
    Ok(Summary::new(work, workers, delivery, disturbed, status.broker, plan))
}

/// Resolves when the file is there.
async fn wait_for_file(path: PathBuf) -> Result<()> {
    let begin = Instant::now();
    while !path.exists() {
        ensure!(begin.elapsed() < PATIENCE, "the service has not said where it is, in {}", path.display());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn report(demo: &Demo, summary: &Summary) -> Result<()> {
    if demo.json {
        println!("{}", serde_json::to_string_pretty(summary)?);
    } else {
        print!("{summary}");
    }
    if let Some(path) = &demo.chart {
        std::fs::write(path, chart::svg(&summary.workers))
            .with_context(|| format!("{} cannot be written", path.display()))?;
        eprintln!("chart: {}", path.display());
    }
    Ok(())
}
