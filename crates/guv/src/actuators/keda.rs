//! KEDA: guv as its external scaler, by gRPC.
//!
//! KEDA asks for each `ScaledObject` whose trigger is `external` or `external-push` with `scalerMetadata: {role: …}`: is
//! there anything to do, and how many workers are wanted. The metric is that number and its target is 1 a worker, so that
//! the autoscaler behind KEDA arrives at it exactly. Until guv has decided for a role, the answer is "unavailable", and
//! KEDA leaves everything as it is; an unknown number is not zero.
//!
//! Contract: `externalscaler.proto` of KEDA 2. It carries no secret, and is served without TLS, as KEDA's examples are: let it
//! listen where only the cluster gets in.

use std::collections::HashMap;
use std::net::SocketAddr;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use guv_model::{AppName, Role, RoleConfig, WorkerCount};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::codegen::tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::{Actuator, ActuatorError, Answers, Change};

use wire::external_scaler_server::{ExternalScaler, ExternalScalerServer};
use wire::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec, MetricValue,
    ScaledObjectRef,
};

/// The messages and the service, as they are on the wire.
#[allow(missing_docs, clippy::all, unreachable_pub, reason = "generated from proto/externalscaler.proto")]
pub mod wire {
    tonic::include_proto!("externalscaler");
}

const KIND: &str = "keda";
/// The name of the metric, and what it counts.
const METRIC: &str = "guv-workers";
/// The key of `scalerMetadata` that names the role; without it that is the name of the `ScaledObject`.
const ROLE: &str = "role";

/// Tells KEDA how many workers are wanted.
#[derive(Clone)]
pub struct Keda {
    wanted: watch::Sender<HashMap<Role, u32>>,
}

impl Keda {
    /// Starts serving at an address, until `cancel` is cancelled; port 0 takes any. Gives the address, too.
    ///
    /// # Errors
    /// When nobody can listen there.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn start(
        address: SocketAddr,
        cancel: CancellationToken,
    ) -> std::io::Result<(Self, SocketAddr)> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let keda = Self { wanted: watch::Sender::new(HashMap::new()) };
        let service = ExternalScalerServer::new(keda.clone());
        tokio::spawn(async move {
            let serving = tonic::transport::Server::builder().serve_with_incoming_shutdown(
                service,
                TcpListenerStream::new(listener),
                cancel.cancelled_owned(),
            );
            if let Err(error) = serving.await {
                tracing::error!(%error, "KEDA can no longer ask");
            }
        });
        Ok((keda, address))
    }

    fn wanted(&self, object: &ScaledObjectRef) -> Result<u32, Status> {
        let role = role(object);
        let unknown = || Status::unavailable(format!("guv has decided nothing for the role `{role}` yet"));
        self.wanted.borrow().get(&role).copied().ok_or_else(unknown)
    }
}

fn role(object: &ScaledObjectRef) -> Role {
    Role::new(object.scaler_metadata.get(ROLE).unwrap_or(&object.name))
}

#[async_trait]
impl ExternalScaler for Keda {
    type StreamIsActiveStream = BoxStream<'static, Result<IsActiveResponse, Status>>;

    async fn is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<IsActiveResponse>, Status> {
        let workers = self.wanted(request.get_ref())?;
        Ok(Response::new(IsActiveResponse { result: workers > 0 }))
    }

    async fn stream_is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamIsActiveStream>, Status> {
        let (role, changes, told) = (role(request.get_ref()), self.wanted.subscribe(), None);
        // Each change between nothing and something, beginning with how it is now.
        let stream = stream::unfold((role, changes, told), |(role, mut changes, told)| async move {
            let is_news = |wanted: &HashMap<Role, u32>| {
                wanted.get(&role).map(|workers| *workers > 0).filter(|active| Some(*active) != told)
            };
            let active = is_news(&*changes.wait_for(|wanted| is_news(wanted).is_some()).await.ok()?)?;
            Some((Ok(IsActiveResponse { result: active }), (role, changes, Some(active))))
        });
        Ok(Response::new(stream.boxed()))
    }

    async fn get_metric_spec(
        &self,
        _: Request<ScaledObjectRef>,
    ) -> Result<Response<GetMetricSpecResponse>, Status> {
        let spec = MetricSpec { metric_name: METRIC.to_owned(), target_size: 1 };
        Ok(Response::new(GetMetricSpecResponse { metric_specs: vec![spec] }))
    }

    async fn get_metrics(
        &self,
        request: Request<GetMetricsRequest>,
    ) -> Result<Response<GetMetricsResponse>, Status> {
        let object = request.get_ref().scaled_object_ref.as_ref();
        let object = object.ok_or_else(|| Status::invalid_argument("there is no scaledObjectRef"))?;
        let metric_value = i64::from(self.wanted(object)?);
        let value = MetricValue { metric_name: METRIC.to_owned(), metric_value };
        Ok(Response::new(GetMetricsResponse { metric_values: vec![value] }))
    }
}

#[async_trait]
impl Actuator for Keda {
    fn accepts(&self, role: &RoleConfig) -> Result<(), String> {
        match &role.actuator {
            Some(part) if part.kind() == KIND => Ok(()),
            _ => Err("the role does not ask for it; say `actuator: keda`".to_owned()),
        }
    }

    /// It does not tell how many there are.
    async fn count(
        &self,
        _: Option<&AppName>,
        roles: &[&RoleConfig],
    ) -> Answers<Option<WorkerCount>, ActuatorError> {
        roles.iter().map(|role| (role.role.clone(), Ok(None))).collect()
    }

    async fn apply(&self, _: Option<&AppName>, changes: &[Change<'_>]) -> Answers<(), ActuatorError> {
        self.wanted.send_modify(|wanted| {
            wanted.extend(changes.iter().map(|change| (change.role.role.clone(), change.target)));
        });
        changes.iter().map(|change| (change.role.role.clone(), Ok(()))).collect()
    }
}
