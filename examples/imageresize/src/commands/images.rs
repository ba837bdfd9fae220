//! `imageresize images`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use imageresize::photograph;

/// Write photograph-like pictures of 1 to 3 megapixels.
#[derive(Args)]
#[command(after_help = "Example:\n  imageresize images ./photographs")]
pub(crate) struct Images {
    /// Where they are written; made if it does not exist.
    folder: PathBuf,
    /// How many.
    #[arg(long, default_value_t = photograph::DISTINCT)]
    count: u64,
}

pub(crate) fn run(images: &Images) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(&images.folder)
        .with_context(|| format!("{} cannot be made", images.folder.display()))?;
    for path in photograph::render_all(&images.folder, images.count)? {
        println!("{}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}
