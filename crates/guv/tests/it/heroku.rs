//! The Heroku actuator against a double of the documented Platform API.

use std::time::Duration;

use guv::actuators::Heroku;
use guv::{Actuator, ActuatorError, AppName, Change, Config, Environment, WorkerCount};
use serde_json::{Value, json};
use wiremock::matchers::{body_json, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::doubles;

const FORMATION: &str = "/apps/my-app/formation";

struct Double {
    server: MockServer,
    heroku: Heroku,
    config: Config,
    app: AppName,
}

impl Double {
    async fn start() -> Self {
        // Another test may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = MockServer::start().await;
        let heroku = Heroku::at(format!("{}/", server.uri()).parse().unwrap()).unwrap();
        let config = doubles::config("'*': {app: my-app, apikey: key-1}\nweb: {}\nresize: {worker: resizer}");
        Self { server, heroku, config, app: AppName::new("my-app") }
    }

    async fn answer(&self, verb: &str, template: ResponseTemplate) {
        Mock::given(method(verb)).and(path(FORMATION)).respond_with(template).mount(&self.server).await;
    }

    /// Counts the workers: those of `web`, those of `resize`.
    async fn count(&self) -> [Result<Option<WorkerCount>, ActuatorError>; 2] {
        let roles: Vec<_> = self.config.roles.iter().collect();
        let mut answers = self.heroku.count(Some(&self.app), &roles).await;
        ["web", "resize"].map(|role| answers.remove(&role.into()).expect("an answer for each role"))
    }

    /// Asks for so many `web` and `resize`.
    async fn apply(&self, web: u32, resize: u32) -> [Result<(), ActuatorError>; 2] {
        let targets = [web, resize];
        let roles = self.config.roles.iter().zip(targets);
        let changes: Vec<_> = roles.map(|(role, target)| Change { role, current: Some(1), target }).collect();
        let mut answers = self.heroku.apply(Some(&self.app), &changes).await;
        ["web", "resize"].map(|role| answers.remove(&role.into()).expect("an answer for each role"))
    }
}

fn formation() -> Value {
    json!([
        {"type": "web", "quantity": 2, "size": "Standard-1X", "command": "node ."},
        {"type": "resizer", "quantity": 7, "size": "Standard-2X", "command": "resize"},
    ])
}

#[tokio::test]
async fn a_formation_is_counted_by_process_type() {
    let double = Double::start().await;
    Mock::given(method("GET"))
        .and(path(FORMATION))
        .and(header("accept", "application/vnd.heroku+json; version=3"))
        .and(header("authorization", "Bearer key-1"))
        .respond_with(ResponseTemplate::new(200).set_body_json(formation()))
        .expect(1)
        .mount(&double.server)
        .await;
    let counts = double.count().await.map(Result::unwrap);
    assert_eq!(counts, [2, 7].map(|workers| Some(WorkerCount::running(workers))));
}

#[tokio::test]
async fn a_process_type_that_the_formation_lacks_is_the_trouble_of_its_role() {
    let double = Double::start().await;
    double
        .answer("GET", ResponseTemplate::new(200).set_body_json(json!([{"type": "web", "quantity": 2}])))
        .await;
    let [web, resize] = double.count().await;
    assert_eq!(web.unwrap(), Some(WorkerCount::running(2)));
    let error = resize.unwrap_err();
    assert!(matches!(error, ActuatorError::Fatal { .. }));
    assert!(error.to_string().contains("`resizer`"), "{error}");
}

#[tokio::test]
async fn all_changes_go_out_in_one_request() {
    let double = Double::start().await;
    let updates = json!({"updates": [{"type": "web", "quantity": 3}, {"type": "resizer", "quantity": 9}]});
    Mock::given(method("PATCH"))
        .and(path(FORMATION))
        .and(header("accept", "application/vnd.heroku+json; version=3"))
        .and(header("authorization", "Bearer key-1"))
        .and(body_json(updates))
        .respond_with(ResponseTemplate::new(200).set_body_json(formation()))
        .expect(2)
        .mount(&double.server)
        .await;
    for _ in 0..2 {
        assert!(double.apply(3, 9).await.iter().all(Result::is_ok));
    }
}

#[tokio::test]
async fn a_plan_limit_is_that_of_the_role_above_it() {
    let double = Double::start().await;
    let body =
        json!({"id": "cannot_run_above_limit", "message": "Cannot run more than 10 dynos.", "limit": 10});
    double.answer("PATCH", ResponseTemplate::new(422).set_body_json(body)).await;
    let [web, resize] = double.apply(3, 40).await;
    assert!(matches!(web, Err(ActuatorError::Bystander)));
    assert!(matches!(resize, Err(ActuatorError::Limit { limit: 10, .. })));
    // A limit for all of them together, and none is above it alone.
    let [web, resize] = double.apply(3, 9).await;
    assert!(matches!(web, Err(ActuatorError::Limit { limit: 10, .. })));
    assert!(matches!(resize, Err(ActuatorError::Limit { limit: 10, .. })));
}

#[tokio::test]
async fn refusals_are_told_by_what_can_be_done_about_them() {
    let known = [
        (401, "check `apikey:`"),
        (403, "check `apikey:`"),
        (404, "check `app:`"),
        (422, "Heroku answers 422"),
    ];
    for (status, hint) in known {
        let double = Double::start().await;
        let body = json!({"id": "x", "message": "no"});
        double.answer("PATCH", ResponseTemplate::new(status).set_body_json(body)).await;
        let [web, _] = double.apply(1, 1).await;
        let error = web.unwrap_err();
        assert!(matches!(error, ActuatorError::Fatal { .. }), "{status}: {error:?}");
        assert!(error.to_string().contains(hint), "{status}: {error}");
        assert!(!error.to_string().contains("key-1"));
    }
}

#[tokio::test]
async fn too_many_requests_say_when_to_come_back() {
    let double = Double::start().await;
    double.answer("GET", ResponseTemplate::new(429).insert_header("retry-after", "17")).await;
    double.answer("PATCH", ResponseTemplate::new(429)).await;
    let after = |error: ActuatorError| match error {
        ActuatorError::Retry { after, .. } => after,
        error => panic!("{error:?}"),
    };
    let [web, _] = double.count().await;
    assert_eq!(after(web.unwrap_err()), Some(Duration::from_secs(17)));
    let [web, _] = double.apply(1, 1).await;
    assert_eq!(after(web.unwrap_err()), Some(Duration::from_secs(60)));
}

#[tokio::test]
async fn a_platform_that_is_away_or_confused_may_be_back() {
    let double = Double::start().await;
    double.answer("GET", ResponseTemplate::new(503).set_body_string("<html>")).await;
    let [web, _] = double.count().await;
    assert!(matches!(web, Err(ActuatorError::Retry { after: None, .. })));

    let config = double.config.clone();
    let roles: Vec<_> = config.roles.iter().collect();
    let address = double.server.uri();
    drop(double);
    let heroku = Heroku::at(format!("{address}/").parse().unwrap()).unwrap();
    let mut answers = heroku.count(Some(&AppName::new("my-app")), &roles).await;
    let error = answers.remove(&"web".into()).unwrap().unwrap_err();
    assert!(matches!(error, ActuatorError::Retry { .. }), "{error:?}");
}

#[test]
fn a_role_needs_an_app_and_a_key() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let heroku = Heroku::new().unwrap();
    let accepts = |text: &str| {
        let config = Config::parse(text, &Environment::default(), &[]).strict().unwrap();
        heroku.accepts(&config.roles[0])
    };
    assert!(accepts("r: {app: a, apikey: k}").is_ok());
    assert!(accepts("r: {apikey: k}").unwrap_err().contains("GUV_APP"));
    assert!(accepts("r: {app: a}").unwrap_err().contains("HEROKU_API_KEY"));
}
