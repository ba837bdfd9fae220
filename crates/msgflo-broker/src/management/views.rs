//! What can be looked at.

use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::extract::{Path, Query as Parameters, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::arguments::to_json;
use super::listing::Query;
use super::{Caller, Context, Management, Problem, User};
use crate::broker::{
    Alarms, BindingSurvey, ChannelSurvey, ConnectionSurvey, ConsumerSurvey, ExchangeSurvey, QueueSurvey,
};

/// What our node is called where RabbitMQ names nodes.
const NODE: &str = "msgflo@localhost";

type Answer = Result<Json<Value>, Problem>;

fn list(query: &Query, items: Vec<Value>) -> Answer {
    query.apply(items).map(Json).map_err(Problem::BadRequest)
}

pub(super) async fn overview(State(management): Context, Extension(caller): User) -> Json<Value> {
    let (queues, connections, channels, consumers, exchanges) = management.shared.with(|broker, _| {
        (
            broker.queue_infos(),
            broker.survey_connections(),
            broker.survey_channels(),
            broker.survey_consumers(None),
            broker.survey_exchanges(None),
        )
    });
    let queues = management.visible(&caller, queues);
    let ready: u64 = queues.iter().map(|queue| queue.ready).sum();
    let unacknowledged: u64 = queues.iter().map(|queue| queue.unacknowledged).sum();
    let listener = |protocol: &str, address: std::net::SocketAddr| json!({"node": NODE, "protocol": protocol, "ip_address": address.ip(), "port": address.port()});
    let addresses = &management.addresses;
    let listeners: Vec<_> = [
        Some(listener("amqp", addresses.amqp)),
        addresses.amqps.map(|address| listener("amqp/ssl", address)),
        addresses.management.map(|address| listener("http", address)),
    ]
    .into_iter()
    .flatten()
    .collect();
    Json(json!({
        "product_name": "msgflo",
        "product_version": env!("CARGO_PKG_VERSION"),
        "management_version": "3.10",
        "rabbitmq_version": "3.10",
        "node": NODE,
        "cluster_name": NODE,
        "rates_mode": "basic",
        "message_stats": management.rates().of_queues(&queues),
        "queue_totals": {
            "messages": ready + unacknowledged,
            "messages_ready": ready,
            "messages_unacknowledged": unacknowledged,
        },
        "object_totals": {
            "connections": management.visible(&caller, connections).len(),
            "channels": management.visible(&caller, channels).len(),
            "consumers": management.visible(&caller, consumers).len(),
            "exchanges": management.visible(&caller, exchanges).len(),
            "queues": queues.len(),
        },
        "listeners": listeners,
    }))
}

pub(super) async fn nodes(State(management): Context) -> Json<Value> {
    let (used, limit, alarms) =
        management.shared.with(|broker, _| (broker.memory_used(), broker.memory_limit(), broker.alarms()));
    Json(json!([{
        "name": NODE,
        "type": "disc",
        "running": true,
        "mem_used": used,
        "mem_limit": limit,
        "mem_alarm": alarms.memory.is_any(),
        "disk_free_alarm": alarms.disk.is_any(),
    }]))
}

pub(super) async fn alarms(State(management): Context) -> Response {
    let alarms = management.shared.with(|broker, _| broker.alarms());
    if alarms == Alarms::default() {
        return Json(json!({"status": "ok"})).into_response();
    }
    let body = json!({"status": "failed", "reason": alarms.to_string()});
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

pub(super) async fn whoami(Extension(caller): User) -> Json<Value> {
    Json(json!({"name": caller.0, "tags": ["administrator"]}))
}

pub(super) async fn users(State(management): Context) -> Json<Value> {
    let users = management.access.names().map(|name| json!({"name": name, "tags": ["administrator"]}));
    Json(users.collect())
}

fn vhost_view(management: &Management, name: &str) -> Value {
    let queues: Vec<_> = management
        .shared
        .with(|broker, _| broker.survey_queues(Some(name)).into_iter().map(|queue| queue.info).collect());
    let ready: u64 = queues.iter().map(|queue| queue.ready).sum();
    let unacknowledged: u64 = queues.iter().map(|queue| queue.unacknowledged).sum();
    json!({
        "name": name,
        "messages": ready + unacknowledged,
        "messages_ready": ready,
        "messages_unacknowledged": unacknowledged,
        "message_stats": management.rates().of_queues(&queues),
    })
}

pub(super) async fn vhosts(
    State(management): Context,
    Extension(caller): User,
    Parameters(query): Parameters<Query>,
) -> Answer {
    let names = management.visible_vhosts(&caller);
    list(&query, names.iter().map(|name| vhost_view(&management, name)).collect())
}

pub(super) async fn vhost(
    State(management): Context,
    Extension(caller): User,
    Path(vhost): Path<String>,
) -> Answer {
    management.check_vhost(&caller, &vhost)?;
    Ok(Json(vhost_view(&management, &vhost)))
}

fn queue_view(management: &Management, queue: &QueueSurvey) -> Value {
    let info = &queue.info;
    json!({
        "name": info.name,
        "vhost": info.vhost,
        "type": if queue.quorum { "quorum" } else { "classic" },
        "durable": info.durable,
        "auto_delete": info.auto_delete,
        "exclusive": info.exclusive,
        "owner_pid_details": queue.owner.as_ref().map(|name| json!({"name": name})),
        "arguments": to_json(&queue.arguments),
        "node": NODE,
        "state": "running",
        "consumers": info.consumers,
        "messages": info.ready + info.unacknowledged,
        "messages_ready": info.ready,
        "messages_unacknowledged": info.unacknowledged,
        "message_bytes_ready": info.ready_bytes,
        "head_message_timestamp": info.head_timestamp,
        "message_stats": management.rates().of_queue(info),
        "policy": null,
    })
}

fn queue_list(management: &Arc<Management>, caller: &Caller, vhost: Option<&str>, query: &Query) -> Answer {
    let queues = management.shared.with(|broker, _| broker.survey_queues(vhost));
    let queues = management.visible(caller, queues);
    list(query, queues.iter().map(|queue| queue_view(management, queue)).collect())
}

pub(super) async fn all_queues(
    State(management): Context,
    Extension(caller): User,
    Parameters(query): Parameters<Query>,
) -> Answer {
    queue_list(&management, &caller, None, &query)
}

pub(super) async fn queues(
    State(management): Context,
    Extension(caller): User,
    Path(vhost): Path<String>,
    Parameters(query): Parameters<Query>,
) -> Answer {
    management.check_vhost(&caller, &vhost)?;
    queue_list(&management, &caller, Some(&vhost), &query)
}

pub(super) async fn queue(
    State(management): Context,
    Extension(caller): User,
    Path((vhost, name)): Path<(String, String)>,
    Parameters(query): Parameters<Query>,
) -> Answer {
    management.check_vhost(&caller, &vhost)?;
    let (queue, consumers) = management
        .shared
        .with(|broker, _| (broker.find_queue(&vhost, &name), broker.survey_consumers(Some(&vhost))));
    let queue = queue.ok_or(Problem::NotFound)?;
    let mut view = queue_view(&management, &queue);
    let own = consumers.iter().filter(|consumer| consumer.queue == name);
    view["consumer_details"] = own.map(consumer_view).collect();
    Ok(Json(query.one(view)))
}

pub(super) async fn queue_bindings(
    State(management): Context,
    Extension(caller): User,
    Path((vhost, name)): Path<(String, String)>,
) -> Answer {
    management.check_vhost(&caller, &vhost)?;
    let bindings = management.shared.with(|broker, _| broker.survey_bindings(Some(&vhost)));
    let own = bindings.iter().filter(|binding| !binding.to_exchange && binding.destination == name);
    Ok(Json(own.map(binding_view).collect()))
}

fn exchange_view(management: &Management, exchange: &ExchangeSurvey) -> Value {
    let mut view = exchange_definition(exchange);
    if let Some(stats) = management.rates().of_exchange(exchange) {
        view["message_stats"] = stats;
    }
    view
}

/// What an exchange is declared with.
pub(super) fn exchange_definition(exchange: &ExchangeSurvey) -> Value {
    let mut arguments = json!({});
    if let Some(alternate) = &exchange.alternate {
        arguments["alternate-exchange"] = alternate.as_str().into();
    }
    json!({
        "name": exchange.name,
        "vhost": exchange.vhost,
        "type": exchange.kind,
        "durable": exchange.durable,
        "auto_delete": exchange.auto_delete,
        "internal": exchange.internal,
        "arguments": arguments,
    })
}

pub(super) async fn all_exchanges(
    State(management): Context,
    Extension(caller): User,
    Parameters(query): Parameters<Query>,
) -> Answer {
    let exchanges = management.shared.with(|broker, _| broker.survey_exchanges(None));
    let exchanges = management.visible(&caller, exchanges);
    list(&query, exchanges.iter().map(|exchange| exchange_view(&management, exchange)).collect())
}

pub(super) async fn exchanges(
    State(management): Context,
    Extension(caller): User,
    Path(vhost): Path<String>,
    Parameters(query): Parameters<Query>,
) -> Answer {
    management.check_vhost(&caller, &vhost)?;
    let exchanges = management.shared.with(|broker, _| broker.survey_exchanges(Some(&vhost)));
    list(&query, exchanges.iter().map(|exchange| exchange_view(&management, exchange)).collect())
}

pub(super) async fn exchange(
    State(management): Context,
    Extension(caller): User,
    Path((vhost, name)): Path<(String, String)>,
) -> Answer {
    management.check_vhost(&caller, &vhost)?;
    let exchanges = management.shared.with(|broker, _| broker.survey_exchanges(Some(&vhost)));
    let found = exchanges
        .iter()
        .find(|exchange| exchange.name == name || (name == "amq.default" && exchange.name.is_empty()));
    found.map(|exchange| Json(exchange_view(&management, exchange))).ok_or(Problem::NotFound)
}

pub(super) fn binding_view(binding: &BindingSurvey) -> Value {
    json!({
        "source": binding.source,
        "vhost": binding.vhost,
        "destination": binding.destination,
        "destination_type": if binding.to_exchange { "exchange" } else { "queue" },
        "routing_key": binding.routing_key,
        "arguments": to_json(&binding.arguments),
        "properties_key": properties_key(binding),
    })
}

/// What tells the bindings between the same two ends apart, in paths.
pub(super) fn properties_key(binding: &BindingSurvey) -> String {
    let key = match binding.routing_key.as_str() {
        "" => "~".to_owned(),
        key => key.to_owned(),
    };
    if binding.arguments.inner().is_empty() {
        return key;
    }
    // Any text that is another one for other arguments will do.
    let checksum = crc32fast::hash(to_json(&binding.arguments).to_string().as_bytes());
    format!("{key}~{checksum:08x}")
}

pub(super) async fn all_bindings(
    State(management): Context,
    Extension(caller): User,
    Parameters(query): Parameters<Query>,
) -> Answer {
    let bindings = management.shared.with(|broker, _| broker.survey_bindings(None));
    let bindings = management.visible(&caller, bindings);
    list(&query, bindings.iter().map(binding_view).collect())
}

pub(super) async fn bindings(
    State(management): Context,
    Extension(caller): User,
    Path(vhost): Path<String>,
    Parameters(query): Parameters<Query>,
) -> Answer {
    management.check_vhost(&caller, &vhost)?;
    let bindings = management.shared.with(|broker, _| broker.survey_bindings(Some(&vhost)));
    list(&query, bindings.iter().map(binding_view).collect())
}

pub(super) async fn bindings_between(
    State(management): Context,
    Extension(caller): User,
    Path((vhost, source, kind, destination)): Path<(String, String, String, String)>,
) -> Answer {
    management.check_vhost(&caller, &vhost)?;
    let bindings = management.shared.with(|broker, _| broker.survey_bindings(Some(&vhost)));
    let between = bindings.iter().filter(|binding| {
        binding.source == source && binding.to_exchange == (kind == "e") && binding.destination == destination
    });
    Ok(Json(between.map(binding_view).collect()))
}

fn connection_view(connection: &ConnectionSurvey) -> Value {
    json!({
        "name": connection.name,
        "user": connection.user,
        "vhost": connection.vhost,
        "protocol": "AMQP 0-9-1",
        "state": if connection.blocked { "blocked" } else { "running" },
        "channels": connection.channels,
        "channel_max": connection.channel_max,
        "connected_at": connection.since.0,
        "client_properties": to_json(&connection.client),
        "ssl": connection.tls,
        "node": NODE,
        "type": "network",
    })
}

pub(super) async fn connections(
    State(management): Context,
    Extension(caller): User,
    Parameters(query): Parameters<Query>,
) -> Answer {
    let connections = management.shared.with(|broker, _| broker.survey_connections());
    let connections = management.visible(&caller, connections);
    list(&query, connections.iter().map(connection_view).collect())
}

fn channel_view(channel: &ChannelSurvey) -> Value {
    json!({
        "name": format!("{} ({})", channel.connection, channel.number),
        "number": channel.number,
        "vhost": channel.vhost,
        "user": channel.user,
        "connection_details": {"name": channel.connection},
        "consumer_count": channel.consumers,
        "messages_unacknowledged": channel.unacknowledged,
        "messages_unconfirmed": channel.unconfirmed,
        "prefetch_count": channel.prefetch,
        "global_prefetch_count": channel.global_prefetch,
        "confirm": channel.confirms,
        "transactional": channel.transactional,
        "state": "running",
        "node": NODE,
    })
}

pub(super) async fn channels(
    State(management): Context,
    Extension(caller): User,
    Parameters(query): Parameters<Query>,
) -> Answer {
    let channels = management.shared.with(|broker, _| broker.survey_channels());
    let channels = management.visible(&caller, channels);
    list(&query, channels.iter().map(channel_view).collect())
}

fn consumer_view(consumer: &ConsumerSurvey) -> Value {
    json!({
        "consumer_tag": consumer.tag,
        "ack_required": consumer.ack,
        "exclusive": consumer.exclusive,
        "prefetch_count": consumer.prefetch,
        "active": consumer.active,
        "activity_status": if consumer.active { "up" } else { "single_active" },
        "queue": {"name": consumer.queue, "vhost": consumer.vhost},
        "channel_details": {
            "name": format!("{} ({})", consumer.connection, consumer.channel),
            "number": consumer.channel,
            "connection_name": consumer.connection,
        },
    })
}

pub(super) async fn all_consumers(
    State(management): Context,
    Extension(caller): User,
    Parameters(query): Parameters<Query>,
) -> Answer {
    let consumers = management.shared.with(|broker, _| broker.survey_consumers(None));
    let consumers = management.visible(&caller, consumers);
    list(&query, consumers.iter().map(consumer_view).collect())
}

pub(super) async fn consumers(
    State(management): Context,
    Extension(caller): User,
    Path(vhost): Path<String>,
    Parameters(query): Parameters<Query>,
) -> Answer {
    management.check_vhost(&caller, &vhost)?;
    let consumers = management.shared.with(|broker, _| broker.survey_consumers(Some(&vhost)));
    list(&query, consumers.iter().map(consumer_view).collect())
}
