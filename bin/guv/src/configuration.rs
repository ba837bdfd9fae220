//! Finding the configuration, reading it, and showing what is wrong with it.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use guv::Environment;
use guv::config::Loaded;
use guv::model::{Diagnostic, Severity};
use miette::{LabeledSpan, NamedSource, SourceCode};

use crate::arguments::ConfigArguments;
use crate::outcome::{Failure, Stop};

/// The variable that holds the configuration, or names its file.
const VARIABLE: &str = "GUV_CONFIG";

/// The text of a configuration, and what it is called.
pub(crate) struct Text {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl ConfigArguments {
    /// Finds and reads the text.
    pub(crate) fn read(&self) -> Result<Text, Stop> {
        if let Some(file) = self.file.as_ref().or(self.file_flag.as_ref()) {
            return read_file(file);
        }
        if let Some(either) = &self.config {
            return read_either(either, "--config");
        }
        match std::env::var(VARIABLE) {
            Ok(either) if !either.is_empty() => read_either(&either, VARIABLE),
            _ => Err(Stop::config(Failure::new(
                "no configuration is given",
                "name its file, as in `guv validate autoscale.guv.yaml`, or set GUV_CONFIG",
            ))),
        }
    }

    /// The file that it is read from, where it is one that can change.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        let named = self.file.clone().or_else(|| self.file_flag.clone()).or_else(|| self.config.clone());
        let named = named.or_else(|| std::env::var(VARIABLE).ok())?;
        Some(PathBuf::from(named)).filter(|path| path.is_file())
    }

    /// Reads the configuration to run it. What is to be said about it all the same is said on standard error.
    ///
    /// Whatever is said is said without the lines of the file: they may hold passwords, and this may go to a log.
    pub(crate) fn load(&self) -> Result<Loaded, Stop> {
        let Text { name, text } = self.read()?;
        let loaded = guv::config::load(&name, &text, &environment()?, &self.allow_key).map_err(|error| {
            Stop::config(Failure::new(
                error.to_string(),
                "`guv validate` shows each at its place in the file",
            ))
        })?;
        for remark in &loaded.remarks {
            eprintln!("{name}:{remark}");
        }
        Ok(loaded)
    }
}

/// What the environment gives where the file is silent.
pub(crate) fn environment() -> Result<Environment, Stop> {
    // A variable that is not text cannot be one of ours.
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Environment::from_variables(variables)
        .map_err(|error| Stop::config(Failure::new(error.to_string(), "correct the variable, or unset it")))
}

fn read_file(file: &str) -> Result<Text, Stop> {
    let (name, text) = if file == "-" {
        let mut text = String::new();
        ("<stdin>", std::io::stdin().read_to_string(&mut text).map(|_| text))
    } else {
        (file, std::fs::read_to_string(file))
    };
    match text {
        Ok(text) => Ok(Text { name: name.to_owned(), text }),
        Err(error) => Err(Stop::config(Failure::new(
            format!("{name} cannot be read: {error}"),
            "check the name; it must be a text file with the configuration",
        ))),
    }
}

/// A file if there is one of that name, else the text itself.
fn read_either(either: &str, origin: &str) -> Result<Text, Stop> {
    let could_be_text = either.trim().is_empty() || either.contains([':', '{', '\n']);
    if Path::new(either).is_file() || !could_be_text {
        return read_file(either);
    }
    Ok(Text { name: format!("<{origin}>"), text: either.to_owned() })
}

/// All that is wrong with a configuration, shown at its places.
#[derive(Debug)]
pub(crate) struct Report {
    file: String,
    shown: Vec<Shown>,
}

impl Report {
    pub(crate) fn new(file: &str, text: &str, diagnostics: &[Diagnostic]) -> Self {
        let show = |diagnostic: &Diagnostic| Shown {
            diagnostic: diagnostic.clone(),
            source: NamedSource::new(file, text.to_owned()),
        };
        Self { file: file.to_owned(), shown: diagnostics.iter().map(show).collect() }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors = self.shown.iter().filter(|s| s.diagnostic.severity != Severity::Warning).count();
        match errors {
            0 => write!(f, "{} can be used", self.file),
            1 => write!(f, "{} has an error", self.file),
            n => write!(f, "{} has {n} errors", self.file),
        }
    }
}

impl std::error::Error for Report {}

impl miette::Diagnostic for Report {
    fn severity(&self) -> Option<miette::Severity> {
        let warnings_only = self.shown.iter().all(|s| s.diagnostic.severity == Severity::Warning);
        warnings_only.then_some(miette::Severity::Warning)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        Some(Box::new(self.shown.iter().map(|shown| shown as &dyn miette::Diagnostic)))
    }
}

#[derive(Debug)]
struct Shown {
    diagnostic: Diagnostic,
    source: NamedSource<String>,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.diagnostic.message)
    }
}

impl std::error::Error for Shown {}

impl miette::Diagnostic for Shown {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Warning => miette::Severity::Warning,
            Severity::Error | Severity::OutOfReach => miette::Severity::Error,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.diagnostic.help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = Some(self.diagnostic.label.clone());
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(label, self.diagnostic.place.range()))))
    }
}
