//! The page that the programs serve, built from `web/` into `web/dist/`, which they embed.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::cargo;
use crate::tools::{self, Node};

/// What the page is made of, in `web/`.
const SOURCES: [&str; 11] = [
    "src",
    "tests",
    "public",
    "scripts",
    "openapi/guv.json",
    "openapi/stamp.mjs",
    "index.html",
    "package-lock.json",
    "package.json",
    "tsconfig.json",
    "vite.config.ts",
];

/// `cargo xtask web`
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    match arguments {
        [] => build(&Node::find_or_install()?)?,
        [flag] if flag == "--if-possible" => {
            // The programs serve a page that says how to build this one.
            match Node::find() {
                None => eprintln!("xtask: the page is not built: that needs Node ≥ 20.19 with npm"),
                Some(node) => {
                    if let Err(error) = build(&node) {
                        eprintln!("xtask: the page is not built: {error:#}");
                    }
                }
            }
        }
        _ => bail!("`cargo xtask web` takes --if-possible and nothing else"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds the page, unless it is up to date.
pub(crate) fn build(node: &Node) -> Result<()> {
    let web = cargo::workspace().join("web");
    let built = changed(&web.join("dist/index.html"));
    let newest = SOURCES.iter().filter_map(|source| newest(&web.join(source))).max();
    if built.is_some() && built >= newest {
        return Ok(());
    }
    let modules = web.join("node_modules");
    let wanted = tools::read(&web.join("package-lock.json"))?;
    if !tools::is_installed(&modules, &wanted) {
        eprintln!("xtask: installing {}", web.join("package-lock.json").display());
        node.install_packages(&web)?;
        tools::mark_installed(&modules, &wanted)?;
    }
    eprintln!("xtask: building the page");
    let status = node.npm(&web)?.args(["run", "--silent", "build"]).stdout(std::io::stderr()).status();
    if !status.context("starting npm")?.success() {
        bail!("the page could not be built: see above");
    }
    Ok(())
}

/// When a file was last changed.
fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

/// When anything in a folder was last changed.
fn newest(path: &Path) -> Option<SystemTime> {
    let Ok(entries) = fs::read_dir(path) else { return changed(path) };
    entries.filter_map(|entry| newest(&entry.ok()?.path())).max()
}
