//! Reading graphs, and the commands that do nothing else.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use atomic_write_file::AtomicWriteFile;
use fbp::{Graph, Parsed};
use msgflo_coordinator::{Choice, Desired, Library, LibraryOrigin};

use crate::arguments::{Graph as Command, LibraryArguments};
use crate::located::{Problem, Problems};
use crate::outcome::{Failure, Outcome, Stop, print, print_json, write_out};

/// A graph with the text that it came from.
pub(crate) struct Loaded {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) parsed: Parsed,
}

/// How a graph is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Fbp,
    Json,
}

impl Format {
    pub(crate) fn of(path: &Path) -> Result<Self, Stop> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("fbp") => Ok(Self::Fbp),
            Some("json") => Ok(Self::Json),
            _ => Err(Stop::config(
                Failure::new(format!("{} is neither .fbp nor .json", path.display()))
                    .help("the extension says how the graph is written"),
            )),
        }
    }
}

impl Loaded {
    /// Reads a graph. With `as_written`, ports keep their case.
    pub(crate) fn read(path: &Path, as_written: bool) -> Result<Self, Stop> {
        let format = Format::of(path)?;
        let text = std::fs::read_to_string(path).map_err(|error| {
            Stop::config(Failure::new(format!("{} cannot be read: {error}", path.display())))
        })?;
        let parsed = match format {
            Format::Fbp => fbp::parse_with(&text, fbp::Options { case_sensitive: as_written }),
            Format::Json => fbp::parse_json(&text),
        };
        match parsed {
            Ok(parsed) => {
                let (errors, warnings): (Vec<_>, Vec<_>) =
                    parsed.warnings.iter().partition(|warning| warning.cause.is_contradiction());
                Problems::warn(path, &text, warnings.into_iter().map(problem));
                if !errors.is_empty() {
                    return Err(Stop::problems(Problems::errors(
                        path,
                        &text,
                        errors.into_iter().map(problem),
                    )));
                }
                Ok(Self { path: path.to_owned(), text, parsed })
            }
            Err(error) => {
                Err(Stop::problems(Problems::errors(path, &text, error.diagnostics().iter().map(problem))))
            }
        }
    }

    /// What the graph wants, with the commands of the library.
    pub(crate) fn desired(&self, library: &Library, choice: &Choice) -> Result<Desired, Stop> {
        let (desired, problems) = Desired::checked(&self.parsed.graph, library, choice);
        if problems.is_empty() {
            return Ok(desired);
        }
        Err(Stop::problems(Problems::errors(&self.path, &self.text, self.located(&problems))))
    }

    /// As [`desired`](Self::desired), of a graph that is saved as it is edited: a node that cannot be started is shown as such,
    /// as it was when it was saved, and hinders nothing else.
    pub(crate) fn desired_as_saved(&self, library: &Library, choice: &Choice) -> Result<Desired, Stop> {
        let (desired, problems) = Desired::checked(&self.parsed.graph, library, choice);
        let (of_nodes, others): (Vec<_>, Vec<_>) =
            problems.into_iter().partition(|problem| problem.node().is_some());
        if !others.is_empty() {
            return Err(Stop::problems(Problems::errors(&self.path, &self.text, self.located(&others))));
        }
        Problems::warn(&self.path, &self.text, self.located(&of_nodes));
        Ok(desired)
    }

    /// The problems with their places in the text.
    fn located(&self, problems: &[msgflo_coordinator::Problem]) -> Vec<Problem> {
        let located = |problem: &msgflo_coordinator::Problem| {
            let spans = &self.parsed.spans;
            let span = problem.node().and_then(|node| {
                let node = node.as_str();
                spans.component(node).or_else(|| spans.node(node).map(|spans| spans.name))
            });
            Problem {
                message: problem.to_string(),
                label: if span.is_some() { "this component".into() } else { "in this graph".into() },
                help: Some(problem.help()),
                range: span.map_or(0..0, |span| span.start..span.end),
            }
        };
        problems.iter().map(located).collect()
    }
}

fn problem(diagnostic: &fbp::Diagnostic) -> Problem {
    Problem {
        message: diagnostic.cause.to_string(),
        label: diagnostic.label().to_owned(),
        help: diagnostic.help.clone(),
        range: diagnostic.span.start..diagnostic.span.end,
    }
}

/// The component library for a graph: the file that was named, else the package.json beside the graph or here, else none; with
/// the components of the folder that was named, else of one that is there.
pub(crate) fn library(arguments: &LibraryArguments, graph: &Path) -> Result<Library, Stop> {
    let beside = graph.with_file_name("package.json");
    let candidates = [beside, PathBuf::from("package.json")];
    let file = arguments.library.clone().or_else(|| candidates.into_iter().find(|path| path.exists()));
    let folders = ["participants", "components"].map(|name| graph.with_file_name(name));
    let folder = arguments.componentdir.clone().or_else(|| folders.into_iter().find(|path| path.is_dir()));
    Library::open(LibraryOrigin { file, folder }).map_err(|error| {
        let failure = crate::outcome::because(&error);
        Stop::config(
            failure.help("it is JSON with `components: {name: command}`, at its top level or under `msgflo`"),
        )
    })
}

/// Which roles are ours to start.
pub(crate) fn choice(only: &[String], ignore: &[String]) -> Choice {
    let roles = |names: &[String]| names.iter().map(|name| name.as_str().into()).collect();
    Choice { only: roles(only), ignore: roles(ignore) }
}

pub(crate) fn graph(command: Command) -> Outcome {
    match command {
        Command::Show { graph, json } => show(&graph, json),
        Command::Validate { graph, library, json } => validate(&graph, &library, json),
        Command::Fmt { graph, check } => fmt(&graph, check),
        Command::Convert { graph, target, lossy } => convert(&graph, target.as_deref(), lossy),
        Command::Diff { before, after, json } => diff(&before, &after, json),
    }
}

fn show(path: &Path, json: bool) -> Outcome {
    let graph = Loaded::read(path, false)?.parsed.graph;
    if json {
        write_out(|out| out.write_all(fbp::to_json(&graph).as_bytes()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let width = graph.processes.keys().map(|name| name.as_str().len()).max().unwrap_or_default();
    write_out(|out| {
        for (name, process) in &graph.processes {
            writeln!(out, "{name:width$}  {}", process.component)?;
        }
        writeln!(out)?;
        graph.connections.iter().try_for_each(|connection| writeln!(out, "{connection}"))?;
        let exported = [("in", &graph.inports), ("out", &graph.outports)];
        for (direction, ports) in exported {
            for (public, port) in ports {
                writeln!(out, "{direction} {public} = {} {}", port.process, port.port)?;
            }
        }
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

fn validate(path: &Path, arguments: &LibraryArguments, json: bool) -> Outcome {
    match validated(path, arguments, json) {
        Err(stop) if json => {
            print_json(&serde_json::json!({"valid": false, "problems": stop.to_json()}))?;
            Ok(stop.status())
        }
        outcome => outcome,
    }
}

fn validated(path: &Path, arguments: &LibraryArguments, json: bool) -> Outcome {
    let loaded = Loaded::read(path, true)?;
    let library = library(arguments, path)?;
    let graph = &loaded.parsed.graph;
    let choice = match library.components().next() {
        // Nobody says what can be started: of the participants nothing is known.
        None if arguments.library.is_none() => {
            let nodes = graph.processes.iter();
            let roles = nodes.filter(|(_, node)| !msgflo_coordinator::is_binding(node.component.as_str()));
            Choice { ignore: roles.map(|(name, _)| name.as_str().into()).collect(), ..Choice::default() }
        }
        _ => choice(&[], &arguments.ignore),
    };
    loaded.desired(&library, &choice)?;
    let (nodes, connections) = (graph.processes.len(), graph.connections.len());
    if json {
        print_json(&serde_json::json!({"valid": true, "nodes": nodes, "connections": connections}))?;
    } else if nodes + connections == 0 {
        print(format!("{}: there is nothing in it", path.display()))?;
    } else {
        print(format!("{}: {nodes} nodes, {connections} connections, no problem", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn fmt(path: &Path, check: bool) -> Outcome {
    let loaded = Loaded::read(path, false)?;
    let text = match Format::of(path)? {
        Format::Fbp => fbp::print_with_comments(&loaded.parsed.graph, &loaded.parsed.comments).text,
        Format::Json => fbp::to_json(&loaded.parsed.graph),
    };
    if text == loaded.text {
        return Ok(ExitCode::SUCCESS);
    }
    if check {
        let failure = Failure::new(format!("{} is not in the usual form", path.display()));
        return Err(Stop::failed(failure.help(format!("rewrite it: msgflo graph fmt {}", path.display()))));
    }
    write_file(path, &text)?;
    Ok(ExitCode::SUCCESS)
}

fn convert(path: &Path, target: Option<&Path>, lossy: bool) -> Outcome {
    let loaded = Loaded::read(path, false)?;
    let format = match target {
        Some(target) => Format::of(target)?,
        None if Format::of(path)? == Format::Fbp => Format::Json,
        None => Format::Fbp,
    };
    let text = match format {
        Format::Json => fbp::to_json(&loaded.parsed.graph),
        Format::Fbp => printed(&loaded.parsed.graph, path, lossy)?,
    };
    match target {
        Some(target) => write_file(target, &text)?,
        None => write_out(|out| out.write_all(text.as_bytes()))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The graph as .fbp, unless something would be lost that nobody agreed to lose.
fn printed(graph: &Graph, path: &Path, lossy: bool) -> Result<String, Stop> {
    let printed = fbp::print(graph);
    if !printed.lost.is_empty() && !lossy {
        let lost: Vec<_> = printed.lost.iter().map(|loss| format!("  {loss}")).collect();
        let message = format!(".fbp cannot express all of {}:\n{}", path.display(), lost.join("\n"));
        return Err(Stop::failed(
            Failure::new(message).help("keep it as .json, or say --lossy to go on without"),
        ));
    }
    Ok(printed.text)
}

fn diff(before: &Path, after: &Path, json: bool) -> Outcome {
    let graphs = [Loaded::read(before, false)?.parsed.graph, Loaded::read(after, false)?.parsed.graph];
    let changes = fbp::diff(&graphs[0], &graphs[1]);
    if json {
        let shown: Vec<_> = changes.iter().map(ToString::to_string).collect();
        print_json(&shown)?;
    } else {
        write_out(|out| changes.iter().try_for_each(|change| writeln!(out, "{change}")))?;
    }
    Ok(if changes.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn write_file(path: &Path, text: &str) -> Result<(), Stop> {
    replace(path, text)
        .map_err(|error| Stop::failed(Failure::new(format!("{} cannot be written: {error}", path.display()))))
}

/// Replaces a file as a whole: after a crash there is the old one or the new one, with the permissions that it had. A link
/// stays one.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut file = AtomicWriteFile::open(path)?;
    file.write_all(text.as_bytes())?;
    file.commit()
}
