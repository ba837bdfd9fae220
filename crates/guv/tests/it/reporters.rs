//! What others are told. statuspage.io and New Relic are not to be had here: doubles of their documented contracts.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use guv::governor::Options;
use guv::model::Secret;
use guv::reporters::{NewRelic, OpenTelemetry, StatusPage, Webhook};
use guv::{Recorder, Sample};
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::doubles::{Governed, Platform, Queue, Queues};
use crate::sources::variable;

async fn server() -> MockServer {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(201)).mount(&server).await;
    server
}

/// The bodies that were posted, once there are so many.
async fn posted(server: &MockServer, count: usize) -> Vec<Value> {
    let wait = async {
        loop {
            let requests = server.received_requests().await.unwrap_or_default();
            if requests.len() >= count {
                return requests.iter().map(|request| request.body_json().unwrap()).collect();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("so many requests")
}

fn governed(text: &str, queue: Queue, recorder: Arc<dyn Recorder>) -> Governed {
    let queues = Queues::default();
    queues.set("work", queue);
    let options = Options { recorders: vec![recorder], ..Options::default() };
    Governed::start(text, queues, Platform::running(&[("work", 1)]), options)
}

#[tokio::test]
async fn statuspage_gets_the_jobs_in_flight() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/pages/p1/metrics/m1/data.json"))
        .and(header("Authorization", "OAuth hunter2"))
        .respond_with(ResponseTemplate::new(201))
        .expect(1..)
        .mount(&server)
        .await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let address = format!("{}/v1/", server.uri()).parse().unwrap();
    let reporter = Arc::new(StatusPage::at(address, Secret::new("hunter2")).unwrap());
    let _governed = governed("work: {statuspage: p1, metric: m1}\nother: {}", Queue::Holds(7), reporter);
    let bodies = posted(&server, 1).await;
    assert_eq!(bodies[0]["data"]["value"], 7);
    assert!(bodies[0]["data"]["timestamp"].as_u64().unwrap() > 1_600_000_000);
}

#[tokio::test]
async fn new_relic_gets_an_event_for_every_decision() {
    let server = server().await;
    let address = format!("{}/v1/", server.uri()).parse().unwrap();
    let reporter = Arc::new(NewRelic::at(address, "4711", Secret::new("hunter2")).unwrap());
    let _governed = governed("work: {max: 3, app: ours}", Queue::Holds(700), reporter);
    let bodies = posted(&server, 1).await;
    let event = &bodies[0][0];
    assert_eq!(
        (&event["eventType"], &event["role"], &event["app"], &event["jobs"], &event["workers"]),
        (&json!("GuvScaled"), &json!("work"), &json!("ours"), &json!(700), &json!(3))
    );
    let request = &server.received_requests().await.unwrap()[0];
    assert_eq!(request.url.path(), "/v1/accounts/4711/events");
    assert_eq!(request.headers["X-Insert-Key"], "hunter2");
}

/// Environment variables, made up.
fn variables<const N: usize>(all: [(&'static str, String); N]) -> impl Fn(&str) -> Option<String> {
    move |name| all.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
}

fn read_by_its_definitions(body: &Value) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/otlp.py");
    let mut python = Command::new(variable("GUV_TEST_PYTHON"));
    python.arg(script).env("PYTHONDONTWRITEBYTECODE", "1");
    let mut python =
        python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python is installed");
    let mut input = python.stdin.take().expect("it is piped");
    input.write_all(body.to_string().as_bytes()).expect("it reads");
    drop(input);
    let output = python.wait_with_output().expect("it ends");
    assert!(output.status.success(), "it is read: {body}");
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test]
async fn opentelemetry_gets_metrics_that_its_own_definitions_read() {
    let server = server().await;
    let reporter = OpenTelemetry::of_environment(variables([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", server.uri()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=hunter%202".to_owned()),
        ("OTEL_SERVICE_NAME", "scaling".to_owned()),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=guv,deployment.environment.name=test".to_owned()),
    ]));
    let reporter = Arc::new(reporter.unwrap().expect("an address is named"));
    let _governed = governed("work: {max: 3, app: ours}", Queue::Holds(700), reporter);
    let body = posted(&server, 1).await.remove(0);
    let request = &server.received_requests().await.unwrap()[0];
    assert_eq!(request.url.path(), "/v1/metrics");
    assert_eq!(request.headers["api-key"], "hunter 2");

    let read = read_by_its_definitions(&body);
    let lines: Vec<&str> = read.lines().collect();
    assert_eq!(lines[0], "deployment.environment.name=test,service.name=scaling");
    assert!(lines.contains(&"guv_ready_messages app=ours,role=work 700.0 True"), "{read}");
    assert!(lines.contains(&"guv_target_workers app=ours,role=work 3.0 True"), "{read}");
    assert!(!read.contains("guv_oldest_message_seconds"), "what is not known is left out: {read}");
}

#[tokio::test]
async fn wrong_variables_of_opentelemetry_are_named() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let complaint = |all| OpenTelemetry::of_environment(variables(all)).err().unwrap_or_default();
    let (address, good) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318".to_owned());
    insta::assert_snapshot!(complaint([(address, "collector".to_owned()), ("", String::new())]), @"OTEL_EXPORTER_OTLP_ENDPOINT: `collector` is not a URL (relative URL without a base), as http://localhost:4318 is");
    insta::assert_snapshot!(complaint([(address, good.clone()), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc".to_owned())]), @"OTEL_EXPORTER_OTLP_PROTOCOL: `grpc` is not spoken; name the collector's HTTP address (port 4318) and set http/json");
    insta::assert_snapshot!(complaint([(address, good), ("OTEL_EXPORTER_OTLP_HEADERS", "a b=c".to_owned())]), @"OTEL_EXPORTER_OTLP_HEADERS: `a b` cannot be a header with that value");
    assert!(OpenTelemetry::of_environment(|_| None).unwrap().is_none(), "it is asked for by its address");
}

#[tokio::test]
async fn a_webhook_is_told_when_something_begins_and_when_it_ends() {
    let server = server().await;
    let reporter = Arc::new(Webhook::new(server.uri().parse().unwrap()).unwrap());
    let late = Sample {
        ready: Some(10_000),
        unacknowledged: Some(0),
        oldest: Some(Duration::from_secs(100)),
        fill_rate: Some(50.0),
        ..Sample::default()
    };
    let text = "'*': {pollinterval: 0.05}\nwork: {max: 3, deadline: 60}";
    let governed = governed(text, Queue::Says(late), reporter);
    let bodies = posted(&server, 2).await;
    let told = |bodies: &[Value]| {
        let mut told: Vec<_> = bodies
            .iter()
            .map(|body| format!("{} {}", body["event"].as_str().unwrap(), body["state"]))
            .collect();
        told.sort();
        told
    };
    assert_eq!(told(&bodies), [r#"deadline_missed "begins""#, r#"maximum_reached "begins""#]);
    governed.queues.set("work", Queue::Missing);
    let bodies = posted(&server, 5).await;
    assert_eq!(bodies.len(), 5, "each is told once: {bodies:?}");
    assert!(told(&bodies[2..]).contains(&r#"source_blind "begins""#.to_owned()), "{bodies:?}");
}

#[tokio::test]
async fn a_reporter_that_is_away_holds_up_nothing() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Nobody listens on that port of the reserved block.
    let reporter = Arc::new(Webhook::new("http://127.0.0.1:9/".parse().unwrap()).unwrap());
    let governed = governed("'*': {pollinterval: 0.02}\nwork: {max: 3}", Queue::Holds(700), reporter);
    governed.cycle(5).await;
    assert_eq!(governed.platform.workers("work"), 3);
}
