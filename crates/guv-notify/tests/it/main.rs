//! Telling a double of guv, and one of Heroku.

#![allow(clippy::unwrap_used, reason = "a test may, and so may the functions that it calls")]

mod snippets;

use std::time::Duration;

use guv_notify::{Guv, Heroku, Load, Notifier, Target};
use serde_json::{Value, json};
use wiremock::matchers::{any, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const PATIENCE: Duration = Duration::from_secs(30);

async fn guv() -> (MockServer, Notifier) {
    let server = MockServer::start().await;
    let target = Target::Guv(Guv { url: format!("{}/", server.uri()), token: Some("key-1".to_owned()) });
    Mock::given(method("POST"))
        .and(header("authorization", "Bearer key-1"))
        .respond_with(ResponseTemplate::new(202))
        .mount(&server)
        .await;
    (server, Notifier::new(target))
}

/// The paths that were asked for, once all is told.
async fn told(server: &MockServer, notifier: &Notifier) -> Vec<String> {
    let notifier = notifier.clone();
    assert!(tokio::task::spawn_blocking(move || notifier.flush(PATIENCE)).await.unwrap());
    let requests = server.received_requests().await.unwrap();
    requests.iter().map(|request| request.url.path().to_owned()).collect()
}

#[tokio::test]
async fn guv_is_told_of_a_role_once() {
    let (server, notifier) = guv().await;
    notifier.scale_up("re/size", 1);
    assert_eq!(told(&server, &notifier).await, ["/v1/roles/re%2Fsize/notify"]);
    notifier.scale_down("re/size");
    assert_eq!(told(&server, &notifier).await.len(), 2, "something else is told at once");
}

#[tokio::test]
async fn a_batch_is_told_once_a_role() {
    let (server, notifier) = guv().await;
    let batch = notifier.batch();
    for _ in 0..1000 {
        notifier.scale_up("resize", 1);
        notifier.scale_with("mail", Load { pending: 3, working: 0 });
    }
    assert!(server.received_requests().await.unwrap().is_empty(), "nothing is told while it is open");
    drop(batch);
    let mut paths = told(&server, &notifier).await;
    paths.sort();
    assert_eq!(paths, ["/v1/roles/mail/notify", "/v1/roles/resize/notify"]);
}

#[tokio::test]
async fn nobody_is_told_of_jobs_of_a_class_that_is_switched_off() {
    let (server, notifier) = guv().await;
    notifier.set_enabled("Cleanup", false);
    notifier.enqueued("work", "Cleanup");
    assert!(told(&server, &notifier).await.is_empty());
    notifier.set_enabled("Cleanup", true);
    notifier.enqueued("work", "Cleanup");
    assert_eq!(told(&server, &notifier).await.len(), 1);
}

#[tokio::test]
async fn heroku_is_told_how_many_by_the_table() {
    let server = MockServer::start().await;
    Mock::given(method("PATCH"))
        .and(path("/apps/shop/formation"))
        .and(header("authorization", "Bearer key-1"))
        .and(header("accept", "application/vnd.heroku+json; version=3"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([])))
        .mount(&server)
        .await;
    let heroku = Heroku { address: server.uri(), maximum: 5, ..Heroku::new("shop", "key-1") };
    let notifier = Notifier::new(Target::Heroku(heroku));
    for load in [Load { pending: 1, working: 0 }, Load { pending: 60, working: 2 }, Load::default()] {
        notifier.scale_with("worker", load);
        told(&server, &notifier).await;
    }
    let requests = server.received_requests().await.unwrap();
    let quantities: Vec<Value> = requests
        .iter()
        .map(|request| {
            serde_json::from_slice::<Value>(&request.body).unwrap()["updates"][0]["quantity"].clone()
        })
        .collect();
    assert_eq!(quantities, [1, 3, 0]);
}

/// Its answer takes a minute, and nobody waits for it.
#[tokio::test]
async fn the_application_never_waits() {
    let server = MockServer::start().await;
    let slow = ResponseTemplate::new(202).set_delay(Duration::from_secs(60));
    Mock::given(any()).respond_with(slow).mount(&server).await;
    let notifier = Notifier::new(Target::Guv(Guv { url: server.uri(), token: None }));
    for job in 0..100_000_u32 {
        notifier.scale_up(if job % 2 == 0 { "a" } else { "b" }, 1);
    }
    assert!(!notifier.flush(Duration::ZERO), "it is being told still");
}

#[tokio::test]
async fn what_could_not_be_told_is_said_again_with_the_next_job() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(503)).up_to_n_times(1).mount(&server).await;
    Mock::given(any()).respond_with(ResponseTemplate::new(202)).mount(&server).await;
    let notifier = Notifier::new(Target::Guv(Guv { url: server.uri(), token: None }));
    for calls in 1..=2 {
        notifier.scale_up("resize", 1);
        assert_eq!(told(&server, &notifier).await.len(), calls);
    }
}
