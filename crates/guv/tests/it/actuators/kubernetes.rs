//! Kubernetes, by a double of the documented API: a cluster cannot be had where tests run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use guv::actuators::Kubernetes;
use guv::{Actuator, RoleConfig};
use serde_json::{Value, json};
use wiremock::matchers::{any, method};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::conformance::{Bed, Trouble, conforms, refuses};
use super::{apply, role};

/// The deployment `resize` in the namespace `shop`, and its pods.
#[derive(Clone, Default)]
struct Cluster(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    replicas: u64,
    /// Annotations of the pods, which exist as long as nobody deletes them.
    pods: BTreeMap<String, Value>,
    patches: usize,
    no_pods: bool,
}

impl Respond for Cluster {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.0.lock().unwrap();
        let path = request.url.path();
        let verb = request.method.as_str();
        let patch = || -> Value {
            let kind = request.headers.get("content-type").unwrap();
            assert_eq!(kind, "application/merge-patch+json");
            serde_json::from_slice(&request.body).unwrap()
        };
        let status = |code: u16, reason: &str| {
            let body = json!({"kind": "Status", "status": "Failure", "message": format!("{path} {reason}"), "reason": reason});
            ResponseTemplate::new(code).set_body_json(body)
        };
        if request.headers.get("authorization").is_none_or(|value| value != "Bearer key-1") {
            return status(401, "Unauthorized");
        }
        match (verb, path) {
            ("GET" | "PATCH", "/api-server/apis/apps/v1/namespaces/shop/deployments/resize/scale") => {
                if verb == "PATCH" {
                    state.patches += 1;
                    state.replicas = patch()["spec"]["replicas"].as_u64().unwrap();
                }
                // As the real one does, it leaves out what is 0.
                let spec = if state.replicas == 0 { json!({}) } else { json!({"replicas": state.replicas}) };
                let status = json!({"replicas": state.replicas, "selector": "app=resize"});
                ResponseTemplate::new(200)
                    .set_body_json(json!({"kind": "Scale", "spec": spec, "status": status}))
            }
            (_, path) if path.starts_with("/api-server/api/v1/namespaces/shop/pods") && state.no_pods => {
                status(403, "Forbidden")
            }
            ("GET", "/api-server/api/v1/namespaces/shop/pods") => {
                assert_eq!(request.url.query(), Some("labelSelector=app%3Dresize"));
                let pod = |(name, annotations): (&String, &Value)| {
                    let born = format!("2026-11-22T06:00:0{}Z", name.len());
                    json!({
                        "metadata": {"name": name, "creationTimestamp": born, "annotations": annotations},
                        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
                    })
                };
                let items: Vec<_> = state.pods.iter().map(pod).collect();
                ResponseTemplate::new(200).set_body_json(json!({"kind": "PodList", "items": items}))
            }
            ("PATCH", path) => match path.strip_prefix("/api-server/api/v1/namespaces/shop/pods/") {
                Some(name) => {
                    let annotations = patch()["metadata"]["annotations"].as_object().unwrap().clone();
                    let pod = state.pods.get_mut(name).unwrap();
                    pod.as_object_mut().unwrap().extend(annotations);
                    ResponseTemplate::new(200).set_body_json(json!({}))
                }
                None => status(404, "NotFound"),
            },
            _ => status(404, "NotFound"),
        }
    }
}

struct Double {
    server: MockServer,
    cluster: Cluster,
    kubernetes: Kubernetes,
}

impl Double {
    async fn start() -> Self {
        // Another test may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (server, cluster) = (MockServer::start().await, Cluster::default());
        Mock::given(any()).respond_with(cluster.clone()).mount(&server).await;
        Self { server, cluster, kubernetes: Kubernetes::new().unwrap() }
    }

    fn with(&self, worker: &str, token: &str) -> RoleConfig {
        let url = format!("{}/api-server", self.server.uri());
        let part = format!("{{kind: kubernetes, url: '{url}', namespace: shop, token: {token}}}");
        role(&format!("{worker}: {{actuator: {part}}}"))
    }
}

#[guv::async_trait]
impl Bed for Double {
    fn actuator(&self) -> &dyn Actuator {
        &self.kubernetes
    }

    fn role(&self) -> RoleConfig {
        self.with("resize", "key-1")
    }

    fn unknown(&self) -> Option<RoleConfig> {
        Some(self.with("resise", "key-1"))
    }

    async fn running(&self) -> u32 {
        u32::try_from(self.cluster.0.lock().unwrap().replicas).unwrap()
    }

    async fn changes(&self) -> Option<usize> {
        Some(self.cluster.0.lock().unwrap().patches)
    }
}

#[tokio::test]
async fn kubernetes_conforms() {
    conforms(&Double::start().await).await;
}

#[tokio::test]
async fn kubernetes_refuses_by_status() {
    for (trouble, answer) in [
        (Trouble::Exhausted, ResponseTemplate::new(429).insert_header("retry-after", "17")),
        (Trouble::Broken, ResponseTemplate::new(500)),
        (Trouble::Broken, ResponseTemplate::new(409)),
        (Trouble::Refused, ResponseTemplate::new(403)),
        (Trouble::Refused, ResponseTemplate::new(422)),
    ] {
        let bed = Double::start().await;
        Mock::given(method("PATCH")).respond_with(answer).with_priority(1).mount(&bed.server).await;
        refuses(&bed, trouble).await;
    }
}

#[tokio::test]
async fn before_shrinking_it_says_who_is_to_go() {
    let bed = Double::start().await;
    apply(&bed.kubernetes, &bed.role(), 3).await.unwrap();
    {
        let mut state = bed.cluster.0.lock().unwrap();
        // The longer the name, the younger.
        for (name, annotations) in [("a", json!({})), ("bb", json!({"guv/busy": "true"})), ("ccc", json!({}))]
        {
            state.pods.insert(name.to_owned(), annotations);
        }
    }
    apply(&bed.kubernetes, &bed.role(), 2).await.unwrap();
    let mut costs: Vec<(i64, String)> = {
        let state = bed.cluster.0.lock().unwrap();
        let cost = |pod: &Value| {
            pod["controller.kubernetes.io/pod-deletion-cost"].as_str().unwrap().parse().unwrap()
        };
        state.pods.iter().map(|(name, pod)| (cost(pod), name.clone())).collect()
    };
    costs.sort();
    let order: Vec<_> = costs.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(order, ["ccc", "a", "bb"], "the newest first, and who works last");
    assert_eq!(bed.running().await, 2);

    bed.cluster.0.lock().unwrap().no_pods = true;
    apply(&bed.kubernetes, &bed.role(), 1).await.expect("who may not choose can scale all the same");
    assert_eq!(bed.running().await, 1);
}

#[tokio::test]
async fn a_role_has_to_ask_for_it_and_to_say_where() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubernetes = Kubernetes::new().unwrap();
    let accepts = |text: &str| kubernetes.accepts(&role(text));
    assert!(accepts("r: {actuator: {kind: kubernetes, url: 'https://h:6443'}}").is_ok());
    assert!(accepts("r: {}").unwrap_err().contains("actuator: kubernetes"));
    assert!(accepts("r: {actuator: kubernetes}").unwrap_err().contains("`url:`"));
    let odd = "r: {actuator: {kind: kubernetes, url: 'https://h', kind_of: cronjob}}";
    assert!(accepts(odd).unwrap_err().contains("statefulset"));
}
