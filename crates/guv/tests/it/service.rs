//! The HTTP interface, by real requests.

use std::sync::Arc;
use std::time::Duration;

use guv::Registry;
use guv::service::{MakeRegistry, Options, SealingKey, Service, TokenHash, document, gate, serve};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::doubles::{Platform, Queue, Queues};

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
async fn a_governor_that_has_crashed_is_told_of() {
    let scene = Scene::set().await;
    let token = scene.add("shop").await;
    scene.until(&token, "/v1/apps/shop/roles", |roles| roles["cycle"] == 1).await;
    assert_eq!(scene.get("", "/healthz").await, (StatusCode::OK, json!("ok\n")));
    scene.queues.set("work", Queue::Faulty);
    scene.post(&token, "/v1/roles/work/notify", json!({})).await;
    scene.until("", "/healthz", |health| health != "ok\n").await;
    let (status, health) = scene.get("", "/healthz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(health, "governors that have ended by an internal fault: 1; the log tells more\n");
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
        // What SQLite has put away in the meantime is not there any more.
        let Ok(bytes) = std::fs::read(entry.unwrap().path()) else { continue };
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
    assert_eq!(chart["series"]["ready_max"][0], 1000.0, "{chart}");
    let (_, charts) = scene.get(&token, "/v1/apps/shop/charts?points=60").await;
    assert_eq!(charts["roles"]["work"]["series"]["maximum"][0], 9.0, "{charts}");
    let (_, operations) = scene.get(&token, "/v1/apps/shop/operations?role=work").await;
    let operation = &operations["operations"][0];
    assert_eq!(
        (&operation["from"], &operation["to"], &operation["outcome"]),
        (&json!(1), &json!(9), &json!("applied"))
    );
    // What an operation is explained by is found by its time.
    let (_, explained) = scene.get(&token, &format!("/v1/apps/shop/roles/work?at={}", operation["at"])).await;
    assert_eq!(explained["at"], operation["at"]);
    assert_eq!(
        explained["lines"][4],
        json!({"label": "decision", "text": explained["summary"]}),
        "{explained}"
    );
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
    let body = |workers: u32| Some(json!({"workers": workers, "seconds": 600}));
    let (status, answer) = scene.ask(&token, Method::PUT, manual, body(10)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        answer["message"],
        "role `work` has at most 9 workers: set no more than that, or raise its `maximum` first"
    );
    assert_eq!(scene.ask(&token, Method::PUT, manual, body(7)).await.0, StatusCode::OK);
    scene
        .until(&token, "/v1/apps/shop/roles", |roles| {
            roles["roles"][0]["decision"]["reason"]["kind"] == "manual"
                && roles["roles"][0]["outcome"]["workers"] == 7
        })
        .await;
    assert_eq!(scene.platform.workers("work"), 7);
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
            let (status, answer) = scene.ask("admin-token", method.clone(), &path, Some(json!({}))).await;
            assert!(
                status != StatusCode::NOT_FOUND && status != StatusCode::METHOD_NOT_ALLOWED,
                "{method} {path}: {status} {answer}"
            );
        }
    }
}

#[test]
fn beyond_loopback_a_token_is_needed() {
    let refused = gate("0.0.0.0:0".parse().unwrap(), None).err().expect("it is open");
    assert!(refused.to_string().contains("a token is needed"), "{refused}");
    assert!(gate("127.0.0.1:0".parse().unwrap(), None).is_ok());
}

#[tokio::test]
async fn a_token_that_may_read_sees_everything_but_the_configuration_and_changes_nothing() {
    let scene = Scene::set().await;
    let token = scene.add("shop").await;
    let body = json!({"name": "wall", "may": "read"});
    let (status, made) = scene.post(&token, "/v1/apps/shop/tokens", body).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let reader = made["token"].as_str().unwrap();
    scene.until(reader, "/v1/apps/shop/scaling", |scaling| scaling["cycle"] == 1).await;
    let (_, me) = scene.get(reader, "/v1/me").await;
    assert_eq!(
        (&me["name"], &me["may"], &me["administers"]),
        (&json!("wall"), &json!("read"), &json!(false))
    );
    let manual = json!({"workers": 20, "seconds": 600});
    for (method, path, body) in [
        (Method::GET, "/config/shop", json!({})),
        (Method::POST, "/config/shop", json!({"config": CONFIG})),
        (Method::POST, "/v1/apps/shop/check", json!({"config": CONFIG})),
        (Method::POST, "/v1/apps/shop/preview", json!({"config": CONFIG})),
        (Method::GET, "/v1/apps/shop/versions", json!({})),
        (Method::GET, "/v1/apps/shop/tokens", json!({})),
        (Method::POST, "/v1/apps/shop/tokens", json!({"name": "mine"})),
        (Method::PUT, "/v1/apps/shop/platform", json!({"platform_token": "mine"})),
        (Method::PUT, "/v1/apps/shop/roles/work/manual", manual),
        (Method::PUT, "/v1/apps/shop/roles/work/pause", json!({"seconds": 60})),
        (Method::DELETE, "/v1/apps/shop/roles/work/pause", json!({})),
        (Method::DELETE, "/v1/apps/shop", json!({})),
        (Method::GET, "/v1/tokens", json!({})),
    ] {
        let (status, answer) = scene.ask(reader, method.clone(), path, Some(body)).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{method} {path}: {answer}");
    }
    assert_eq!(scene.platform.workers("work"), 9);
}

#[tokio::test]
async fn tokens_are_listed_without_their_text_and_revoked() {
    let scene = Scene::set().await;
    let token = scene.add("shop").await;
    let (_, made) = scene.post(&token, "/v1/apps/shop/tokens", json!({"name": "deploy"})).await;
    let other = made["token"].as_str().unwrap();
    let (_, list) = scene.get(&token, "/v1/apps/shop/tokens").await;
    assert!(!list.to_string().contains(other), "{list}");
    let find = |name: &str| {
        let tokens = list["tokens"].as_array().unwrap();
        tokens.iter().find(|token| token["name"] == name).unwrap().clone()
    };
    let (own, deploy) = (find("owner"), find("deploy"));
    assert_eq!((&own["is_yours"], &deploy["is_yours"]), (&json!(true), &json!(false)));
    let path = |token: &Value| format!("/v1/apps/shop/tokens/{}", token["id"].as_str().unwrap());
    assert_eq!(scene.ask(&token, Method::DELETE, &path(&own), None).await.0, StatusCode::CONFLICT);
    assert_eq!(scene.ask(&token, Method::DELETE, &path(&deploy), None).await.0, StatusCode::OK);
    assert_eq!(scene.get(other, "/v1/me").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(scene.ask(&token, Method::DELETE, &path(&deploy), None).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_application_is_listed_before_it_has_a_configuration_and_its_platforms_token_is_never_shown() {
    let scene = Scene::set().await;
    let body = json!({"id": "shop", "platform_app": "shop-production"});
    scene.post("admin-token", "/v1/apps", body).await;
    let (_, apps) = scene.get("admin-token", "/v1/apps").await;
    let app = &apps["apps"][0];
    assert_eq!((&app["is_governed"], &app["has_platform_token"]), (&json!(false), &json!(false)), "{app}");
    let body = Some(json!({"platform_token": "hunter2"}));
    let (status, app) = scene.ask("admin-token", Method::PUT, "/v1/apps/shop/platform", body).await;
    assert_eq!((status, &app["has_platform_token"]), (StatusCode::OK, &json!(true)), "{app}");
    assert_eq!(app["platform_app"], "shop-production");
    let (status, _) = scene.post("admin-token", "/config/shop", json!({"config": CONFIG})).await;
    assert_eq!(status, StatusCode::OK);
    let (_, apps) = scene.get("admin-token", "/v1/apps").await;
    assert_eq!(apps["apps"][0]["is_governed"], true);
    assert!(!apps.to_string().contains("hunter2"), "{apps}");
}

#[tokio::test]
async fn what_is_wrong_with_a_configuration_is_told_with_its_place_and_changes_nothing() {
    let scene = Scene::set().await;
    let token = scene.add("shop").await;
    let text = "'*': {pollinterval: 3600}\nwork: {min: 0, maximun: 9}\n";
    let (status, verdict) = scene.post(&token, "/v1/apps/shop/check", json!({ "config": text })).await;
    assert_eq!((status, &verdict["is_usable"]), (StatusCode::OK, &json!(false)), "{verdict}");
    let said = &verdict["diagnostics"][0];
    assert_eq!((&said["line"], &said["column"], &said["severity"]), (&json!(2), &json!(16), &json!("error")));
    assert_eq!(
        &text[said["start"].as_u64().unwrap() as usize..said["end"].as_u64().unwrap() as usize],
        "maximun"
    );
    let (_, verdict) = scene.post(&token, "/v1/apps/shop/check", json!({ "config": CONFIG })).await;
    assert_eq!(verdict, json!({"is_usable": true, "diagnostics": []}));
    assert_eq!(scene.get(&token, "/v1/apps/shop/versions").await.1["versions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_served_is_told_before_it_is_refused() {
    let scene = Scene::set().await;
    let token = scene.add("shop").await;
    let text = format!("{CONFIG}mails: {{source: {{kind: command, command: 'echo 1'}}}}\n");
    let (status, verdict) = scene.post(&token, "/v1/apps/shop/check", json!({ "config": text })).await;
    assert_eq!((status, &verdict["is_usable"]), (StatusCode::OK, &json!(false)), "{verdict}");
    let said = &verdict["diagnostics"][0];
    assert_eq!((&said["line"], &said["column"]), (&json!(3), &json!(1)), "{verdict}");
    let (status, refused) = scene.post(&token, "/config/shop", json!({ "config": text })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(said["message"], refused["message"]);
    assert!(said["message"].as_str().unwrap().contains("`command` is not to be had here"), "{verdict}");
}

#[tokio::test]
async fn every_refusal_has_a_message_and_nobody_unknown_has_a_body_read() {
    let scene = Scene::set().await;
    let token = scene.add("shop").await;
    let wrong = Some(json!({"configuration": CONFIG}));
    let (status, answer) = scene.ask(&token, Method::POST, "/config/shop", wrong.clone()).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer["message"].as_str().unwrap().contains("config"), "{answer}");
    let (status, answer) = scene.get(&token, "/v1/apps/shop/versions/first").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer["message"].is_string(), "{answer}");
    let (status, answer) = scene.ask(&token, Method::PATCH, "/config/shop", None).await;
    assert_eq!((status, &answer["message"]), (StatusCode::METHOD_NOT_ALLOWED, &json!("method not allowed")));
    let (status, answer) = scene.ask("nobody", Method::POST, "/config/shop", wrong).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{answer}");
}

#[tokio::test]
async fn a_configuration_is_previewed_on_what_was_recorded() {
    let scene = Scene::set().await;
    let token = scene.add("shop").await;
    scene.until(&token, "/v1/apps/shop/roles", |roles| roles["cycle"] == 1).await;
    let config = CONFIG.replace("max: 9", "max: 4");
    let (status, preview) = scene.post(&token, "/v1/apps/shop/preview", json!({ "config": config })).await;
    assert_eq!(status, StatusCode::OK, "{preview}");
    let role = &preview["roles"][0];
    assert_eq!((&role["was"], &role["would_be"]), (&json!([9.0]), &json!([4.0])), "{role}");
    let (status, _) = scene.post(&token, "/v1/apps/shop/preview", json!({"config": "work: {mux: 1}"})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(scene.platform.workers("work"), 9, "nothing has been changed");
}

#[tokio::test]
async fn a_role_is_paused_for_a_time() {
    let scene = Scene::set().await;
    let token = scene.add("shop").await;
    scene.until(&token, "/v1/apps/shop/scaling", |scaling| scaling["roles"][0]["condition"] == "late").await;
    let path = "/v1/apps/shop/roles/work/pause";
    let (status, set) = scene.ask(&token, Method::PUT, path, Some(json!({"seconds": 3600}))).await;
    assert_eq!(status, StatusCode::OK, "{set}");
    let paused = |scaling: &Value| scaling["roles"][0]["paused"]["until"] == set["until"];
    scene.until(&token, "/v1/apps/shop/scaling", paused).await;
    // Fewer are needed, but the number is left alone, and what somebody else does is respected.
    scene.queues.set("work", Queue::Holds(0));
    scene.platform.set("work", 7);
    scene.post(&token, "/v1/apps/shop/roles/work/notify", json!({})).await;
    let seen =
        |scaling: &Value| scaling["roles"][0]["ready"] == 0 && scaling["roles"][0]["condition"] == "paused";
    scene.until(&token, "/v1/apps/shop/scaling", seen).await;
    assert_eq!(scene.platform.workers("work"), 7);
    assert_eq!(scene.ask(&token, Method::DELETE, path, None).await.0, StatusCode::OK);
    scene.until(&token, "/v1/apps/shop/scaling", |scaling| scaling["roles"][0]["paused"].is_null()).await;
}

/// The page's types are made from this file: `npm --prefix web run types`.
#[test]
fn the_document_is_the_one_that_the_page_was_written_for() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/openapi/guv.json");
    let now = format!("{}\n", serde_json::to_string_pretty(&document()).unwrap());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).is_ok_and(|known| known == now),
        "web/openapi/guv.json is stale: UPDATE_DOCS=1 cargo nextest run -p guv the_document, then npm --prefix web run types"
    );
}

#[tokio::test]
async fn a_platforms_key_is_used_for_its_app_alone() {
    let scene = Scene::set().await;
    let body = json!({"id": "shop", "platform_app": "shop-production", "platform_token": "hunter2", "config": CONFIG});
    let (_, added) = scene.post("admin-token", "/v1/apps", body).await;
    let token = added["token"].as_str().unwrap();
    let foreign = json!({"config": "work: {app: victim}\n"});
    let (status, answer) = scene.post(token, "/config/shop", foreign).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
    assert!(answer.to_string().contains("is for `shop-production`"), "{answer}");
    let own = json!({"config": "work: {app: other, apikey: of-its-own}\n"});
    assert_eq!(scene.post(token, "/config/shop", own).await.0, StatusCode::OK);

    let elsewhere = Some(json!({"platform_app": "victim"}));
    let (status, answer) = scene.ask(token, Method::PUT, "/v1/apps/shop/platform", elsewhere).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
    let with_key = Some(json!({"platform_app": "bakery", "platform_token": "its own"}));
    assert_eq!(scene.ask(token, Method::PUT, "/v1/apps/shop/platform", with_key).await.0, StatusCode::OK);

    // To add it again changes only what is said.
    assert_eq!(scene.post("admin-token", "/v1/apps", json!({"id": "shop"})).await.0, StatusCode::CREATED);
    let (_, apps) = scene.get("admin-token", "/v1/apps").await;
    assert_eq!(apps["apps"][0]["platform_app"], "bakery");
}

#[tokio::test]
async fn a_configuration_that_is_refused_is_not_kept() {
    let scene = Scene::set().await;
    let token = scene.add("shop").await;
    let unserved =
        json!({"config": "work: {source: {kind: sql, url: 'postgres://nowhere/db', query: 'SELECT 1'}}\n"});
    let (status, answer) = scene.post(&token, "/config/shop", unserved).await;
    assert!(status.is_client_error(), "{status} {answer}");
    let (_, versions) = scene.get(&token, "/v1/apps/shop/versions").await;
    assert_eq!(versions["versions"].as_array().map(Vec::len), Some(1), "{versions}");
    assert_eq!(scene.get(&token, "/config/shop").await.1["configYaml"], CONFIG);
}

#[tokio::test]
async fn a_folder_is_one_services_at_a_time() {
    let scene = Scene::set().await;
    let options = || Options {
        address: "127.0.0.1:0".parse().unwrap(),
        folder: scene.folder.path().to_owned(),
        key: SealingKey::parse(&"a5".repeat(32)).unwrap(),
        admin: Some(TokenHash::of("admin-token")),
        registry: make(&scene.queues, &scene.platform),
    };
    let refused = serve(options(), CancellationToken::new()).await.err().expect("it is taken");
    assert!(refused.to_string().contains("another `guv serve`"), "{refused}");
    scene.cancel.cancel();
    scene.service.finished().await;
    let again = CancellationToken::new();
    let service = serve(options(), again.clone()).await.expect("it is free again");
    again.cancel();
    service.finished().await;
}
