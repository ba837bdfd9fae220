//! Actuators that tell somebody else: a webhook and a command.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use guv::actuators::{Command, Webhook};
use guv::{Actuator, ActuatorError, RoleConfig};
use serde_json::{Value, json};
use tempfile::TempDir;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::conformance::{Bed, Trouble, conforms, refuses};
use super::{apply, count, role};

/// Somebody's own server: it keeps a number.
#[derive(Clone, Default)]
struct Own(Arc<Mutex<Option<u32>>>);

impl Respond for Own {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut workers = self.0.lock().unwrap();
        if request.method == "GET" {
            return ResponseTemplate::new(200).set_body_json(json!({"workers": workers.unwrap_or(0)}));
        }
        let asked: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(
            (&asked["role"], &asked["worker"], &asked["app"]),
            (&json!("r"), &json!("resizer"), &json!("shop"))
        );
        assert_eq!(asked["current"], json!(workers.unwrap_or(0)));
        *workers = Some(u32::try_from(asked["desired"].as_u64().unwrap()).unwrap());
        ResponseTemplate::new(202)
    }
}

struct Hooked {
    server: MockServer,
    own: Own,
    webhook: Webhook,
}

impl Hooked {
    async fn start() -> Self {
        // Another test may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (server, own) = (MockServer::start().await, Own::default());
        Mock::given(header("authorization", "Bearer key-1")).respond_with(own.clone()).mount(&server).await;
        Self { server, own, webhook: Webhook::new().unwrap() }
    }
}

#[guv::async_trait]
impl Bed for Hooked {
    fn actuator(&self) -> &dyn Actuator {
        &self.webhook
    }

    fn role(&self) -> RoleConfig {
        let url = self.server.uri();
        role(&format!(
            "r: {{worker: resizer, min: 0, actuator: {{kind: webhook, url: '{url}', token: key-1}}}}"
        ))
    }

    fn unknown(&self) -> Option<RoleConfig> {
        None
    }

    async fn running(&self) -> u32 {
        self.own.0.lock().unwrap().unwrap_or(0)
    }

    async fn changes(&self) -> Option<usize> {
        let requests = self.server.received_requests().await.unwrap();
        Some(requests.iter().filter(|request| request.method == "POST").count())
    }
}

#[tokio::test]
async fn a_webhook_conforms() {
    conforms(&Hooked::start().await).await;
}

#[tokio::test]
async fn a_webhook_refuses_by_status() {
    let answers = [
        (Trouble::Exhausted, ResponseTemplate::new(429).insert_header("retry-after", "17")),
        (Trouble::Broken, ResponseTemplate::new(503)),
        (Trouble::Limit, ResponseTemplate::new(422).set_body_json(json!({"limit": 3}))),
        (Trouble::Refused, ResponseTemplate::new(401)),
    ];
    for (trouble, answer) in answers {
        let bed = Hooked::start().await;
        bed.server.reset().await;
        Mock::given(method("POST")).respond_with(answer).mount(&bed.server).await;
        refuses(&bed, trouble).await;
        assert_eq!(count(&bed.webhook, &bed.role()).await.unwrap(), None, "it tells nothing");
    }
}

#[tokio::test]
async fn a_webhook_that_is_elsewhere_is_not_followed() {
    let bed = Hooked::start().await;
    let moved = ResponseTemplate::new(302).insert_header("location", "/moved?key=hunter2");
    bed.server.reset().await;
    Mock::given(method("POST")).respond_with(moved).mount(&bed.server).await;
    Mock::given(path("/moved")).respond_with(ResponseTemplate::new(200)).mount(&bed.server).await;
    let error = apply(&bed.webhook, &bed.role(), 4).await.unwrap_err();
    assert!(matches!(error, ActuatorError::Fatal { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("302 Found") && text.contains("/moved; correct its `url:`"), "{text}");
    let requests = bed.server.received_requests().await.unwrap();
    assert!(requests.iter().all(|request| request.url.path() != "/moved"), "nothing is sent on");
}

#[tokio::test]
async fn a_webhook_that_answers_no_number_has_answered() {
    let bed = Hooked::start().await;
    bed.server.reset().await;
    let page = ResponseTemplate::new(200).set_body_string("<html>welcome</html>");
    Mock::given(method("GET")).respond_with(page).mount(&bed.server).await;
    let text = count(&bed.webhook, &bed.role()).await.unwrap_err().to_string();
    assert!(text.starts_with("the webhook answers neither a number of workers nor"), "{text}");
}

/// A script that keeps a number in a file.
struct Scripted {
    folder: TempDir,
    command: Command,
    counts: bool,
}

impl Scripted {
    fn start(counts: bool) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), command: Command::new(), counts }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("workers")
    }

    fn with(&self, command: &str) -> RoleConfig {
        let count = match self.counts {
            true => format!(", count: 'cat {} 2>/dev/null || echo 0'", self.file().display()),
            false => String::new(),
        };
        role(&format!(
            "r: {{worker: resizer, min: 0, actuator: {{kind: command, timeout: 5, command: '{command}'{count}}}}}"
        ))
    }
}

#[guv::async_trait]
impl Bed for Scripted {
    fn actuator(&self) -> &dyn Actuator {
        &self.command
    }

    fn role(&self) -> RoleConfig {
        let file = self.file();
        let current = if self.counts { "-n" } else { "-z" };
        let check = r#"test "$ROLE $WORKER $APP" = "r resizer shop""#;
        self.with(&format!("{check} && test {current} \"$CURRENT\" && echo $DESIRED > {}", file.display()))
    }

    fn unknown(&self) -> Option<RoleConfig> {
        None
    }

    async fn running(&self) -> u32 {
        std::fs::read_to_string(self.file()).map_or(0, |text| text.trim().parse().unwrap())
    }

    fn counts(&self) -> bool {
        self.counts
    }

    async fn changes(&self) -> Option<usize> {
        None
    }
}

#[tokio::test]
async fn a_command_conforms_whether_it_counts_or_not() {
    conforms(&Scripted::start(true)).await;
    conforms(&Scripted::start(false)).await;
}

/// A bed whose command fails.
struct Failing(Scripted, &'static str);

#[guv::async_trait]
impl Bed for Failing {
    fn actuator(&self) -> &dyn Actuator {
        &self.0.command
    }

    fn role(&self) -> RoleConfig {
        self.0.with(self.1)
    }

    fn unknown(&self) -> Option<RoleConfig> {
        None
    }

    async fn running(&self) -> u32 {
        self.0.running().await
    }

    async fn changes(&self) -> Option<usize> {
        None
    }
}

#[tokio::test]
async fn a_command_refuses_by_its_exit_status() {
    let commands = [
        (Trouble::Broken, "echo later >&2; exit 75"),
        (Trouble::Broken, "sleep 100"),
        (Trouble::Limit, r#"echo "{\"limit\": 3}"; exit 1"#),
        (Trouble::Refused, "exit 77"),
    ];
    for (trouble, command) in commands {
        refuses(&Failing(Scripted::start(true), command), trouble).await;
    }
}

#[test]
fn what_is_missing_is_named() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let webhook = Webhook::new().unwrap();
    assert!(webhook.accepts(&role("r: {}")).unwrap_err().contains("kind: webhook"));
    let another = role("r: {actuator: {kind: webhook, url: 'http://nowhere'}}");
    assert!(Command::new().accepts(&another).unwrap_err().contains("kind: command"));
}
