//! The program as people call it.

mod broker;
mod graphs;
mod usage;

use std::path::Path;
use std::process::{Command, Output};

/// What a call wrote, and how it ended.
struct Call {
    folder: tempfile::TempDir,
}

impl Call {
    /// A folder with these files.
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("a file is written");
        }
        Self { folder }
    }

    /// Calls `msgflo` in the folder: exit status, standard output, standard error.
    fn msgflo(&self, arguments: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_msgflo"))
            .args(arguments)
            .current_dir(self.path())
            .env("NO_COLOR", "1")
            .env_remove("MSGFLO_BROKER")
            .env_remove("CLOUDAMQP_URL")
            .output()
            .expect("msgflo starts");
        let text = |bytes| String::from_utf8(bytes).expect("it writes text");
        (status.code().expect("it ends by itself"), text(stdout), text(stderr))
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}
