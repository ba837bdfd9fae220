//! `guv run`: the whole of it, from a queue in a real RabbitMQ to a change of a Heroku app.
//!
//! `RABBITMQ_URL` and `RABBITMQ_MANAGEMENT_URL` tell where RabbitMQ is; `make test` starts one and sets both.

use std::process::{Output, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;
use url::Url;
use wiremock::matchers::{body_json, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::program::{Place, told};

/// For what has to happen, but not at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!(
            "{name} is not set: this test needs a RabbitMQ with its management plugin; run it by `make test`"
        )
    })
}

/// Waits until RabbitMQ's statistics, which come some seconds late, tell of all the messages in a queue.
async fn told_of(queue: &str, messages: usize) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut url: Url = variable("RABBITMQ_MANAGEMENT_URL").parse().unwrap();
    url.path_segments_mut().unwrap().pop_if_empty().extend(["api", "queues", "/", queue]);
    url.set_query(Some("columns=messages_ready"));
    let told = async {
        loop {
            let answer: Value = reqwest::get(url.clone()).await.unwrap().json().await.unwrap();
            // Of a young queue nothing is told at all.
            if answer["messages_ready"].as_u64().unwrap_or_default() == messages as u64 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, told).await.expect("RabbitMQ tells of all messages");
}

/// A queue in RabbitMQ, an app at a double of Heroku, and a folder with the configuration of one role for both.
pub(crate) struct Scene {
    pub(crate) place: Place,
    /// Its end is the end of the queue.
    _connection: Connection,
    heroku: MockServer,
}

impl Scene {
    pub(crate) async fn set(name: &str, messages: usize) -> Self {
        let connection =
            Connection::connect(&variable("RABBITMQ_URL"), ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let queue = format!("guv-run/{name} {}", std::process::id());
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(queue.as_str().into(), options, FieldTable::default()).await.unwrap();
        for _ in 0..messages {
            let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
            let queue = queue.as_str().into();
            channel
                .basic_publish("".into(), queue, options, b"job", properties)
                .await
                .unwrap()
                .await
                .unwrap();
        }
        told_of(&queue, messages).await;
        let text =
            format!("'*': {{pollinterval: 0.2, app: my-app}}\nresize: {{queue: '{queue}', max: 25}}\n");
        let heroku = MockServer::start().await;
        let formation = json!([{"type": "resize", "quantity": 1}]);
        Mock::given(method("GET"))
            .and(path("/apps/my-app/formation"))
            .respond_with(ResponseTemplate::new(200).set_body_json(formation))
            .mount(&heroku)
            .await;
        Self { place: Place::with(&text), _connection: connection, heroku }
    }

    /// Heroku accepts exactly this change.
    pub(crate) async fn accept(&self, quantity: u32) {
        let body = json!({"updates": [{"type": "resize", "quantity": quantity}]});
        Mock::given(method("PATCH"))
            .and(path("/apps/my-app/formation"))
            .and(body_json(body))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!([])))
            .mount(&self.heroku)
            .await;
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let arguments = [&["run", "autoscale.guv.yaml"], arguments].concat();
        let mut command = Command::from(self.place.command(&arguments));
        command
            .env("GUV_BROKER", variable("RABBITMQ_URL"))
            .env("RABBITMQ_MANAGEMENT_URL", variable("RABBITMQ_MANAGEMENT_URL"))
            .env("HEROKU_API_URL", format!("{}/", self.heroku.uri()))
            .env("HEROKU_API_KEY", "hunter2")
            .kill_on_drop(true);
        command
    }

    async fn call(&self, arguments: &[&str]) -> Output {
        timeout(PATIENCE, self.command(arguments).output()).await.expect("it ends").unwrap()
    }

    /// The changes that Heroku was asked for.
    async fn patches(&self) -> usize {
        let requests = self.heroku.received_requests().await.unwrap_or_default();
        requests.iter().filter(|request| request.method.as_str() == "PATCH").count()
    }
}

/// The decisions that a program writes to its standard output.
pub(crate) struct Decisions(Lines<BufReader<ChildStdout>>);

impl Decisions {
    /// Those of a program that has just been started.
    pub(crate) fn of(child: &mut Child) -> Self {
        Self(BufReader::new(child.stdout.take().expect("it is piped")).lines())
    }

    /// The next one that is as wanted; those before it are passed over.
    pub(crate) async fn next(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let read = async {
            while let Some(line) = self.0.next_line().await.unwrap() {
                let record: Value = serde_json::from_str(&line).expect("a line of JSON");
                if wanted(&record) {
                    return record;
                }
            }
            panic!("it has ended")
        };
        timeout(PATIENCE, read).await.expect("such a decision")
    }
}

#[cfg(unix)]
pub(crate) fn signal(child: &Child, signal: &str) {
    let id = child.id().expect("it runs").to_string();
    assert!(std::process::Command::new("kill").args([signal, &id]).status().unwrap().success());
}

#[tokio::test]
async fn messages_in_rabbitmq_become_dynos_at_heroku() {
    let scene = Scene::set("change", 1000).await;
    scene.accept(25).await;
    let mut child = scene.command(&["--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut decisions = Decisions::of(&mut child);
    // RabbitMQ counts what has been published a little later.
    let record = decisions.next(|record| record["outcome"]["kind"] == "applied").await;
    assert_eq!(record["outcome"]["workers"], 25);
    assert_eq!(record["decision"]["inputs"]["observation"]["workers"]["current"], 1);
    assert!(!record.to_string().contains("hunter2"));

    // A service is stopped by SIGTERM, and that is no failure.
    signal(&child, "-TERM");
    assert_eq!(timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap().code(), Some(0));
    assert!(scene.patches().await >= 1);
}

#[tokio::test]
async fn killed_in_the_middle_of_a_change_it_neither_repeats_nor_undoes_it() {
    let scene = Scene::set("killed", 1000).await;
    // The platform takes the change, and answers too late.
    let answer = ResponseTemplate::new(200).set_body_json(json!([])).set_delay(PATIENCE);
    Mock::given(method("PATCH")).respond_with(answer).mount(&scene.heroku).await;
    let mut child = scene.command(&["--no-history"]).spawn().unwrap();
    let taken = async {
        while scene.patches().await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, taken).await.expect("a change");
    child.kill().await.unwrap();

    scene.heroku.reset().await;
    let formation = json!([{"type": "resize", "quantity": 25}]);
    let answer = ResponseTemplate::new(200).set_body_json(formation);
    Mock::given(method("GET")).respond_with(answer).mount(&scene.heroku).await;
    let mut child = scene.command(&["--json", "--no-history"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut decisions = Decisions::of(&mut child);
    let record = decisions.next(|record| record["cycle"] == 3).await;
    assert_eq!(record["outcome"]["kind"], "unchanged", "{record}");
    assert_eq!(scene.patches().await, 0);
    signal(&child, "-TERM");
    assert_eq!(timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_change_of_the_file_takes_effect_without_a_signal() {
    let scene = Scene::set("changed", 1000).await;
    let mut child = scene.command(&["--json", "--dry-run"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut decisions = Decisions::of(&mut child);
    decisions.next(|record| record["outcome"]["workers"] == 25).await;
    let file = scene.place.path().join("autoscale.guv.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    // As an editor does it: a new file in the place of the old one.
    std::fs::write(file.with_extension("new"), text.replace("max: 25", "max: 7")).unwrap();
    std::fs::rename(file.with_extension("new"), &file).unwrap();
    decisions.next(|record| record["outcome"]["workers"] == 7).await;
    signal(&child, "-TERM");
    assert_eq!(timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap().code(), Some(0));
}

#[tokio::test]
async fn of_two_with_one_lock_one_governs() {
    let scene = Scene::set("lock", 1000).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let flags = ["--json", "--dry-run", "--lock", "guv.lock", "--listen", &address];
    let mut first = scene.command(&flags[..4]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first_decisions = Decisions::of(&mut first);
    first_decisions.next(|record| record["outcome"]["workers"] == 25).await;
    let mut command = scene.command(&flags);
    let mut second = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut second_decisions = Decisions::of(&mut second);
    let mut said = BufReader::new(second.stderr.take().expect("it is piped")).lines();
    let waiting = async {
        while let Some(line) = said.next_line().await.unwrap() {
            if line.contains("another guv governs") {
                return;
            }
        }
        panic!("it has ended")
    };
    timeout(PATIENCE, waiting).await.expect("it says so");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let state = async |wanted: &str| {
        let asked = async {
            loop {
                let answer = client.get(format!("http://{address}/healthz")).send().await;
                if let Ok(answer) = answer
                    && answer.text().await.is_ok_and(|state| state == wanted)
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, asked).await.expect("it tells its state");
    };
    state("standby\n").await;
    // However the first one ends.
    first.kill().await.unwrap();
    second_decisions.next(|record| record["outcome"]["workers"] == 25).await;
    state("ok\n").await;
    signal(&second, "-TERM");
    assert_eq!(timeout(PATIENCE, second.wait()).await.expect("it ends").unwrap().code(), Some(0));
}

const COMMAND: &str = "work: {max: 25, source: {kind: command, command: 'echo 1000'}}";

/// One that waits for a lock while its configuration becomes another one. Then the lock is free.
async fn take_over(place: &Place, now: &str) -> Child {
    let lock = std::fs::File::create(place.path().join("guv.lock")).unwrap();
    lock.lock().unwrap();
    let flags = ["run", "autoscale.guv.yaml", "--json", "--dry-run", "--lock", "guv.lock"];
    let mut command = Command::from(place.command(&flags));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let stderr = child.stderr.as_mut().expect("it is piped");
    let waiting = async {
        let mut said = Vec::new();
        while !String::from_utf8_lossy(&said).contains("another guv governs") {
            said.push(stderr.read_u8().await.expect("it waits"));
        }
    };
    timeout(PATIENCE, waiting).await.expect("it says so");
    std::fs::write(place.path().join("autoscale.guv.yaml"), now).unwrap();
    lock.unlock().unwrap();
    child
}

#[tokio::test]
async fn who_takes_over_goes_by_the_configuration_as_it_is_then() {
    let place = Place::with(COMMAND);
    let mut child = take_over(&place, &COMMAND.replace("25", "7")).await;
    let first = Decisions::of(&mut child).next(|_| true).await;
    assert_eq!(first["decision"]["inputs"]["parameters"]["maximum"], 7, "{first}");
}

#[tokio::test]
async fn who_takes_over_with_a_configuration_that_cannot_be_used_says_so_and_ends() {
    let place = Place::with(COMMAND);
    let child = take_over(&place, "work: {colour: red}").await;
    let output = timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap();
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("colour") && output.stdout.is_empty(), "{said}");
}

#[tokio::test]
async fn its_interface_is_served_on_request() {
    let scene = Scene::set("listen", 1000).await;
    let mut command = scene.command(&["--dry-run", "--history", "kept.sqlite", "--listen", "127.0.0.1:0"]);
    let mut child = command.env("GUV_TOKEN", "t0ken").stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    let address = async {
        loop {
            let line = said.next_line().await.unwrap().expect("it has ended");
            if let Some((_, address)) = line.split_once("listening on ") {
                return address.to_owned();
            }
        }
    };
    let address = timeout(PATIENCE, address).await.expect("it says where");
    let rest = tokio::spawn(async move {
        let mut lines = Vec::new();
        while let Ok(Some(line)) = said.next_line().await {
            lines.push(line);
        }
        lines
    });
    // Every client wants a TLS provider, though this one uses none; another test may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let metrics = async {
        loop {
            let request = client.get(format!("{address}/metrics")).bearer_auth("t0ken");
            let text = request.send().await.unwrap().text().await.unwrap();
            if text.contains("guv_target_workers{app=\"local\",role=\"resize\"} 25") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, metrics).await.expect("its metrics");
    let refused = client.get(format!("{address}/metrics")).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let body = r#"{"config": "resize: {source: {kind: command, command: id}}"}"#;
    let request = client.post(format!("{address}/config/local")).bearer_auth("t0ken").body(body);
    let request = request.header("content-type", "application/json").send().await.unwrap();
    assert_eq!(request.status(), 403, "commands are written by hand");
    signal(&child, "-TERM");
    assert_eq!(timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap().code(), Some(0));
    let said = rest.await.unwrap();
    let errors: Vec<_> = said.iter().filter(|line| line.contains("ERROR")).collect();
    assert!(errors.is_empty(), "an exchange that need not be there is no error: {errors:?}");
}

#[tokio::test]
async fn a_dry_run_shows_the_plan_and_touches_nothing() {
    let scene = Scene::set("dry", 1000).await;
    let state = scene.place.path().join("state");
    let mut command = scene.command(&["--json", "--dry-run"]);
    let mut child = command.env("XDG_STATE_HOME", &state).stdout(Stdio::piped()).spawn().unwrap();
    let mut decisions = Decisions::of(&mut child);
    let record = decisions.next(|record| record["outcome"]["kind"] == "planned").await;
    assert_eq!(record["outcome"]["workers"], 25);
    signal(&child, "-INT");
    assert_eq!(timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap().code(), Some(130));
    assert_eq!(scene.patches().await, 0);
    assert!(!state.exists(), "the usual history tells what was done");
}

#[tokio::test]
async fn a_reload_takes_effect_and_a_bad_one_does_not() {
    let scene = Scene::set("reload", 1000).await;
    let mut command = scene.command(&["--json", "--dry-run"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut decisions = Decisions::of(&mut child);
    decisions.next(|record| record["outcome"]["workers"] == 25).await;
    let file = scene.place.path().join("autoscale.guv.yaml");
    let text = std::fs::read_to_string(&file).unwrap();

    std::fs::write(&file, "resize: {colour: red}").unwrap();
    signal(&child, "-HUP");
    let mut said = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    let refused = async {
        while let Some(line) = said.next_line().await.unwrap() {
            if line.contains("stays in force") {
                return;
            }
        }
        panic!("it has ended")
    };
    timeout(PATIENCE, refused).await.expect("it says so");
    // A cycle that begins now still has the roles of before.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    decisions.next(|record| record["at"].as_f64() > Some(now) && record["outcome"]["workers"] == 25).await;

    std::fs::write(&file, text.replace("max: 25", "max: 7")).unwrap();
    signal(&child, "-HUP");
    decisions.next(|record| record["outcome"]["workers"] == 7).await;
    signal(&child, "-TERM");
    assert_eq!(timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap().code(), Some(0));
}

#[test]
fn oneshot_fails_when_nothing_can_be_seen_though_there_is_a_minimum() {
    let place = Place::with(
        "a: {minimum: 1, source: {kind: command, command: exit 3}, actuator: {kind: processes, command: exec sleep 100}}",
    );
    let output = place.call(&["run", "autoscale.guv.yaml", "--oneshot", "--no-history"]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let told = told(&output);
    assert!(told.contains("changed to 1") && told.contains("the queue cannot be seen"), "{told}");
}

#[tokio::test]
async fn oneshot_fails_when_a_role_could_not_be_governed() {
    let scene = Scene::set("missing", 0).await;
    std::fs::write(
        scene.place.path().join("autoscale.guv.yaml"),
        "resize: {queue: there-is-none, app: my-app}",
    )
    .unwrap();
    let output = scene.call(&["--oneshot"]).await;
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let out = String::from_utf8(output.stdout).unwrap();
    insta::assert_snapshot!(out, @"resize: the number of ready messages is not known; 1 worker now: hold (not changed: there is no queue `there-is-none`; check `queue:`, and that the worker or the publisher has declared it)");
}

#[tokio::test]
async fn a_reader_that_has_gone_ends_it_without_failure() {
    let scene = Scene::set("pipe", 0).await;
    let mut child = scene.command(&["--json", "--dry-run"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap().code(), Some(0));
}

#[test]
fn a_configuration_that_cannot_be_used_stops_the_start() {
    let place = Place::with("resize: {colour: red}");
    assert_eq!(place.call(&["run", "autoscale.guv.yaml", "--oneshot"]).status.code(), Some(78));
    let place = Place::with("resize: {}");
    insta::assert_snapshot!(told(&place.call(&["run", "autoscale.guv.yaml", "--oneshot"])), @r"
    status 78
    --- stdout
    --- stderr
      × role `resize` has no source: rabbitmq: it has no broker; set `broker:`,
      │ GUV_BROKER or CLOUDAMQP_URL
      help: complete the configuration; a dry run needs a source, but no actuator
    ");
    let place = Place::with("resize: {broker: 'amqp://u:hunter2@localhost'}");
    insta::assert_snapshot!(told(&place.call(&["--config", "autoscale.guv.yaml", "--oneshot"])), @r"
    status 78
    --- stdout
    --- stderr
      × role `resize` has no actuator: heroku: it has no app; set `app:` or
      │ GUV_APP
      help: complete the configuration; a dry run needs a source, but no actuator
    ");
}

#[test]
fn a_deadline_out_of_reach_is_said_and_runs_all_the_same() {
    // Nothing listens there, so the one cycle fails; but it was begun.
    let place = Place::with("a: {p: 60, broker: 'http://127.0.0.1:1'}");
    let output = place.call(&["run", "autoscale.guv.yaml", "--oneshot", "--dry-run"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("autoscale.guv.yaml:1:8: error: role `a`: the target"), "{said}");
}
