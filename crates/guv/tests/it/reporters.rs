//! What others are told. statuspage.io and New Relic are not to be had here: doubles of their documented contracts.

use std::sync::Arc;
use std::time::Duration;

use guv::governor::Options;
use guv::model::Secret;
use guv::reporters::{NewRelic, StatusPage, Webhook};
use guv::{Recorder, Sample};
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::doubles::{Governed, Platform, Queue, Queues};

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
    let bodies = posted(&server, 3).await;
    let told = |bodies: &[Value]| {
        let mut told: Vec<_> = bodies
            .iter()
            .map(|body| format!("{} {}", body["event"].as_str().unwrap(), body["state"]))
            .collect();
        told.sort();
        told
    };
    assert_eq!(
        told(&bodies),
        [r#"deadline_missed "begins""#, r#"maximum_reached "begins""#, r#"unsustainable "begins""#]
    );
    governed.queues.set("work", Queue::Missing);
    let bodies = posted(&server, 7).await;
    assert_eq!(bodies.len(), 7, "each is told once: {bodies:?}");
    assert!(told(&bodies[3..]).contains(&r#"source_blind "begins""#.to_owned()), "{bodies:?}");
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
