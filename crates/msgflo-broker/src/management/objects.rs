//! What can be made and removed: virtual hosts, exchanges, queues, bindings.

use amq_protocol::protocol::{AMQPClass, exchange, queue};
use amq_protocol::types::FieldTable;
use axum::extract::{Path, Query as Parameters, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::arguments::from_json;
use super::inside::{Inside, Refusal};
use super::views::properties_key;
use super::{Caller, Context, Management, Problem, User};
use crate::broker::{BindingSurvey, Exception};

type Done = Result<StatusCode, Problem>;

impl Management {
    /// A client of our own in a virtual host.
    pub(super) fn inside(&self, caller: &Caller, vhost: &str) -> Result<Inside, Problem> {
        self.check_vhost(caller, vhost)?;
        Ok(Inside::open(&self.shared, &caller.0, vhost)?)
    }
}

/// A queue, as it is asked for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct QueueWish {
    #[serde(default)]
    durable: Option<bool>,
    #[serde(default)]
    auto_delete: bool,
    #[serde(default)]
    arguments: Value,
}

/// An exchange, as it is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct ExchangeWish {
    #[serde(rename = "type", default = "direct")]
    kind: String,
    #[serde(default)]
    durable: Option<bool>,
    #[serde(default)]
    auto_delete: bool,
    #[serde(default)]
    internal: bool,
    #[serde(default)]
    arguments: Value,
}

/// A binding, as it is asked for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct BindingWish {
    #[serde(default)]
    routing_key: String,
    #[serde(default)]
    arguments: Value,
}

fn direct() -> String {
    "direct".to_owned()
}

fn table(arguments: &Value) -> Result<FieldTable, Refusal> {
    let text = "arguments must be an object whose keys have at most 255 bytes";
    from_json(arguments).ok_or_else(|| Refusal { code: 400, text: text.to_owned() })
}

/// A name fits into the protocol's short string.
fn short(name: &str) -> Result<amq_protocol::types::ShortString, Refusal> {
    match name.len() {
        0..=255 => Ok(name.into()),
        _ => Err(Refusal { code: 400, text: "a name has at most 255 bytes".to_owned() }),
    }
}

impl Inside {
    pub(super) async fn declare_queue(&mut self, name: &str, wish: &QueueWish) -> Result<(), Refusal> {
        let declare = queue::Declare {
            queue: short(name)?,
            passive: false,
            durable: wish.durable.unwrap_or(true),
            exclusive: false,
            auto_delete: wish.auto_delete,
            nowait: false,
            arguments: table(&wish.arguments)?,
        };
        self.method(AMQPClass::Queue(queue::AMQPMethod::Declare(declare))).await.map(drop)
    }

    pub(super) async fn declare_exchange(&mut self, name: &str, wish: &ExchangeWish) -> Result<(), Refusal> {
        let declare = exchange::Declare {
            exchange: short(name)?,
            kind: short(&wish.kind)?,
            passive: false,
            durable: wish.durable.unwrap_or(true),
            auto_delete: wish.auto_delete,
            internal: wish.internal,
            nowait: false,
            arguments: table(&wish.arguments)?,
        };
        self.method(AMQPClass::Exchange(exchange::AMQPMethod::Declare(declare))).await.map(drop)
    }

    pub(super) async fn bind(
        &mut self,
        source: &str,
        to_exchange: bool,
        destination: &str,
        wish: &BindingWish,
    ) -> Result<(), Refusal> {
        let (routing_key, arguments) = (short(&wish.routing_key)?, table(&wish.arguments)?);
        let (source, destination) = (short(source)?, short(destination)?);
        let class = if to_exchange {
            let bind = exchange::Bind { destination, source, routing_key, nowait: false, arguments };
            AMQPClass::Exchange(exchange::AMQPMethod::Bind(bind))
        } else {
            let bind =
                queue::Bind { queue: destination, exchange: source, routing_key, nowait: false, arguments };
            AMQPClass::Queue(queue::AMQPMethod::Bind(bind))
        };
        self.method(class).await.map(drop)
    }
}

pub(super) async fn put_vhost(
    State(management): Context,
    Extension(caller): User,
    Path(vhost): Path<String>,
) -> Done {
    if !management.access.may_open(&caller.0, &vhost) {
        return Err(Problem::Forbidden);
    }
    management.shared.add_vhosts(&[vhost]);
    Ok(StatusCode::CREATED)
}

pub(super) async fn put_queue(
    State(management): Context,
    Extension(caller): User,
    Path((vhost, name)): Path<(String, String)>,
    Json(wish): Json<QueueWish>,
) -> Done {
    let mut inside = management.inside(&caller, &vhost)?;
    let is_new = management.shared.with(|broker, _| broker.find_queue(&vhost, &name).is_none());
    inside.declare_queue(&name, &wish).await?;
    Ok(if is_new { StatusCode::CREATED } else { StatusCode::NO_CONTENT })
}

/// What deleting may depend on.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Conditions {
    #[serde(rename = "if-unused")]
    if_unused: Option<bool>,
    #[serde(rename = "if-empty")]
    if_empty: Option<bool>,
}

pub(super) async fn delete_queue(
    State(management): Context,
    Extension(caller): User,
    Path((vhost, name)): Path<(String, String)>,
    Parameters(conditions): Parameters<Conditions>,
) -> Done {
    let mut inside = management.inside(&caller, &vhost)?;
    if management.shared.with(|broker, _| broker.find_queue(&vhost, &name).is_none()) {
        return Err(Problem::NotFound);
    }
    let delete = queue::Delete {
        queue: short(&name)?,
        if_unused: conditions.if_unused.unwrap_or(false),
        if_empty: conditions.if_empty.unwrap_or(false),
        nowait: false,
    };
    inside.method(AMQPClass::Queue(queue::AMQPMethod::Delete(delete))).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn purge_queue(
    State(management): Context,
    Extension(caller): User,
    Path((vhost, name)): Path<(String, String)>,
) -> Done {
    let mut inside = management.inside(&caller, &vhost)?;
    let purge = queue::Purge { queue: short(&name)?, nowait: false };
    inside.method(AMQPClass::Queue(queue::AMQPMethod::Purge(purge))).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn put_exchange(
    State(management): Context,
    Extension(caller): User,
    Path((vhost, name)): Path<(String, String)>,
    Json(wish): Json<ExchangeWish>,
) -> Done {
    let mut inside = management.inside(&caller, &vhost)?;
    let exchanges = management.shared.with(|broker, _| broker.survey_exchanges(Some(&vhost)));
    let is_new = !exchanges.iter().any(|exchange| exchange.name == name);
    inside.declare_exchange(&name, &wish).await?;
    Ok(if is_new { StatusCode::CREATED } else { StatusCode::NO_CONTENT })
}

pub(super) async fn delete_exchange(
    State(management): Context,
    Extension(caller): User,
    Path((vhost, name)): Path<(String, String)>,
    Parameters(conditions): Parameters<Conditions>,
) -> Done {
    let mut inside = management.inside(&caller, &vhost)?;
    let exchanges = management.shared.with(|broker, _| broker.survey_exchanges(Some(&vhost)));
    if !exchanges.iter().any(|exchange| exchange.name == name) {
        return Err(Problem::NotFound);
    }
    let if_unused = conditions.if_unused.unwrap_or(false);
    let delete = exchange::Delete { exchange: short(&name)?, if_unused, nowait: false };
    inside.method(AMQPClass::Exchange(exchange::AMQPMethod::Delete(delete))).await?;
    Ok(StatusCode::NO_CONTENT)
}

type Ends = Path<(String, String, String, String)>;

/// Whether the destination of a path is an exchange (`e`) or a queue (`q`).
fn to_exchange(kind: &str) -> Result<bool, Problem> {
    match kind {
        "e" => Ok(true),
        "q" => Ok(false),
        _ => Err(Problem::NotFound),
    }
}

pub(super) async fn bind(
    State(management): Context,
    Extension(caller): User,
    Path((vhost, source, kind, destination)): Ends,
    Json(wish): Json<BindingWish>,
) -> Result<Response, Problem> {
    let mut inside = management.inside(&caller, &vhost)?;
    let to_exchange = to_exchange(&kind)?;
    inside.bind(&source, to_exchange, &destination, &wish).await?;
    let binding = BindingSurvey {
        vhost,
        source,
        to_exchange,
        destination,
        routing_key: wish.routing_key.clone(),
        arguments: table(&wish.arguments)?,
        durable: false,
    };
    Ok((StatusCode::CREATED, Json(json!({"properties_key": properties_key(&binding)}))).into_response())
}

pub(super) async fn unbind(
    State(management): Context,
    Extension(caller): User,
    Path((vhost, source, kind, destination, key)): Path<(String, String, String, String, String)>,
) -> Done {
    let mut inside = management.inside(&caller, &vhost)?;
    let to_exchange = to_exchange(&kind)?;
    let bindings = management.shared.with(|broker, _| broker.survey_bindings(Some(&vhost)));
    let found = bindings.into_iter().find(|binding| {
        binding.source == source
            && binding.to_exchange == to_exchange
            && binding.destination == destination
            && properties_key(binding) == key
    });
    let binding = found.ok_or(Problem::NotFound)?;
    let (source, routing_key) = (short(&source)?, short(&binding.routing_key)?);
    let (destination, arguments) = (short(&destination)?, binding.arguments);
    let class = if to_exchange {
        let unbind = exchange::Unbind { destination, source, routing_key, nowait: false, arguments };
        AMQPClass::Exchange(exchange::AMQPMethod::Unbind(unbind))
    } else {
        let unbind = queue::Unbind { queue: destination, exchange: source, routing_key, arguments };
        AMQPClass::Queue(queue::AMQPMethod::Unbind(unbind))
    };
    inside.method(class).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a client's connection.
pub(super) async fn close_connection(
    State(management): Context,
    Extension(caller): User,
    Path(name): Path<String>,
) -> Done {
    let connections = management.shared.with(|broker, _| broker.survey_connections());
    let connection =
        connections.iter().find(|connection| connection.name == name).ok_or(Problem::NotFound)?;
    management.check_vhost(&caller, &connection.vhost)?;
    let reason = Exception::forced("closed via management interface");
    management.shared.with(|broker, now| broker.fail(connection.id, reason, now));
    Ok(StatusCode::NO_CONTENT)
}
