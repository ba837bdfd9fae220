//! Sources that tell numbers: Prometheus (a double of its documented API), JSON over HTTP, and commands.

use std::time::Duration;

use guv::sources::{command, http, prometheus};
use guv::{Source, SourceError};
use serde_json::json;
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{role, sample};

async fn server() -> MockServer {
    // Another test may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    MockServer::start().await
}

fn vector(value: &str) -> ResponseTemplate {
    let result = json!([{"metric": {"queue": "images"}, "value": [1_700_000_000.5, value]}]);
    let data = json!({"resultType": "vector", "result": result});
    ResponseTemplate::new(200).set_body_json(json!({"status": "success", "data": data}))
}

#[tokio::test]
async fn prometheus_is_queried_with_what_the_role_says() {
    let server = server().await;
    for (query, value) in [("sum(waiting{q=\"images\"})", "12"), ("sum(running)", "3")] {
        Mock::given(method("GET"))
            .and(path("/prom/api/v1/query"))
            .and(query_param("query", query))
            .and(header("authorization", "Bearer key-1"))
            .and(header("x-scope-orgid", "us"))
            .respond_with(vector(value))
            .mount(&server)
            .await;
    }
    let told = role(&format!(
        "r: {{source: {{kind: prometheus, url: '{}/prom', token: key-1, headers: 'X-Scope-OrgID: us',
                        query: 'sum(waiting{{q=\"images\"}})', in_flight: sum(running)}}}}",
        server.uri()
    ));
    let source = prometheus().unwrap();
    let seen = sample(&source, &told).await.unwrap();
    assert_eq!((seen.ready, seen.unacknowledged), (Some(12), Some(3)));
}

#[tokio::test]
async fn no_series_is_not_zero() {
    let server = server().await;
    let empty = json!({"status": "success", "data": {"resultType": "vector", "result": []}});
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_json(empty))
        .mount(&server)
        .await;
    let told = role(&format!("r: {{source: {{kind: prometheus, url: '{}', query: up}}}}", server.uri()));
    let error = sample(&prometheus().unwrap(), &told).await.unwrap_err();
    assert!(
        matches!(error, SourceError::Malformed { .. }) && error.to_string().contains("`query`"),
        "{error}"
    );
}

#[tokio::test]
async fn json_by_name_and_by_pointer() {
    let server = server().await;
    let list = json!([{"name": "images", "value": 7}, {"name": "mails", "value": 2}]);
    Mock::given(path("/hirefire/x/info"))
        .respond_with(ResponseTemplate::new(200).set_body_json(list))
        .mount(&server)
        .await;
    let deep = json!({"queues": [{"waiting": 4, "running": "1"}]});
    Mock::given(path("/deep"))
        .respond_with(ResponseTemplate::new(200).set_body_json(deep))
        .mount(&server)
        .await;
    let source = http().unwrap();
    let uri = server.uri();

    let named = role(&format!(
        "r: {{queues: [images, mails], source: {{kind: http, url: '{uri}/hirefire/x/info'}}}}"
    ));
    let seen = sample(&source, &named).await.unwrap();
    assert_eq!((seen.ready, seen.unacknowledged), (Some(9), None));
    let missing = role(&format!("imgaes: {{source: {{kind: http, url: '{uri}/hirefire/x/info'}}}}"));
    let error = sample(&source, &missing).await.unwrap_err();
    assert!(matches!(error, SourceError::Missing { .. }), "{error:?}");

    let pointed = |ready: &str| {
        role(&format!(
            "r: {{source: {{kind: http, url: '{uri}/deep', ready: {ready}, in_flight: /queues/0/running}}}}"
        ))
    };
    let seen = sample(&source, &pointed("/queues/0/waiting")).await.unwrap();
    assert_eq!((seen.ready, seen.unacknowledged), (Some(4), Some(1)));
    let error = sample(&source, &pointed("/queues/1/waiting")).await.unwrap_err();
    assert!(error.to_string().contains("`ready:`"), "{error}");
}

#[tokio::test]
async fn what_a_server_refuses_and_what_may_pass() {
    let server = server().await;
    for (at, status) in [("/401", 401), ("/404", 404), ("/429", 429), ("/503", 503)] {
        Mock::given(path(at)).respond_with(ResponseTemplate::new(status)).mount(&server).await;
    }
    for (at, passes) in [("/401", false), ("/404", false), ("/429", true), ("/503", true)] {
        let url = server.uri().replace("://", "://u:hunter2@");
        let told = role(&format!("r: {{source: {{kind: http, url: '{url}{at}?key=hunter2'}}}}"));
        let error = sample(&http().unwrap(), &told).await.unwrap_err();
        assert_eq!(matches!(error, SourceError::Unreachable { .. }), passes, "{at}: {error:?}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn a_command_writes_a_number_or_an_object() {
    let within = |seconds: u8, command: &str| {
        let source = format!("{{kind: command, timeout: {seconds}, command: '{command}'}}");
        role(&format!("r: {{queues: [a, b], source: {source}}}"))
    };
    let told = |command: &str| within(30, command);
    let number = sample(&command(), &told("echo 12")).await.unwrap();
    assert_eq!((number.ready, number.unacknowledged), (Some(12), None));
    let object = told(r#"[ "$ROLE $QUEUE" = "r a,b" ] && echo "{\"ready\": 1, \"oldest\": 2.5}""#);
    let object = sample(&command(), &object).await.unwrap();
    assert_eq!((object.ready, object.oldest), (Some(1), Some(Duration::from_millis(2500))));
    for (role, hint) in [
        (told("echo no"), "neither"),
        (told("echo why >&2; exit 2"), "exit status 2: why"),
        (within(1, "sleep 100"), "within 1 s"),
    ] {
        let error = sample(&command(), &role).await.unwrap_err();
        assert!(error.to_string().contains(hint), "{hint}: {error}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let accepts = |source: &dyn Source, text: &str| source.accepts(&role(text)).unwrap_err();
    assert!(accepts(&command(), "r: {}").contains("kind: command"));
    assert!(accepts(&command(), "r: {source: http}").contains("kind: command"));
}
