//! What can be said on the command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

/// A network of processes, described as a graph, connected in the broker.
#[derive(Debug, Parser)]
#[command(name = "msgflo", version, propagate_version = true, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  msgflo run service.fbp                             run a network, with a broker of its own
  msgflo run service.fbp --scale autoscale.guv.yaml  the same, and the number of workers follows the queues
  MSGFLO_BROKER=amqp://localhost msgflo run service.fbp --ignore web
  msgflo graph validate service.fbp
  msgflo status";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the network of a graph: start its participants, make its connections, keep both.
    Run(Box<Run>),
    /// Run the embedded broker alone; move definitions between it and RabbitMQ.
    Broker(crate::broker_serve::Broker),
    /// Make the connections of a graph in the broker, then leave.
    Setup(Setup),
    /// Look at, check, rewrite and compare graphs.
    #[command(subcommand)]
    Graph(Graph),
    /// Show what a running network is doing.
    Status(Status),
    /// List the participants that announce themselves.
    Participants(Participants),
    /// Put a message into a queue.
    Send(Send),
    /// Show messages of a queue.
    Dump(Dump),
    /// Follow messages as they flow, without taking them from anybody.
    Tail(crate::tail::Tail),
    /// Look at messages that workers have refused, and move or drop them.
    #[command(subcommand)]
    Dlq(crate::dlq::Dlq),
    /// Measure how long jobs take, by role, from what participants report.
    Jobstats(crate::jobstats::JobStats),
    /// Check that what a network needs is there.
    Doctor(crate::doctor::Doctor),
    /// Run suites of tests on a running network, or test whether a program is a participant.
    Test(Box<crate::test::Test>),
    /// Announce participants that cannot do so themselves.
    Register(Register),
    /// Write a Procfile with the participants of a graph.
    Procfile(Procfile),
    /// Write completions for a shell, to be sourced.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual page.
    Man,
    /// End what is left of us. Started by `run`.
    #[command(hide = true)]
    Guard,
}

/// Where the broker is.
#[derive(Debug, Args)]
pub(crate) struct BrokerArguments {
    /// The broker: amqp:, amqps:, mqtt: or mqtts: [default: $MSGFLO_BROKER, else $CLOUDAMQP_URL, else amqp://localhost].
    #[arg(long, value_name = "URL")]
    pub(crate) broker: Option<String>,
}

/// Where the brokers of a network are.
#[derive(Debug, Args)]
pub(crate) struct BrokersArguments {
    /// The broker: amqp:, amqps:, mqtt:, mqtts:, or one of our own: `embedded:[FOLDER][?port=N]` for AMQP,
    /// `embedded+mqtt:[FOLDER][?port=N]` for MQTT [default: $MSGFLO_BROKER, else $CLOUDAMQP_URL, else embedded]. Repeatable:
    /// participants may be on any of them.
    #[arg(long, value_name = "URL")]
    pub(crate) broker: Vec<String>,
}

/// Where components come from, and which are ours to start.
#[derive(Debug, Args)]
pub(crate) struct LibraryArguments {
    /// The component library [default: package.json beside the graph, else in this folder].
    #[arg(long, value_name = "FILE")]
    pub(crate) library: Option<PathBuf>,
    /// A folder of components: each file is one, run by the handler of its extension [default: `participants` or
    /// `components` beside the graph, where there is one].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) componentdir: Option<PathBuf>,
    /// Roles that somebody else starts; they are connected all the same. Comma-separated, repeatable.
    #[arg(long, value_name = "ROLES", value_delimiter = ',')]
    pub(crate) ignore: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  msgflo run service.fbp
  msgflo run service.fbp --scale autoscale.guv.yaml --state ./state
  msgflo run service.fbp --broker amqp://me:secret@rabbit:5672/team --only resize
  msgflo run service.fbp --broker amqp://localhost --broker mqtt://devices.example
  msgflo run service.fbp --auto-save --secret \"$SECRET\" --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem")]
pub(crate) struct Run {
    /// The graph, .fbp or .json. Without one, an editor makes it.
    #[arg(value_name = "GRAPH")]
    pub(crate) graph: Option<PathBuf>,
    #[arg(long = "graph", value_name = "GRAPH", hide = true, conflicts_with = "graph")]
    pub(crate) graph_flag: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) brokers: BrokersArguments,
    #[command(flatten)]
    pub(crate) library: LibraryArguments,
    /// Start these roles and no others. Comma-separated, repeatable.
    #[arg(long, value_name = "ROLES", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Let the number of workers follow the queues, as this configuration of guv says.
    #[arg(long, value_name = "FILE")]
    pub(crate) scale: Option<PathBuf>,
    /// What is forwarded of what participants write: stdout, stderr, none.
    #[arg(long, value_name = "STREAMS", value_delimiter = ',', default_value = "stdout,stderr")]
    pub(crate) forward: Vec<Stream>,
    #[command(flatten)]
    pub(crate) interface: crate::interface::InterfaceArguments,
    /// Write the URL of the interface to this file when it is up.
    #[arg(long, value_name = "FILE")]
    pub(crate) url_file: Option<PathBuf>,
    /// The name of the network [default: the graph's file name].
    #[arg(long, value_name = "NAME")]
    pub(crate) network: Option<String>,
    /// Where it is remembered which bindings are ours, for one network at a time [default: in the user's state folder,
    /// msgflo/NAME with --network NAME, else msgflo/graphs/ and the graph's whole path].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) state: Option<PathBuf>,
    /// Give up when the broker cannot be reached for this many seconds at the start.
    #[arg(long, value_name = "SECONDS", default_value_t = 45)]
    pub(crate) wait_timeout: u64,
}

/// One of the streams of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
    None,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  msgflo setup service.fbp                  by the convention that queues are called role.PORT
  msgflo setup service.fbp --discover       by what participants announce")]
pub(crate) struct Setup {
    /// The graph, .fbp or .json.
    pub(crate) graph: PathBuf,
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
    #[command(flatten)]
    pub(crate) library: LibraryArguments,
    /// Start the participants too, for as long as this runs: with --forever, until it is ended.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", default_value = "false", require_equals = true)]
    pub(crate) participants: bool,
    /// Start these roles and no others. Comma-separated, repeatable.
    #[arg(long, value_name = "ROLES", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Take the names of queues from what participants announce, not from the convention.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", default_value = "false", require_equals = true)]
    pub(crate) discover: bool,
    /// Give up waiting for participants after this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) timeout: u64,
    /// Do not leave.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", default_value = "false", require_equals = true)]
    pub(crate) forever: bool,
    /// What is forwarded of what participants write: stdout, stderr, none.
    #[arg(long, value_name = "STREAMS", value_delimiter = ',', default_value = "stderr")]
    pub(crate) forward: Vec<Stream>,
    /// Accepted for old scripts: commands that need a shell get one.
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true")]
    pub(crate) shell: Option<String>,
}

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  msgflo graph show service.fbp
  msgflo graph validate service.fbp --library package.json
  msgflo graph fmt service.fbp --check
  msgflo graph convert service.fbp service.json
  msgflo graph diff old.fbp new.json")]
pub(crate) enum Graph {
    /// Show the nodes and connections of a graph.
    Show {
        /// The graph, .fbp or .json.
        graph: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check a graph, and its components against a library where there is one.
    Validate {
        /// The graph, .fbp or .json.
        graph: PathBuf,
        #[command(flatten)]
        library: LibraryArguments,
        /// The result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Rewrite a graph in the usual form.
    Fmt {
        /// The graph, .fbp or .json.
        graph: PathBuf,
        /// Change nothing; exit with 1 if there is something to change.
        #[arg(long)]
        check: bool,
    },
    /// Rewrite a graph as .fbp or .json, by the extension of the target; to standard output without one.
    Convert {
        /// The graph, .fbp or .json.
        graph: PathBuf,
        /// The file to write.
        target: Option<PathBuf>,
        /// Go on although .fbp cannot express everything.
        #[arg(long)]
        lossy: bool,
    },
    /// Compare two graphs; exit with 1 if they differ.
    Diff {
        /// The graph before.
        before: PathBuf,
        /// The graph after.
        after: PathBuf,
        /// The changes as JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The HTTP interface of the running network.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3569")]
    pub(crate) url: String,
    /// A secret with the permission network:status, where one is needed.
    #[arg(long, value_name = "SECRET", env = "MSGFLO_SECRET", hide_env_values = true)]
    pub(crate) secret: Option<String>,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Participants {
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
    /// Listen for this many seconds. A participant announces itself about every 27 seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) wait: u64,
    /// As one JSON object a line, as they are heard.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  msgflo send --queue resize.IN --json '{\"input\": \"cat.jpg\"}'
  cat cat.jpg | msgflo send --queue resize.IN")]
pub(crate) struct Send {
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
    /// The queue.
    #[arg(long, value_name = "QUEUE")]
    pub(crate) queue: String,
    /// The message, as JSON. Without it, standard input is sent as it is.
    #[arg(long, value_name = "TEXT")]
    pub(crate) json: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  msgflo dump --queue dead-resize.IN --amount 5
  msgflo dump --queue dead-resize.IN --json --take > parked.ndjson")]
pub(crate) struct Dump {
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
    /// The queue.
    #[arg(long, value_name = "QUEUE")]
    pub(crate) queue: String,
    /// How many messages at most.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) amount: u16,
    /// Remove them from the queue. Otherwise they go back to their places.
    #[arg(long)]
    pub(crate) take: bool,
    /// With headers, as one JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
    /// Stop when no message comes for this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    pub(crate) idle: f64,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  msgflo register --role thermometer:sensor.yml
  msgflo register --role a:sensor.yml --role b:sensor.yml --forever")]
pub(crate) struct Register {
    #[command(flatten)]
    pub(crate) broker: BrokerArguments,
    /// A role and the file that describes it.
    #[arg(long, value_name = "ROLE:FILE", required = true)]
    pub(crate) role: Vec<String>,
    /// Make the queues of inports that are not there yet: for a role that nobody plays, and whose messages wait.
    #[arg(long)]
    pub(crate) create_queues: bool,
    /// Seconds between announcements.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) interval: u64,
    /// Go on announcing until stopped.
    #[arg(long)]
    pub(crate) forever: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Procfile {
    /// The graph, .fbp or .json.
    pub(crate) graph: PathBuf,
    #[command(flatten)]
    pub(crate) library: LibraryArguments,
    /// A line to add, as it is. Repeatable.
    #[arg(long, value_name = "LINE")]
    pub(crate) include: Vec<String>,
    /// Accepted for old scripts: the same as --library.
    #[arg(long, hide = true)]
    pub(crate) components: Option<PathBuf>,
}

/// The commands under their old names, and the command that each is now.
const OLD_NAMES: [(&str, &str); 7] = [
    ("msgflo-setup", "setup"),
    ("msgflo-procfile", "procfile"),
    ("msgflo-send-message", "send"),
    ("msgflo-dump-message", "dump"),
    ("msgflo-register", "register"),
    ("msgflo-register-foreign", "register"),
    ("msgflo-participants", "participants"),
];

/// Arguments in today's form. The program may be called by an old name, and `msgflo --graph FILE`, or any other option
/// without a command, means `msgflo run`.
pub(crate) fn modern(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let name = arguments.first().map(Path::new).and_then(Path::file_name).unwrap_or_default().to_owned();
    if let Some((old, command)) = OLD_NAMES.iter().find(|(old, _)| name == *old) {
        if *old == "msgflo-register-foreign" {
            join_role_and_file(&mut arguments);
        }
        arguments.insert(1, command.into());
    } else if arguments.get(1).is_some_and(|first| {
        first.to_string_lossy().starts_with("--") && first != "--help" && first != "--version"
    }) {
        arguments.insert(1, "run".into());
    }
    arguments
}

/// `FILE --role ROLE` becomes `--role ROLE:FILE`.
fn join_role_and_file(arguments: &mut Vec<OsString>) {
    let Some(flag) = arguments.iter().position(|argument| argument == "--role") else { return };
    let after_flag = |index: usize| index > 0 && arguments[index - 1].to_string_lossy().starts_with("--");
    let file = (1..arguments.len())
        .find(|&index| !arguments[index].to_string_lossy().starts_with("--") && !after_flag(index));
    let (Some(file), true) = (file, flag + 1 < arguments.len()) else { return };
    let path = arguments[file].clone();
    arguments[flag + 1].push(":");
    arguments[flag + 1].push(path);
    arguments.remove(file);
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn modern_text(text: &str) -> String {
        let words = modern(text.split_whitespace().map(OsString::from));
        words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_definitions_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn old_names_and_flags_are_understood() {
        for (old, new) in [
            ("/bin/msgflo-setup a.fbp --discover", "/bin/msgflo-setup setup a.fbp --discover"),
            ("msgflo-send-message --queue q", "msgflo-send-message send --queue q"),
            ("msgflo-register-foreign s.yml --role a", "msgflo-register-foreign register --role a:s.yml"),
            ("msgflo --graph a.fbp --broker x", "msgflo run --graph a.fbp --broker x"),
            ("msgflo --port 3569 --auto-save=true", "msgflo run --port 3569 --auto-save=true"),
            ("msgflo run a.fbp", "msgflo run a.fbp"),
            ("msgflo --help", "msgflo --help"),
        ] {
            assert_eq!(modern_text(old), new);
            if !old.ends_with("--help") {
                Arguments::try_parse_from(modern(old.split_whitespace().map(OsString::from))).unwrap();
            }
        }
    }
}
