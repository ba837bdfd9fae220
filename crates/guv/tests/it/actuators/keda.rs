//! KEDA's external scaler, asked by a gRPC client as KEDA asks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use guv::actuators::Keda;
use guv::actuators::keda::wire::external_scaler_client::ExternalScalerClient;
use guv::actuators::keda::wire::{GetMetricsRequest, ScaledObjectRef};
use guv::governor::{Governor, Options};
use guv::{Actuator, Registry, RoleConfig, sources};
use tokio::sync::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use super::conformance::{Bed, conforms};
use super::{apply, role};

struct Asked {
    keda: Keda,
    client: Mutex<ExternalScalerClient<Channel>>,
    _stop: DropGuard,
}

/// What KEDA says of the object that it scales.
fn object(role: &str) -> ScaledObjectRef {
    let scaler_metadata = HashMap::from([("role".to_owned(), role.to_owned())]);
    ScaledObjectRef { name: "a-deployment".to_owned(), namespace: "shop".to_owned(), scaler_metadata }
}

impl Asked {
    async fn start() -> Self {
        let cancel = CancellationToken::new();
        let (keda, address) = Keda::start("127.0.0.1:0".parse().unwrap(), cancel.clone()).await.unwrap();
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        let client = Mutex::new(ExternalScalerClient::new(channel));
        Self { keda, client, _stop: cancel.drop_guard() }
    }

    /// The number of workers that KEDA is told.
    async fn metric(&self) -> Result<i64, Code> {
        let scaled_object_ref = Some(object("resize"));
        let request = GetMetricsRequest { scaled_object_ref, metric_name: "guv-workers".to_owned() };
        let answer = self.client.lock().await.get_metrics(request).await.map_err(|status| status.code())?;
        Ok(answer.into_inner().metric_values[0].metric_value)
    }
}

#[guv::async_trait]
impl Bed for Asked {
    fn actuator(&self) -> &dyn Actuator {
        &self.keda
    }

    fn role(&self) -> RoleConfig {
        role("resize: {min: 0, actuator: keda}")
    }

    fn unknown(&self) -> Option<RoleConfig> {
        None
    }

    async fn running(&self) -> u32 {
        self.metric().await.map_or(0, |workers| u32::try_from(workers).unwrap())
    }

    async fn changes(&self) -> Option<usize> {
        None
    }

    fn counts(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn keda_conforms() {
    conforms(&Asked::start().await).await;
}

#[tokio::test]
async fn until_guv_has_decided_the_number_is_unknown_and_not_zero() {
    let asked = Asked::start().await;
    assert_eq!(asked.metric().await, Err(Code::Unavailable));
    let active = asked.client.lock().await.is_active(object("resize")).await;
    assert_eq!(active.unwrap_err().code(), Code::Unavailable);
    apply(&asked.keda, &asked.role(), 0).await.unwrap();
    assert_eq!(asked.metric().await, Ok(0));
    assert!(!asked.client.lock().await.is_active(object("resize")).await.unwrap().into_inner().result);
}

#[tokio::test]
async fn after_a_start_keda_is_told_what_holds_though_nothing_changes() {
    let asked = Asked::start().await;
    let idle = r#"echo "{\"ready\": 0, \"in_flight\": 0}""#;
    let text = format!("resize: {{min: 0, actuator: keda, source: {{kind: command, command: '{idle}'}}}}");
    let registry = Registry::new()
        .with_named_source("command", Arc::new(sources::command()))
        .with_named_actuator("keda", Arc::new(asked.keda.clone()));
    let options = Options { oneshot: true, ..Options::default() };
    let config = crate::doubles::config(&text);
    let governor = Governor::start(config, registry, options, CancellationToken::new()).unwrap();
    governor.finished().await.unwrap();
    assert_eq!(asked.metric().await, Ok(0));
}

#[tokio::test]
async fn one_worker_is_one_of_the_metric() {
    let asked = Asked::start().await;
    let specs =
        asked.client.lock().await.get_metric_spec(object("resize")).await.unwrap().into_inner().metric_specs;
    let told: Vec<_> = specs.iter().map(|spec| (spec.metric_name.as_str(), spec.target_size)).collect();
    assert_eq!(told, [("guv-workers", 1)]);
}

#[tokio::test]
async fn keda_is_told_at_once_when_there_is_something_to_do_and_when_not() {
    let asked = Asked::start().await;
    let mut news = asked.client.lock().await.stream_is_active(object("resize")).await.unwrap().into_inner();
    let mut told = Vec::new();
    for target in [1, 5, 0, 2] {
        apply(&asked.keda, &asked.role(), target).await.unwrap();
        if target != 5 {
            let message =
                tokio::time::timeout(Duration::from_secs(30), news.message()).await.expect("it is told");
            told.push(message.unwrap().unwrap().result);
        }
    }
    assert_eq!(told, [true, false, true], "from one to five is no news");
}
