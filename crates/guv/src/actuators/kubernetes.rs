//! Kubernetes: the scale of a workload, by the API server.
//!
//! `GET` and `PATCH /apis/apps/v1/namespaces/{namespace}/{deployments|statefulsets|replicasets}/{name}/scale`, with the
//! merge patch `{"spec": {"replicas": N}}`. It needs the verbs get and patch of `deployments/scale`, and, to choose who
//! goes, list and patch of `pods`: before shrinking, pods that are not ready get the lowest
//! `controller.kubernetes.io/pod-deletion-cost`, then come the newest; one that annotates itself `guv/busy: "true"` while
//! it works goes last. Without the latter permission Kubernetes chooses.
//!
//! In a pod, the address, the certificate authority, the token and the namespace are those of its service account.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use guv_model::{AppName, RoleConfig, WorkerCount};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Certificate, Client, Method, RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use url::Url;

use super::failure::Failure;
use crate::redirect::firm_client;
use crate::{Actuator, ActuatorError, Answers, Change};

const KIND: &str = "kubernetes";
/// Where a pod finds what its service account may use.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// The kinds that have a scale, and their names in paths.
const KINDS: [(&str, &str); 3] =
    [("deployment", "deployments"), ("statefulset", "statefulsets"), ("replicaset", "replicasets")];
const COST: &str = "controller.kubernetes.io/pod-deletion-cost";
const BUSY: &str = "guv/busy";
/// The cost of a pod that works, and of one that is not ready.
const COSTS: [i32; 2] = [1_000_000, -1_000_000];
const HINTS: [&str; 2] = [
    "check the token, and that its role has the verbs get and patch of `deployments/scale`",
    "check `worker:`, `namespace:` and `kind_of:`",
];

/// Scales workloads of Kubernetes.
pub struct Kubernetes {
    http: Client,
    service_account: PathBuf,
    /// The API server as a pod finds it.
    address: Option<Url>,
}

/// The scale of a workload.
#[derive(Deserialize)]
struct Scale {
    #[serde(default)]
    spec: ScaleSpec,
    #[serde(default)]
    status: ScaleStatus,
}

#[derive(Default, Deserialize)]
struct ScaleSpec {
    /// Left out when it is 0.
    #[serde(default)]
    replicas: u32,
}

#[derive(Default, Deserialize)]
struct ScaleStatus {
    #[serde(default)]
    replicas: u32,
    #[serde(default)]
    selector: String,
}

#[derive(Deserialize)]
struct Pods {
    items: Vec<Pod>,
}

#[derive(Deserialize)]
struct Pod {
    metadata: PodMetadata,
    #[serde(default)]
    status: PodStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodMetadata {
    name: String,
    /// RFC 3339 in UTC, to the second: as text it sorts by time.
    #[serde(default)]
    creation_timestamp: String,
    #[serde(default)]
    annotations: HashMap<String, String>,
}

#[derive(Default, Deserialize)]
struct PodStatus {
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

impl Kubernetes {
    /// An actuator for all roles that ask for it, with what this pod's service account tells, if there is one.
    ///
    /// # Errors
    /// When there is no TLS provider, or the cluster's certificate authority cannot be read.
    pub fn new() -> Result<Self, reqwest::Error> {
        let service_account = PathBuf::from(SERVICE_ACCOUNT);
        let variable = |name| std::env::var(name).ok();
        let address = variable("KUBERNETES_SERVICE_HOST").and_then(|host| {
            let port = variable("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".to_owned());
            let host = if host.contains(':') { format!("[{host}]") } else { host };
            Url::parse(&format!("https://{host}:{port}/")).ok()
        });
        let mut http = firm_client().timeout(REQUEST_TIMEOUT);
        if let Ok(authority) = std::fs::read(service_account.join("ca.crt")) {
            for certificate in Certificate::from_pem_bundle(&authority)? {
                http = http.add_root_certificate(certificate);
            }
        }
        Ok(Self { http: http.build()?, service_account, address })
    }

    fn address<'a>(&'a self, role: &'a RoleConfig) -> Option<&'a Url> {
        let own = role.actuator.as_ref().and_then(|part| part.url("url")).map(|url| url.reveal());
        own.or(self.address.as_ref())
    }

    /// A request about something in the role's namespace, or below its workload.
    fn request(&self, method: Method, role: &RoleConfig, path: &[&str]) -> Result<RequestBuilder, Failure> {
        let part = role.actuator.as_ref();
        let address = self.address(role).ok_or_else(|| Failure::Fatal("it has no address".to_owned()))?;
        let mut url = address.clone();
        url.path_segments_mut()
            .map_err(|()| Failure::Fatal("`url:` cannot have a path".to_owned()))?
            .pop_if_empty()
            .extend(path);
        let request = self.http.request(method, url);
        // The token in the file is renewed every hour.
        Ok(match part.and_then(|part| part.secret("token")) {
            Some(token) => request.bearer_auth(token.reveal()),
            None => match read(&self.service_account.join("token")) {
                Some(token) => request.bearer_auth(token),
                None => request,
            },
        })
    }

    /// The path of the workload's scale.
    fn scale(&self, method: Method, role: &RoleConfig) -> Result<RequestBuilder, Failure> {
        let namespace = self.namespace(role);
        let kinds =
            kinds_of(role).ok_or_else(|| Failure::Fatal("there is no such kind of workload".to_owned()))?;
        let path = ["apis", "apps", "v1", "namespaces", &namespace, kinds, role.worker.as_str(), "scale"];
        self.request(method, role, &path)
    }

    fn namespace(&self, role: &RoleConfig) -> String {
        let own = role.actuator.as_ref().and_then(|part| part.text("namespace")).map(str::to_owned);
        own.or_else(|| read(&self.service_account.join("namespace"))).unwrap_or_else(|| "default".to_owned())
    }

    async fn current(&self, role: &RoleConfig) -> Result<Scale, Failure> {
        get(self.scale(Method::GET, role)?).await
    }

    async fn set(&self, change: &Change<'_>) -> Result<(), Failure> {
        let role = change.role;
        if change.current.is_none_or(|current| change.target < current) && change.target > 0 {
            let scale = self.current(role).await?;
            if let Err(failure) = self.choose(role, &scale.status.selector).await {
                tracing::debug!(
                    role = role.role.as_str(),
                    ?failure,
                    "Kubernetes itself chooses which pods go"
                );
            }
        }
        let body = json!({"spec": {"replicas": change.target}}).to_string();
        let request = self.scale(Method::PATCH, role)?;
        send(request.header(CONTENT_TYPE, "application/merge-patch+json").body(body)).await.map(drop)
    }

    /// Tells Kubernetes which pods are to go first.
    async fn choose(&self, role: &RoleConfig, selector: &str) -> Result<(), Failure> {
        let namespace = self.namespace(role);
        let path = ["api", "v1", "namespaces", namespace.as_str(), "pods"];
        let list = self.request(Method::GET, role, &path)?.query(&[("labelSelector", selector)]);
        let pods: Pods = get(list).await?;
        let patches = costs(&pods.items).into_iter().map(|(name, cost)| async move {
            let path = ["api", "v1", "namespaces", &self.namespace(role), "pods", name];
            let body = json!({"metadata": {"annotations": {COST: cost.to_string()}}}).to_string();
            let request = self.request(Method::PATCH, role, &path)?;
            send(request.header(CONTENT_TYPE, "application/merge-patch+json").body(body)).await.map(drop)
        });
        join_all(patches).await.into_iter().collect()
    }
}

/// The deletion cost of each pod that has another one so far.
fn costs(pods: &[Pod]) -> Vec<(&str, i32)> {
    let mut by_age: Vec<&Pod> = pods.iter().collect();
    by_age.sort_by(|a, b| b.metadata.creation_timestamp.cmp(&a.metadata.creation_timestamp));
    let cost = |(rank, pod): (usize, &'_ Pod)| {
        let ready = pod
            .status
            .conditions
            .iter()
            .any(|condition| condition.kind == "Ready" && condition.status == "True");
        let busy = pod.metadata.annotations.get(BUSY).is_some_and(|value| value == "true");
        match (busy, ready) {
            (true, _) => COSTS[0],
            (false, false) => COSTS[1],
            // The newest first.
            (false, true) => i32::try_from(rank).unwrap_or(COSTS[0] - 1),
        }
    };
    let wanted = by_age.iter().enumerate().map(|(rank, pod)| (*pod, cost((rank, pod))));
    wanted
        .filter(|(pod, cost)| pod.metadata.annotations.get(COST).is_none_or(|now| *now != cost.to_string()))
        .map(|(pod, cost)| (pod.metadata.name.as_str(), cost))
        .collect()
}

/// The name of the role's kind of workload in paths.
fn kinds_of(role: &RoleConfig) -> Option<&'static str> {
    let wanted = role.actuator.as_ref().and_then(|part| part.text("kind_of")).unwrap_or("deployment");
    KINDS.iter().find(|(kind, _)| *kind == wanted.to_lowercase()).map(|(_, path)| *path)
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

async fn send(request: RequestBuilder) -> Result<Response, Failure> {
    let response = request.send().await.map_err(|error| Failure::away("Kubernetes", error))?;
    if response.status().is_success() {
        Ok(response)
    } else {
        Err(Failure::of("Kubernetes", response, HINTS).await)
    }
}

async fn get<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, Failure> {
    send(request).await?.json().await.map_err(|error| Failure::away("Kubernetes", error))
}

#[async_trait]
impl Actuator for Kubernetes {
    fn accepts(&self, role: &RoleConfig) -> Result<(), String> {
        if role.actuator.as_ref().is_none_or(|part| part.kind() != KIND) {
            return Err("the role does not ask for it; say `actuator: kubernetes`".to_owned());
        }
        if kinds_of(role).is_none() {
            return Err("`kind_of` must be deployment, statefulset or replicaset".to_owned());
        }
        match self.address(role) {
            Some(_) => Ok(()),
            None => {
                Err("there is no API server here; set `url:` in `actuator:`, or run guv in a pod".to_owned())
            }
        }
    }

    fn place(&self, role: &RoleConfig) -> Option<Url> {
        Some(role.actuator.as_ref()?.url("url")?.reveal().clone())
    }

    async fn count(
        &self,
        _: Option<&AppName>,
        roles: &[&RoleConfig],
    ) -> Answers<Option<WorkerCount>, ActuatorError> {
        let counts = roles.iter().map(|role| async move {
            let count = self.current(role).await.map(|Scale { spec, status }| {
                let draining = Some(status.replicas.saturating_sub(spec.replicas));
                Some(WorkerCount { draining, ..WorkerCount::running(spec.replicas) })
            });
            (role.role.clone(), count.map_err(ActuatorError::from))
        });
        join_all(counts).await.into_iter().collect()
    }

    async fn apply(&self, _: Option<&AppName>, changes: &[Change<'_>]) -> Answers<(), ActuatorError> {
        let changes = changes.iter().map(|change| async move {
            (change.role.role.clone(), self.set(change).await.map_err(ActuatorError::from))
        });
        join_all(changes).await.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, born: u8, ready: bool, annotations: &[(&str, &str)]) -> Pod {
        let annotations: HashMap<_, _> = annotations.iter().copied().collect();
        serde_json::from_value(json!({
            "metadata": {"name": name, "creationTimestamp": format!("2026-11-22T06:00:{born:02}Z"), "annotations": annotations},
            "status": {"conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
        }))
        .unwrap()
    }

    #[test]
    fn who_is_not_ready_goes_first_then_the_newest_and_who_works_last() {
        let pods = [
            pod("old", 1, true, &[]),
            pod("new", 9, true, &[]),
            pod("booting", 5, false, &[]),
            pod("working", 8, true, &[(BUSY, "true")]),
        ];
        let mut costs = costs(&pods);
        costs.sort_by_key(|(_, cost)| *cost);
        let order: Vec<_> = costs.iter().map(|(name, _)| *name).collect();
        assert_eq!(order, ["booting", "new", "old", "working"]);
    }

    #[test]
    fn a_cost_that_is_right_is_not_written_again() {
        let pods = [pod("one", 1, true, &[(COST, "0")]), pod("two", 0, true, &[(COST, "0")])];
        assert_eq!(costs(&pods), [("two", 1)]);
    }
}
