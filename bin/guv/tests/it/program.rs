//! Calling the program in a folder of its own, with nothing of our environment.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder to call the program in.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().expect("a temporary folder") }
    }

    /// A place with a configuration, `autoscale.guv.yaml`.
    pub(crate) fn with(config: &str) -> Self {
        let place = Self::new();
        std::fs::write(place.path().join("autoscale.guv.yaml"), config).expect("the folder is writable");
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_guv"));
        command.args(arguments).current_dir(self.path()).env_clear();
        command
    }

    pub(crate) fn call(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("it can be started")
    }
}

/// Exit status and both streams, for a snapshot.
pub(crate) fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it is UTF-8");
    let status = output.status.code().expect("it was not killed");
    format!("status {status}\n--- stdout\n{}--- stderr\n{}", text(&output.stdout), text(&output.stderr))
}
