//! Participants and clients that others have written.

use std::path::PathBuf;
use std::process::Command;

/// Where the peers are installed.
#[derive(Clone, Debug)]
pub struct Peers {
    /// The Node that runs npm's packages.
    pub node: PathBuf,
    /// npm's packages.
    pub node_modules: PathBuf,
    /// The Python that has PyPI's packages.
    pub python: PathBuf,
}

impl Peers {
    /// The peers that the test runner has installed.
    ///
    /// # Panics
    /// When it has not.
    pub fn installed() -> Self {
        let path = |variable| PathBuf::from(crate::told(variable));
        Self {
            node: path("MSGFLO_E2E_NODE"),
            node_modules: path("MSGFLO_E2E_NODE_MODULES"),
            python: path("MSGFLO_E2E_PYTHON"),
        }
    }

    /// The command line of the unmodified `msgflo-nodejs` example that sends what it gets.
    pub fn node_participant(&self) -> String {
        let package = self.node_modules.join("msgflo-nodejs");
        format!(
            "NODE_PATH={} {} {} --name #ROLE {}",
            self.node_modules.display(),
            self.node.display(),
            package.join("bin/msgflo-nodejs").display(),
            package.join("examples/Repeat.coffee").display(),
        )
    }

    /// Runs a script of Node that finds npm's packages from the folder that it is run in.
    pub fn node_script(&self, script: &str) -> Command {
        let mut command = Command::new(&self.node);
        command.arg(script).current_dir(&self.node_modules);
        command
    }

    /// Runs the integration tests that come with the source of py-amqp.
    ///
    /// # Panics
    /// When the test runner has not unpacked it.
    pub fn py_amqp_suite(&self) -> Command {
        let mut command = Command::new(&self.python);
        command
            .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore"])
            .args(["-c", "setup.cfg", "-o", "python_classes=test_*", "-k", "not tls", "t/integration"])
            .current_dir(crate::told("MSGFLO_E2E_PY_AMQP"));
        command
    }

    /// The tests that come with the package of lapin, a program each. They go to `AMQP_ADDR`.
    ///
    /// # Panics
    /// When the test runner has not built them.
    pub fn lapin_suite(&self) -> Vec<Command> {
        std::env::split_paths(&crate::told("MSGFLO_E2E_LAPIN")).map(Command::new).collect()
    }

    /// Runs a script of Python that finds PyPI's packages.
    pub fn python_script(&self, script: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(script);
        command
    }
}
