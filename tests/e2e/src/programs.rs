//! Our own programs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

/// The programs and examples of the workspace, as they are now.
#[derive(Clone, Debug)]
pub struct Programs(BTreeMap<String, PathBuf>);

impl Programs {
    /// Builds them, unless they are up to date.
    ///
    /// What is built is just what the test runner builds: a program that has integration tests and every example. So
    /// nothing is compiled twice, and nothing stale is tested.
    ///
    /// # Panics
    /// When they cannot be built.
    pub fn build() -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        // What the test runner says of this package would have build scripts run again, and all that depends on them be
        // compiled again: now, and once more when the tests are run the next time.
        for (name, _) in std::env::vars_os() {
            let of_package =
                |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
            if name.to_str().is_some_and(of_package) {
                command.env_remove(name);
            }
        }
        let built = command
            .args(["test", "--workspace", "--no-run", "--quiet", "--message-format=json-render-diagnostics"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo starts");
        assert!(built.status.success(), "the workspace is built: {}", built.status);
        let messages = String::from_utf8(built.stdout).expect("cargo's messages are text");
        let programs = messages.lines().filter_map(|line| {
            let message: Value = serde_json::from_str(line).ok()?;
            let is_test = message["profile"]["test"].as_bool()?;
            let name = message["target"]["name"].as_str()?;
            let executable = message["executable"].as_str()?;
            (!is_test).then(|| (name.to_owned(), executable.into()))
        });
        Self(programs.collect())
    }

    /// The program or example of that name.
    ///
    /// # Panics
    /// When there is none.
    pub fn path(&self, name: &str) -> &PathBuf {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("`{name}` is none of the programs built: {:?}", self.0.keys()))
    }
}
