//! `msgflo procfile`: the participants of a graph as a Procfile.

use std::process::ExitCode;

use crate::arguments::Procfile;
use crate::graphs::{self, Loaded};
use crate::outcome::{Outcome, write_out};

pub(crate) fn procfile(arguments: &Procfile) -> Outcome {
    let loaded = Loaded::read(&arguments.graph, true)?;
    let library = match &arguments.components {
        Some(path) => graphs::library(
            &crate::arguments::LibraryArguments {
                library: Some(path.clone()),
                componentdir: None,
                ignore: vec![],
            },
            &arguments.graph,
        )?,
        None => graphs::library(&arguments.library, &arguments.graph)?,
    };
    let desired = loaded.desired(&library, &graphs::choice(&[], &arguments.library.ignore))?;
    write_out(|out| {
        for (name, unit) in &desired.units {
            writeln!(out, "{name}: {}", unit.command)?;
        }
        arguments.include.iter().try_for_each(|line| writeln!(out, "{line}"))
    })?;
    Ok(ExitCode::SUCCESS)
}
