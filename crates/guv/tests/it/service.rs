//! The HTTP interface, by real requests.

use std::sync::Arc;
use std::time::Duration;

use guv::Registry;
use guv::governor::Options as Governing;
use guv::service::{
    Governed as App, Local, MakeRegistry, Options, SealingKey, Service, TokenHash, document, serve,
};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::doubles::{Governed, Platform, Queue, Queues};

const CONFIG: &str = "'*': {pollinterval: 3600}\nwork: {min: 0, max: 9}\n";

struct Scene {
    folder: TempDir,
    address: String,
    cancel: CancellationToken,
    service: Service,
    queues: Queues,
    platform: Platform,
}

fn make(queues: &Queues, platform: &Platform) -> MakeRegistry {
    let (queues, platform) = (queues.clone(), platform.clone());
    Arc::new(move || {
        let registry = Registry::new().with_source("queues", Arc::new(queues.clone()));
        Ok(registry.with_actuator("platform", Arc::new(platform.clone())))
    })
}

async fn start(folder: &TempDir, queues: &Queues, platform: &Platform) -> (Service, CancellationToken) {
    // A TLS provider is for clients of real platforms; nothing here uses one.
    let cancel = CancellationToken::new();
    let options = Options {
        address: "127.0.0.1:0".parse().unwrap(),
        folder: folder.path().to_owned(),
        key: SealingKey::parse(&"a5".repeat(32)).unwrap(),
        admin: Some(TokenHash::of("admin-token")),
        registry: make(queues, platform),
    };
    (serve(options, cancel.clone()).await.unwrap(), cancel)
}

impl Scene {
    async fn set() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (folder, queues) = (TempDir::new().unwrap(), Queues::default());
        queues.set("work", Queue::Holds(1000));
        let platform = Platform::running(&[("work", 1)]);
        let (service, cancel) = start(&folder, &queues, &platform).await;
        Self { folder, address: format!("http://{}", service.address), cancel, service, queues, platform }
    }

    async fn ask(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = Client::new().request(method, format!("{}{path}", self.address)).bearer_auth(token);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let response = request.timeout(Duration::from_secs(60)).send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn get(&self, token: &str, path: &str) -> (StatusCode, Value) {
        self.ask(token, Method::GET, path, None).await
    }

    async fn post(&self, token: &str, path: &str, body: Value) -> (StatusCode, Value) {
        self.ask(token, Method::POST, path, Some(body)).await
    }

    /// Adds an application; its token.
    async fn add(&self, id: &str) -> String {
        let body = json!({"id": id, "platform_token": "hunter2", "config": CONFIG});
        let (status, answer) = self.post("admin-token", "/v1/apps", body).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        answer["token"].as_str().unwrap().to_owned()
    }

    /// Asks until the answer is as wanted.
    async fn until(&self, token: &str, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let ask = async {
            loop {
                let (_, answer) = self.get(token, path).await;
                if wanted(&answer) {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), ask).await.expect("it becomes so")
    }
}

#[tokio::test]
async fn the_guvscale_plug_in_reads_and_changes_the_configuration() {
    let scene = Scene::set().await;
    let token = scene.add("shop").await;
    let (status, answer) = scene.get(&token, "/config/shop").await;
    assert_eq!((status, &answer["configYaml"]), (StatusCode::OK, &json!(CONFIG)));
    scene.until(&token, "/v1/apps/shop/roles", |roles| roles["cycle"] == 1).await;
    assert_eq!(scene.platform.workers("work"), 9);

    let wider = CONFIG.replace("max: 9", "max: 12");
    let (status, _) = scene.post(&token, "/config/shop", json!({"config": wider})).await;
    assert_eq!(status, StatusCode::OK);
    scene.until(&token, "/v1/apps/shop/roles", |roles| roles["cycle"] == 2).await;
    assert_eq!(scene.platform.workers("work"), 12);

    // What is wrong is refused with its place, and changes nothing.
    let (status, answer) = scene.post(&token, "/config/shop", json!({"config": "work: {maximun: 3}"})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer["message"].as_str().unwrap().contains("did you mean `maximum`?"), "{answer}");
    assert_eq!(answer["diagnostics"][0]["line"], 1);
    assert_eq!(scene.get(&token, "/config/shop").await.1["configYaml"], wider);
}

#[tokio::test]
async fn versions_tell_who_and_when_and_can_be_restored() {
    let scene = Scene::set().await;
    let token = scene.add("shop").await;
    let wider = CONFIG.replace("max: 9", "max: 12");
    scene.post(&token, "/config/shop", json!({"config": wider})).await;
    let (_, answer) = scene.get(&token, "/v1/apps/shop/versions").await;
    let who: Vec<_> =
        answer["versions"].as_array().unwrap().iter().map(|v| (&v["version"], &v["who"])).collect();
    assert_eq!(who, [(&json!(2), &json!("owner")), (&json!(1), &json!("admin"))]);
    assert!(answer["versions"][0]["at"].as_i64().unwrap() > 1_600_000_000);
    let (_, answer) = scene.post(&token, "/v1/apps/shop/versions/1/restore", json!({})).await;
    assert_eq!((&answer["version"], &answer["configYaml"]), (&json!(3), &json!(CONFIG)));
    assert_eq!(scene.get(&token, "/config/shop").await.1["configYaml"], CONFIG);
}

#[tokio::test]
async fn a_token_opens_its_own_application_alone() {
    let scene = Scene::set().await;
    let (shop, bakery) = (scene.add("shop").await, scene.add("bakery").await);
    assert_eq!(scene.get(&shop, "/config/bakery").await.0, StatusCode::NOT_FOUND);
    assert_eq!(scene.get(&bakery, "/v1/apps/shop/roles").await.0, StatusCode::NOT_FOUND);
    assert_eq!(scene.get("wrong", "/config/shop").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(scene.get("wrong", "/metrics").await.0, StatusCode::UNAUTHORIZED);
    let (_, apps) = scene.get(&shop, "/v1/apps").await;
    assert_eq!(apps["apps"].as_array().unwrap().len(), 1);
    let (status, _) = scene.post(&shop, "/v1/apps", json!({"id": "mine"})).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(scene.get("", "/healthz").await, (StatusCode::OK, json!("ok\n")));
}

#[tokio::test]
async fn after_a_restart_everything_is_governed_again_and_nothing_secret_lies_open() {
    let scene = Scene::set().await;
    let token = scene.add("shop").await;
    scene.until(&token, "/v1/apps/shop/roles", |roles| roles["cycle"] == 1).await;
    scene.cancel.cancel();
    let Scene { folder, service, queues, platform, .. } = scene;
    service.finished().await;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for secret in ["hunter2", token.as_str(), "admin-token"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
        }
    }
    platform.set("work", 0);
    let (service, cancel) = start(&folder, &queues, &platform).await;
    let address = format!("http://{}", service.address);
    let scene = Scene { folder, address, cancel, service, queues, platform };
    scene.until(&token, "/v1/apps/shop/roles", |roles| roles["cycle"] == 1).await;
    assert_eq!(scene.platform.workers("work"), 9);
}

#[tokio::test]
async fn decisions_are_explained_and_listed_and_counted() {
    let scene = Scene::set().await;
    let token = scene.add("shop").await;
    scene.until(&token, "/v1/apps/shop/roles", |roles| roles["cycle"] == 1).await;
    let (_, answer) = scene.get(&token, "/v1/apps/shop/roles/work").await;
    assert!(answer["text"].as_str().unwrap().contains("because    up at once"), "{answer}");
    assert_eq!(answer["expected"]["workers"], 9);
    let (_, answer) = scene.get(&token, "/v1/apps/shop/decisions?role=work&changes=true").await;
    assert_eq!(answer["decisions"][0]["outcome"], json!({"kind": "applied", "workers": 9}));
    let (_, metrics) = scene.get(&token, "/metrics").await;
    let metrics = metrics.as_str().unwrap();
    assert!(metrics.contains("guv_ready_messages{app=\"shop\",role=\"work\"} 1000\n"), "{metrics}");
    assert!(metrics.contains("guv_cycles_total{app=\"shop\"} 1\n"), "{metrics}");
    let (_, chart) = scene.get(&token, "/v1/apps/shop/roles/work/chart").await;
    assert_eq!(chart["points"][0]["ready_max"], 1000);
}

#[tokio::test]
async fn applications_notify_of_jobs_and_people_set_workers_by_hand() {
    let scene = Scene::set().await;
    let token = scene.add("shop").await;
    scene.until(&token, "/v1/apps/shop/roles", |roles| roles["cycle"] == 1).await;
    let ready = |n: u64| {
        move |roles: &Value| roles["roles"][0]["decision"]["inputs"]["observation"]["queue"]["ready"] == n
    };
    // The next poll comes in an hour.
    scene.queues.set("work", Queue::Holds(2000));
    assert_eq!(scene.post(&token, "/v1/roles/work/notify", json!({})).await.0, StatusCode::ACCEPTED);
    scene.until(&token, "/v1/apps/shop/roles", ready(2000)).await;
    assert_eq!(scene.post(&token, "/v1/roles/none/notify", json!({})).await.0, StatusCode::NOT_FOUND);

    let manual = "/v1/apps/shop/roles/work/manual";
    let body = Some(json!({"workers": 20, "seconds": 600}));
    assert_eq!(scene.ask(&token, Method::PUT, manual, body).await.0, StatusCode::OK);
    scene
        .until(&token, "/v1/apps/shop/roles", |roles| {
            roles["roles"][0]["decision"]["reason"]["kind"] == "manual"
                && roles["roles"][0]["outcome"]["workers"] == 20
        })
        .await;
    assert_eq!(scene.platform.workers("work"), 20);
    assert_eq!(scene.ask(&token, Method::DELETE, manual, None).await.0, StatusCode::OK);
    scene
        .until(&token, "/v1/apps/shop/roles", |roles| {
            roles["roles"][0]["decision"]["reason"]["kind"] != "manual"
        })
        .await;
}

#[tokio::test]
async fn every_operation_of_the_document_is_there() {
    let scene = Scene::set().await;
    let token = scene.add("shop").await;
    scene.until(&token, "/v1/apps/shop/roles", |roles| roles["cycle"] == 1).await;
    for (path, operations) in document()["paths"].as_object().unwrap() {
        let path = path.replace("{id}", "shop").replace("{role}", "work").replace("{version}", "1");
        for method in operations.as_object().unwrap().keys().filter(|method| *method != "delete") {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let (status, answer) = scene.ask(&token, method.clone(), &path, Some(json!({}))).await;
            assert!(
                status != StatusCode::NOT_FOUND && status != StatusCode::METHOD_NOT_ALLOWED,
                "{method} {path}: {status} {answer}"
            );
        }
    }
}

#[tokio::test]
async fn beyond_loopback_a_token_is_needed() {
    let governed = Governed::start("work: {}", Queues::default(), Platform::default(), Governing::default());
    let app = App { handle: governed.handle.clone(), history: None };
    let address = "0.0.0.0:0".parse().unwrap();
    let local = Local { address, id: "local".to_owned(), governed: app, token: None };
    let refused = local.serve(CancellationToken::new()).await.err().expect("it is open");
    assert!(refused.to_string().contains("a token is needed"), "{refused}");
}
