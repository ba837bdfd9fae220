//! Docker, by a double of the Engine API on a socket: no daemon runs where tests do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use guv::actuators::Docker;
use guv::{Actuator, RoleConfig};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::conformance::{Bed, Trouble, conforms, refuses};
use super::{apply, count, role};

/// Containers by id: what the Engine tells of each.
#[derive(Clone, Default)]
struct Engine(Arc<Mutex<EngineState>>);

#[derive(Default)]
struct EngineState {
    containers: BTreeMap<String, Value>,
    changes: usize,
    /// Changes are answered by this instead.
    refusal: Option<(u16, Value)>,
}

type Parameters = Query<BTreeMap<String, String>>;

async fn list(State(engine): State<Engine>, Query(query): Parameters) -> Json<Value> {
    assert_eq!(query["all"], "true");
    let filters: Value = serde_json::from_str(&query["filters"]).unwrap();
    let state = engine.0.lock().unwrap();
    let matches = |container: &Value| {
        filters["label"].as_array().unwrap().iter().all(|label| {
            let (name, value) = label.as_str().unwrap().split_once('=').unwrap();
            container["Config"]["Labels"][name] == value
        })
    };
    let told = state.containers.iter().filter(|(_, container)| matches(container)).map(|(id, container)| {
        json!({"Id": id, "Names": [container["Name"]], "State": container["State"]["Status"], "Labels": container["Config"]["Labels"]})
    });
    Json(told.collect())
}

async fn inspect(State(engine): State<Engine>, Path(id): Path<String>) -> Json<Value> {
    Json(engine.0.lock().unwrap().containers[&id].clone())
}

async fn create(State(engine): State<Engine>, Query(query): Parameters, Json(body): Json<Value>) -> Response {
    let mut state = engine.0.lock().unwrap();
    state.changes += 1;
    if let Some((status, body)) = &state.refusal {
        return (StatusCode::from_u16(*status).unwrap(), Json(body.clone())).into_response();
    }
    assert!(state.containers.values().all(|container| container["Name"] != query["name"]), "a name is taken");
    let id = format!("id-{}", state.containers.len());
    let container = json!({
        "Name": query["name"], "State": {"Status": "created"}, "Config": body, "HostConfig": body["HostConfig"],
        "NetworkSettings": {"Networks": body["NetworkingConfig"]["EndpointsConfig"]},
    });
    state.containers.insert(id.clone(), container);
    (StatusCode::CREATED, Json(json!({"Id": id, "Warnings": []}))).into_response()
}

async fn become_state(State(engine): State<Engine>, Path((id, verb)): Path<(String, String)>) -> Response {
    let mut state = engine.0.lock().unwrap();
    state.changes += 1;
    if let Some((status, body)) = &state.refusal {
        return (StatusCode::from_u16(*status).unwrap(), Json(body.clone())).into_response();
    }
    let status = match verb.as_str() {
        "start" => "running",
        "stop" => "exited",
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    state.containers.get_mut(&id).unwrap()["State"]["Status"] = json!(status);
    StatusCode::NO_CONTENT.into_response()
}

struct Double {
    _folder: TempDir,
    engine: Engine,
    docker: Docker,
    socket: String,
}

impl Double {
    fn start() -> Self {
        // Another test may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (folder, engine) = (tempfile::tempdir().unwrap(), Engine::default());
        let labels = json!({
            "com.docker.compose.project": "shop", "com.docker.compose.service": "resize",
            "com.docker.compose.container-number": "1",
        });
        let first = json!({
            "Name": "shop-resize-1", "State": {"Status": "exited"}, "HostConfig": {},
            "Config": {"Image": "resize", "Labels": labels}, "NetworkSettings": {"Networks": {"shop_default": {}}},
        });
        engine.0.lock().unwrap().containers.insert("id-first".to_owned(), first);
        let path = folder.path().join("docker.sock");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let router = Router::new()
            .route("/v1.41/containers/json", get(list))
            .route("/v1.41/containers/create", post(create))
            .route("/v1.41/containers/{id}/json", get(inspect))
            .route("/v1.41/containers/{id}/{verb}", post(become_state))
            .with_state(engine.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let socket = path.display().to_string();
        Self { _folder: folder, engine, docker: Docker::new(), socket }
    }

    fn with(&self, worker: &str) -> RoleConfig {
        role(&format!("{worker}: {{actuator: {{kind: docker, socket: 'unix://{}'}}}}", self.socket))
    }
}

#[guv::async_trait]
impl Bed for Double {
    fn actuator(&self) -> &dyn Actuator {
        &self.docker
    }

    fn role(&self) -> RoleConfig {
        self.with("resize")
    }

    fn unknown(&self) -> Option<RoleConfig> {
        Some(self.with("resise"))
    }

    async fn running(&self) -> u32 {
        let state = self.engine.0.lock().unwrap();
        let running = state.containers.values().filter(|container| container["State"]["Status"] == "running");
        u32::try_from(running.count()).unwrap()
    }

    async fn changes(&self) -> Option<usize> {
        Some(self.engine.0.lock().unwrap().changes)
    }
}

#[tokio::test]
async fn docker_conforms() {
    let bed = Double::start();
    conforms(&bed).await;
    let state = bed.engine.0.lock().unwrap();
    let names: Vec<_> =
        state.containers.values().map(|container| container["Name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 4, "stopped ones are used again: {names:?}");
    let copy = state.containers.values().find(|container| container["Name"] == "shop-resize-2").unwrap();
    assert_eq!(copy["Config"]["Image"], "resize");
    assert!(copy["NetworkSettings"]["Networks"]["shop_default"].is_object(), "{copy}");
}

#[tokio::test]
async fn docker_refuses_by_status() {
    for (trouble, status) in [(Trouble::Broken, 500), (Trouble::Broken, 409), (Trouble::Refused, 400)] {
        let bed = Double::start();
        bed.engine.0.lock().unwrap().refusal = Some((status, json!({"message": "no"})));
        refuses(&bed, trouble).await;
    }
}

#[tokio::test]
async fn containers_of_docker_compose_run_are_not_workers() {
    let bed = Double::start();
    {
        let mut state = bed.engine.0.lock().unwrap();
        let mut one_off = state.containers["id-first"].clone();
        one_off["Name"] = json!("shop-resize-run-0123456789ab");
        one_off["Config"]["Labels"]["com.docker.compose.oneoff"] = json!("True");
        one_off["State"]["Status"] = json!("running");
        state.containers.insert("id-console".to_owned(), one_off.clone());
        // Stopped, and before all others.
        one_off["State"]["Status"] = json!("exited");
        state.containers.insert("id-a-migration".to_owned(), one_off);
    }
    assert_eq!(count(&bed.docker, &bed.role()).await.unwrap().unwrap().current, 0);
    let state_of = |id: &str| {
        let state = bed.engine.0.lock().unwrap();
        state.containers[id]["State"]["Status"].as_str().unwrap().to_owned()
    };
    apply(&bed.docker, &bed.role(), 2).await.unwrap();
    assert_eq!((state_of("id-first"), state_of("id-a-migration")), ("running".into(), "exited".into()));
    apply(&bed.docker, &bed.role(), 0).await.unwrap();
    assert_eq!(state_of("id-console"), "running");
}

#[test]
fn what_happens_at_one_socket_does_not_delay_the_others() {
    let place = |socket: &str| {
        let role = role(&format!("resize: {{actuator: {{kind: docker, socket: '{socket}'}}}}"));
        Docker::new().place(&role).expect("it is somewhere")
    };
    assert_ne!(place("/run/one.sock"), place("/run/two.sock"));
    assert_eq!(place("/run/one.sock"), place("unix:///run/one.sock"));
    assert_eq!(place("tcp://docker:2375").as_str(), "http://docker:2375/");
}
