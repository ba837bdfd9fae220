//! `imageresize serve`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use imageresize::http::{self, Gallery};
use imageresize::{service, store};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::data_folder;

/// How long answers under way may take when we leave.
const LEAVING: Duration = Duration::from_secs(10);

/// Take requests over HTTP and store results.
#[derive(Args)]
#[command(after_help = "\
Examples:
  imageresize serve
  imageresize serve --role web=frontend --listen 0.0.0.0:8080
  DATABASE_URL=postgres://me:secret@localhost/images imageresize serve")]
pub(crate) struct Serve {
    #[command(flatten)]
    participants: msgflo::Options,
    /// The roles to play, as COMPONENT=ROLE,… (what `#ROLES` in a component library becomes)
    #[arg(long, value_name = "ROLES", value_delimiter = ',')]
    roles: Vec<String>,
    /// Where HTTP is served; port 0 for any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", env = "IMAGERESIZE_LISTEN")]
    listen: String,
    /// Write the URL of the HTTP interface to this file when it is up
    #[arg(long, value_name = "FILE", env = "IMAGERESIZE_URL_FILE")]
    url_file: Option<PathBuf>,
    /// sqlite:FILE or postgres://… [default: imageresize/jobs.sqlite3 in the user's data folder]
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    database: Option<String>,
    /// A folder of photographs to offer on the page [default: rendered ones]
    #[arg(long, value_name = "FOLDER", env = "IMAGES")]
    photographs: Option<PathBuf>,
}

pub(crate) fn run(serve: Serve) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(work(serve))
}

async fn work(serve: Serve) -> anyhow::Result<ExitCode> {
    let options = cast(serve.participants, &serve.roles)?;
    let listener = TcpListener::bind(&serve.listen)
        .await
        .with_context(|| format!("{} cannot be listened on; choose with --listen", serve.listen))?;
    let address = listener.local_addr()?;
    let database = match serve.database.filter(|url| !url.is_empty()) {
        Some(url) => url,
        None => default_database()?,
    };
    let jobs = store::open(&database).await?;
    let (web, requests) = service::web();
    let running =
        msgflo::start(options, [web, service::store(Arc::clone(&jobs))]).await?.stop_on_signals()?;

    eprintln!("http://{address}/");
    if let Some(file) = &serve.url_file {
        write_whole(file, &format!("http://{address}/\n"))?;
    }
    let interface =
        http::Service { jobs, publish: Arc::new(requests), gallery: Gallery::new(serve.photographs) };
    let stop = CancellationToken::new();
    let mut served = tokio::spawn(http::serve(listener, interface, stop.clone()));
    tokio::select! {
        () = running.cancelled() => {
            stop.cancel();
            if let Ok(ended) = tokio::time::timeout(LEAVING, &mut served).await {
                ended??;
            }
        }
        ended = &mut served => ended??,
    }
    running.shutdown().await?;
    Ok(ExitCode::SUCCESS)
}

/// Gives each participant its role.
fn cast(mut options: msgflo::Options, roles: &[String]) -> anyhow::Result<msgflo::Options> {
    for text in roles {
        let (component, role) =
            text.split_once('=').with_context(|| format!("--roles {text}: write COMPONENT=ROLE"))?;
        let name = match component {
            service::WEB => "web",
            service::STORE => "store",
            _ => bail!("--roles {text}: this program has {} and {}", service::WEB, service::STORE),
        };
        options = options.role(format!("{name}={role}"));
    }
    Ok(options)
}

fn default_database() -> anyhow::Result<String> {
    let folder = data_folder();
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    Ok(format!("sqlite:{}", folder.join("jobs.sqlite3").display()))
}

/// Writes a file that is either not there or whole.
fn write_whole(path: &Path, text: &str) -> anyhow::Result<()> {
    let failed = || format!("{} cannot be written", path.display());
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    std::fs::write(&draft, text).with_context(failed)?;
    std::fs::rename(&draft, path).with_context(failed)
}
