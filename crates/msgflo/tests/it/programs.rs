//! A program made of participants: its command line, its exit status, its signals.

use std::process::{Command, ExitStatus, Output, Stdio};

use msgflo::core::{BrokerOptions, BrokerUrl, Message, Transport};
use msgflo_transports::Amqp;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};

/// The program of `examples/repeat.rs`.
fn repeat() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_msgflo-repeat"));
    command.env_clear().stdin(Stdio::null());
    command
}

fn output(command: &mut Command) -> (Output, String) {
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, said)
}

#[test]
fn help_is_data() {
    let (output, said) = output(repeat().arg("--help"));
    assert_eq!((output.status.code(), said.as_str()), (Some(0), ""));
    let help = String::from_utf8(output.stdout).expect("text");
    for part in ["core/Repeat: Sends what it gets [role: Repeat]", "--broker", "--role", "Examples:", "130"] {
        assert!(help.contains(part), "no `{part}` in {help}");
    }
}

#[test]
fn wrong_usage_and_wrong_configuration_have_their_own_status() {
    for (arguments, status, part) in [
        (&["--rolle", "x"][..], 2, "--role"),
        (&["--grace=-1"], 2, "--grace"),
        (&["--role", "other=x"], 78, "one of Repeat"),
        (&["--broker", "gopher://me:secret@localhost"], 78, "amqp"),
        (&["--broker", "no URL"], 78, "amqp://user:password@host"),
    ] {
        let (output, said) = output(repeat().args(arguments));
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
        assert!(!said.contains("secret"), "{said}");
        assert!(output.stdout.is_empty(), "stdout is for data");
    }
}

/// A broker, and a running program at it.
struct Run {
    server: msgflo_broker::Handle,
    child: tokio::process::Child,
}

impl Run {
    async fn start() -> Self {
        let options = msgflo_broker::Options { listen: ([127, 0, 0, 1], 0).into(), ..Default::default() };
        let server = msgflo_broker::Server::start(options).await.expect("a broker");
        let mut command = tokio::process::Command::from(repeat());
        command.env("MSGFLO_BROKER", server.url()).args(["--role", "repeat"]);
        let child = command.kill_on_drop(true).spawn().expect("it runs");
        let mut queue = server.watch_depth("repeat.IN");
        while queue.depth().is_none_or(|depth| depth.consumers == 0) {
            assert!(queue.changed().await, "the broker runs");
        }
        Self { server, child }
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        kill_process(id.expect("it runs"), signal).expect("a signal");
    }

    async fn end(mut self) -> ExitStatus {
        self.child.wait().await.expect("its status")
    }
}

#[tokio::test]
async fn it_works_until_it_is_told_to_leave() {
    let run = Run::start().await;
    let url: BrokerUrl = run.server.url().parse().expect("a URL");
    let broker = Amqp.broker(&url, BrokerOptions::default()).await.expect("a connection");
    let mut results = broker.tap(&"repeat.OUT".into(), 10).await.expect("a tap");
    broker.send_to_queue(&"repeat.IN".into(), Message::new("hello")).await.expect("it is taken");
    let result = futures_util::StreamExt::next(&mut results).await.expect("a result");
    assert_eq!(result.message.payload, "hello");
    result.ack();
    run.signal(Signal::TERM);
    assert_eq!(run.end().await.code(), Some(0));
}

#[tokio::test]
async fn an_interrupted_program_says_so() {
    let run = Run::start().await;
    run.signal(Signal::INT);
    assert_eq!(run.end().await.code(), Some(130));
}

#[tokio::test]
async fn it_waits_for_a_broker_that_is_away_and_can_be_told_to_leave_meanwhile() {
    // Bound, so that nobody else takes the port, and not listening: connections are refused.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let url = format!("amqp://{}", socket.local_addr().expect("an address"));
    let mut command = tokio::process::Command::from(repeat());
    command.args(["--broker", &url]).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("it runs");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let line = lines.next_line().await.expect("a line").expect("a line");
    assert!(line.contains("cannot connect; trying again") && line.contains(&url), "{line}");
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw).expect("it runs");
    kill_process(id, Signal::TERM).expect("a signal");
    assert_eq!(child.wait().await.expect("its status").code(), Some(0));
}

#[test]
fn refused_credentials_end_it() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let options = msgflo_broker::Options { listen: ([127, 0, 0, 1], 0).into(), ..Default::default() };
    let server = runtime.block_on(msgflo_broker::Server::start(options)).expect("a broker");
    let url = server.url().replace("amqp://", "amqp://guest:wrong@");
    let (output, said) = output(repeat().args(["--broker", &url]));
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("refuses the credentials") && !said.contains("wrong@"), "{said}");
}
