//! The project's own chores: test servers, peers to test against, and the runs that need them.
//!
//! `cargo xtask help` lists them. A chore installs what it may (packages of the distribution as root, packages of npm
//! and PyPI into `.tools/`), starts its own servers on free ports of the loopback interface, and ends everything that it
//! started however it ends itself (see [`guard`]). What it may not install it names, and fails.

mod bench;
mod cargo;
mod deny;
mod guard;
mod lapin;
mod packages;
mod ports;
mod postgres;
mod rabbitmq;
mod redis;
mod server;
mod servers;
mod tests;
mod tools;
mod web;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::guard::Guard;
use crate::tools::Tools;

const HELP: &str = "\
cargo xtask test [ARGUMENTS]    run every test, with the servers and peers it needs; ARGUMENTS as for `cargo test`,
                                without any the documentation's examples are tested too
cargo xtask with COMMAND…       run COMMAND with the test servers' URLs in its environment
cargo xtask rabbitmq            start a RabbitMQ of its own, print its URLs, stop it at Ctrl-C
cargo xtask bench [ARGUMENTS]   run the benchmarks, side by side with the peers
cargo xtask web [--if-possible] build the page that the programs serve; with --if-possible only where Node and npm are there
cargo xtask tools               install what the tests need, and nothing else
cargo xtask deny                check the dependencies' licences and sources
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<ExitCode> {
    let Some((chore, arguments)) = arguments.split_first() else {
        print!("{HELP}");
        return Ok(ExitCode::from(2));
    };
    if chore == guard::CHORE {
        return Ok(guard::stand());
    }
    let guard = Guard::start()?;
    match chore.as_str() {
        "test" => tests::run(&guard, arguments),
        "with" => servers::run_with(&guard, arguments),
        "rabbitmq" => servers::run_rabbitmq(&guard),
        "bench" => bench::run(&guard, arguments),
        "web" => web::run(arguments),
        "tools" => Tools::install().map(|_| ExitCode::SUCCESS),
        "deny" => deny::run(&guard),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        unknown => bail!("there is no chore `{unknown}`; `cargo xtask help` lists them"),
    }
}
