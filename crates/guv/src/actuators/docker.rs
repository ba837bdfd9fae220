//! Docker: the containers of a Compose service, by the Engine API (1.41 and later).
//!
//! The containers are those with the labels `com.docker.compose.project` (the role's `project`, else its `app`; any
//! project if neither is set) and `com.docker.compose.service` (its `worker`), but for those of `docker compose run`, which
//! somebody has started for something else. More of them: stopped ones are started, then
//! copies of one that there is are made, as `docker compose up --scale` makes them. Fewer: those with the highest numbers
//! are stopped, with the role's grace, and kept, so that there is always one to copy.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use guv_model::{AppName, RoleConfig, WorkerCount};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::failure::Failure;
use crate::redirect::firm_client;
use crate::{Actuator, ActuatorError, Answers, Change};

const KIND: &str = "docker";
const SOCKET: &str = "/var/run/docker.sock";
const VERSION: &str = "v1.41";
/// How long one request may take, but for stopping, which takes the grace.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";
const NUMBER: &str = "com.docker.compose.container-number";
/// `True` with containers of `docker compose run`.
const ONE_OFF: &str = "com.docker.compose.oneoff";
const HINTS: [&str; 2] = ["let guv use Docker's socket", "check `worker:` and `project:`"];

/// Where Docker listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    Socket(PathBuf),
    Address(Url),
}

/// Scales services of Compose.
#[derive(Default)]
pub struct Docker {
    clients: Mutex<HashMap<Place, Client>>,
    /// Containers that were told to stop and run still.
    stopping: Arc<Mutex<HashSet<String>>>,
}

/// A container, as the list tells.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    id: String,
    /// `created`, `running`, `paused`, `restarting`, `exited`, `removing` or `dead`.
    state: String,
    #[serde(default)]
    labels: HashMap<String, String>,
}

/// What to do to have so many containers.
#[derive(Debug, Default, PartialEq)]
struct Plan {
    start: Vec<String>,
    /// The number of each copy, in the order of creation.
    copies: Vec<u32>,
    stop: Vec<String>,
}

impl Docker {
    /// An actuator for all roles that ask for it.
    pub fn new() -> Self {
        Self::default()
    }

    async fn containers(&self, app: Option<&AppName>, role: &RoleConfig) -> Result<Vec<Container>, Failure> {
        let mut labels = vec![format!("{SERVICE}={}", role.worker)];
        let project = role.actuator.as_ref().and_then(|part| part.text("project"));
        labels.extend(project.or(app.map(AppName::as_str)).map(|project| format!("{PROJECT}={project}")));
        let filters = json!({ "label": labels }).to_string();
        let request = self.request(role, Method::GET, &["containers", "json"])?;
        let response = send(request.query(&[("all", "true"), ("filters", &filters)])).await?;
        let mut containers: Vec<Container> =
            response.json().await.map_err(|error| Failure::away("Docker", error))?;
        containers.retain(|container| !is_one_off(container));
        if containers.is_empty() {
            return Err(Failure::Fatal(format!(
                "there is no container of service `{}`; create one by `docker compose up --no-start {}`, and check \
                 `worker:` and `project:`",
                role.worker, role.worker
            )));
        }
        Ok(containers)
    }

    async fn set(&self, app: Option<&AppName>, change: &Change<'_>) -> Result<(), Failure> {
        let role = change.role;
        let containers = self.containers(app, role).await?;
        let plan = plan(&containers, &self.stopping(), change.target);
        for id in &plan.start {
            self.start(role, id).await?;
        }
        if !plan.copies.is_empty() {
            let request = self.request(role, Method::GET, &["containers", &containers[0].id, "json"])?;
            let like: Value =
                send(request).await?.json().await.map_err(|error| Failure::away("Docker", error))?;
            for number in &plan.copies {
                self.copy(role, &like, *number).await?;
            }
        }
        for id in plan.stop {
            self.stop(role, id)?;
        }
        Ok(())
    }

    async fn start(&self, role: &RoleConfig, id: &str) -> Result<(), Failure> {
        send(self.request(role, Method::POST, &["containers", id, "start"])?).await.map(drop)
    }

    async fn copy(&self, role: &RoleConfig, like: &Value, number: u32) -> Result<(), Failure> {
        let (name, body) = copy_of(like, number);
        let request = self.request(role, Method::POST, &["containers", "create"])?;
        let response = send(request.query(&[("name", &name)]).json(&body)).await?;
        let created: Value = response.json().await.map_err(|error| Failure::away("Docker", error))?;
        match created.get("Id").and_then(Value::as_str) {
            Some(id) => self.start(role, id).await,
            None => Err(Failure::Fatal("Docker tells no id of the container that it has created".to_owned())),
        }
    }

    /// Stops a container. Docker answers when it has ended, so that nobody waits for that.
    fn stop(&self, role: &RoleConfig, id: String) -> Result<(), Failure> {
        let request = self.request(role, Method::POST, &["containers", &id, "stop"])?;
        let grace = role.grace.as_secs().max(1);
        let request = request.query(&[("t", grace)]).timeout(role.grace + REQUEST_TIMEOUT);
        self.stopping().insert(id.clone());
        let stopping = self.stopping.clone();
        tokio::spawn(async move {
            if let Err(failure) = send(request).await {
                tracing::warn!(?failure, "a container could not be stopped");
            }
            stopping.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        });
        Ok(())
    }

    fn stopping(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.stopping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self, role: &RoleConfig, method: Method, path: &[&str]) -> Result<RequestBuilder, Failure> {
        let place = place(role);
        let mut url = match &place {
            // The name is not looked up.
            Place::Socket(_) => Url::parse("http://docker/").expect("it is a URL"),
            Place::Address(url) => url.clone(),
        };
        url.path_segments_mut()
            .map_err(|()| Failure::Fatal("`socket:` is neither a path nor an address".to_owned()))?
            .pop_if_empty()
            .push(VERSION)
            .extend(path);
        Ok(self.client(place)?.request(method, url))
    }

    fn client(&self, place: Place) -> Result<Client, Failure> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&place) {
            return Ok(client.clone());
        }
        let mut builder = firm_client().timeout(REQUEST_TIMEOUT);
        if let Place::Socket(path) = &place {
            builder = builder.unix_socket(path.as_path());
        }
        let client =
            builder.build().map_err(|error| Failure::Fatal(format!("Docker cannot be asked: {error}")))?;
        clients.insert(place, client.clone());
        Ok(client)
    }
}

/// Where the role's Docker listens.
fn place(role: &RoleConfig) -> Place {
    let own = role.actuator.as_ref().and_then(|part| part.text("socket")).map(str::to_owned);
    let text = own.or_else(|| std::env::var("DOCKER_HOST").ok()).unwrap_or_else(|| SOCKET.to_owned());
    let path = text.strip_prefix("unix://").unwrap_or(&text);
    match Url::parse(&path.replacen("tcp://", "http://", 1)) {
        Ok(url) if url.has_host() => Place::Address(url),
        _ => Place::Socket(Path::new(path).to_owned()),
    }
}

async fn send(request: RequestBuilder) -> Result<Response, Failure> {
    let response = request.send().await.map_err(|error| Failure::away("Docker", error))?;
    match response.status() {
        // It was so already.
        StatusCode::NOT_MODIFIED => Ok(response),
        status if status.is_success() => Ok(response),
        _ => Err(Failure::of("Docker", response, HINTS).await),
    }
}

fn is_up(container: &Container, stopping: &HashSet<String>) -> bool {
    matches!(container.state.as_str(), "running" | "restarting" | "paused")
        && !stopping.contains(&container.id)
}

fn is_one_off(container: &Container) -> bool {
    container.labels.get(ONE_OFF).is_some_and(|is| is.eq_ignore_ascii_case("true"))
}

fn number(container: &Container) -> u32 {
    container.labels.get(NUMBER).and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn plan(containers: &[Container], stopping: &HashSet<String>, target: u32) -> Plan {
    let target = usize::try_from(target).unwrap_or(usize::MAX);
    let mut up: Vec<&Container> = containers.iter().filter(|container| is_up(container, stopping)).collect();
    up.sort_by_key(|container| number(container));
    if up.len() >= target {
        let stop = up[target..].iter().rev().map(|container| container.id.clone()).collect();
        return Plan { stop, ..Plan::default() };
    }
    let idle = |container: &&Container| matches!(container.state.as_str(), "created" | "exited");
    let mut stopped: Vec<&Container> = containers.iter().filter(idle).collect();
    stopped.sort_by_key(|container| number(container));
    let missing = target - up.len();
    let start: Vec<_> = stopped.iter().take(missing).map(|container| container.id.clone()).collect();
    let taken: HashSet<u32> = containers.iter().map(number).collect();
    let copies = (1..).filter(|number| !taken.contains(number)).take(missing - start.len()).collect();
    Plan { start, copies, stop: Vec::new() }
}

/// The name and the description of a container like another one.
fn copy_of(like: &Value, number: u32) -> (String, Value) {
    let mut body = like.get("Config").cloned().unwrap_or_else(|| json!({}));
    if let Some(config) = body.as_object_mut() {
        // By default its own id, as with the first one.
        config.remove("Hostname");
        config.insert("HostConfig".to_owned(), like.get("HostConfig").cloned().unwrap_or(Value::Null));
    }
    body["Labels"][NUMBER] = json!(number.to_string());
    let service = body["Labels"][SERVICE].as_str().unwrap_or("worker").to_owned();
    let networks = like.pointer("/NetworkSettings/Networks").and_then(Value::as_object);
    let endpoints: serde_json::Map<_, _> = networks
        .into_iter()
        .flat_map(|networks| networks.keys())
        .map(|network| (network.clone(), json!({"Aliases": [service]})))
        .collect();
    body["NetworkingConfig"] = json!({ "EndpointsConfig": endpoints });
    let name = match body["Labels"][PROJECT].as_str() {
        Some(project) => format!("{project}-{service}-{number}"),
        None => format!("{service}-{number}"),
    };
    (name, body)
}

#[async_trait]
impl Actuator for Docker {
    fn accepts(&self, role: &RoleConfig) -> Result<(), String> {
        match role.actuator.as_ref() {
            Some(part) if part.kind() == KIND => Ok(()),
            _ => Err("the role does not ask for it; say `actuator: docker`".to_owned()),
        }
    }

    fn place(&self, role: &RoleConfig) -> Option<Url> {
        match place(role) {
            Place::Address(url) => Some(url),
            Place::Socket(path) => Url::parse(&format!("unix:{}", path.display())).ok(),
        }
    }

    async fn count(
        &self,
        app: Option<&AppName>,
        roles: &[&RoleConfig],
    ) -> Answers<Option<WorkerCount>, ActuatorError> {
        let counts = roles.iter().map(|role| async move {
            let count = self.containers(app, role).await.map(|containers| {
                let stopping = self.stopping();
                let number_of = |which: &dyn Fn(&&Container) -> bool| {
                    u32::try_from(containers.iter().filter(which).count()).unwrap_or(u32::MAX)
                };
                Some(WorkerCount {
                    draining: Some(number_of(&|container| stopping.contains(&container.id))),
                    drains: true,
                    ..WorkerCount::running(number_of(&|container| is_up(container, &stopping)))
                })
            });
            (role.role.clone(), count.map_err(ActuatorError::from))
        });
        join_all(counts).await.into_iter().collect()
    }

    async fn apply(&self, app: Option<&AppName>, changes: &[Change<'_>]) -> Answers<(), ActuatorError> {
        let changes = changes.iter().map(|change| async move {
            (change.role.role.clone(), self.set(app, change).await.map_err(ActuatorError::from))
        });
        join_all(changes).await.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(id: &str, state: &str, number: u32) -> Container {
        let labels = HashMap::from([(NUMBER.to_owned(), number.to_string())]);
        Container { id: id.to_owned(), state: state.to_owned(), labels }
    }

    #[test]
    fn stopped_ones_are_started_before_copies_are_made_and_the_highest_stop_first() {
        let containers =
            [container("b", "running", 2), container("a", "running", 1), container("c", "exited", 3)];
        let none = HashSet::new();
        let strings = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        assert_eq!(plan(&containers, &none, 2), Plan::default());
        let up = Plan { start: strings(&["c"]), copies: vec![4, 5], stop: vec![] };
        assert_eq!(plan(&containers, &none, 5), up);
        assert_eq!(plan(&containers, &none, 0).stop, ["b", "a"]);
        let stopping = HashSet::from(["b".to_owned()]);
        assert_eq!(plan(&containers, &stopping, 1), Plan::default(), "one goes already");
    }

    #[test]
    fn a_copy_has_its_own_name_and_number() {
        let like = json!({
            "Config": {"Hostname": "0123456789ab", "Image": "worker:1", "Env": ["A=b"],
                       "Labels": {PROJECT: "shop", SERVICE: "resize", NUMBER: "1"}},
            "HostConfig": {"NetworkMode": "shop_default"},
            "NetworkSettings": {"Networks": {"shop_default": {"IPAddress": "172.18.0.2"}}},
        });
        let (name, body) = copy_of(&like, 7);
        let expected = json!({
            "Image": "worker:1", "Env": ["A=b"],
            "Labels": {PROJECT: "shop", SERVICE: "resize", NUMBER: "7"},
            "HostConfig": {"NetworkMode": "shop_default"},
            "NetworkingConfig": {"EndpointsConfig": {"shop_default": {"Aliases": ["resize"]}}},
        });
        assert_eq!((name.as_str(), body), ("shop-resize-7", expected));
    }
}
