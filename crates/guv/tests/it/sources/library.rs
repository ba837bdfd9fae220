//! An application that uses a queue library, in its own language; it is told what to do line by line.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::{PATIENCE, variable};

/// A running application; it ends with this.
pub(crate) struct Library {
    _child: Child,
    steps: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Library {
    /// Starts `crates/guv/tests/peers/SCRIPT ARGUMENTS`.
    pub(crate) fn start(script: &str, arguments: &[&str]) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script);
        let interpreter = match path.extension().and_then(|extension| extension.to_str()) {
            Some("cjs") => PathBuf::from(variable("GUV_TEST_NODE")),
            Some("py") => PathBuf::from(variable("GUV_TEST_PYTHON")),
            Some("rb") => PathBuf::from("ruby"),
            _ => panic!("nobody runs {script}"),
        };
        let mut command = Command::new(interpreter);
        command.arg(path).args(arguments).kill_on_drop(true).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        if let Ok(modules) = std::env::var("GUV_TEST_NODE_MODULES") {
            command.env("NODE_PATH", modules);
        }
        let mut child = command.spawn().expect("the interpreter is installed");
        let steps = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        Self { _child: child, steps, answers }
    }

    /// Has a step done.
    pub(crate) async fn run(&mut self, step: &str) {
        self.steps.write_all(format!("{step}\n").as_bytes()).await.expect("it runs");
        let answer = timeout(PATIENCE, self.answers.next_line()).await;
        let answer = answer.unwrap_or_else(|_| panic!("`{step}` takes too long"));
        assert_eq!(answer.expect("it can be read").as_deref(), Some("done"), "`{step}`");
    }
}
