//! Messages, looked at and put in by hand.

use amq_protocol::protocol::basic::{self, AMQPProperties, gen_properties, parse_properties};
use amq_protocol::protocol::{AMQPClass, confirm};
use axum::extract::{Path, State};
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::arguments::{from_json, to_json};
use super::{Context, Problem, User};
use crate::broker::{Command, Message, Name, Output, Publish};

/// Most messages of one answer.
const COUNT_MAX: u32 = 10_000;
/// An answer that has come to this is not made longer (bytes).
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// What is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct GetWish {
    #[serde(default = "one")]
    count: u32,
    #[serde(default)]
    ackmode: AckMode,
    #[serde(default)]
    encoding: Encoding,
    /// Longer payloads are cut (bytes).
    truncate: Option<usize>,
}

impl GetWish {
    fn cut<'a>(&self, body: &'a [u8]) -> &'a [u8] {
        &body[..self.truncate.unwrap_or(usize::MAX).min(body.len())]
    }
}

/// What becomes of the messages.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AckMode {
    #[default]
    AckRequeueTrue,
    RejectRequeueTrue,
    AckRequeueFalse,
    RejectRequeueFalse,
}

/// How payloads are written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    /// As text, if it is one.
    #[default]
    Auto,
    Base64,
}

fn one() -> u32 {
    1
}

pub(super) async fn get(
    State(management): Context,
    Extension(caller): User,
    Path((vhost, name)): Path<(String, String)>,
    Json(wish): Json<GetWish>,
) -> Result<Json<Value>, Problem> {
    let mut inside = management.inside(&caller, &vhost)?;
    if management.shared.with(|broker, _| broker.find_queue(&vhost, &name).is_none()) {
        return Err(Problem::NotFound);
    }
    let mut messages = Vec::new();
    let (mut last, mut bytes) = (0, 0);
    while messages.len() < wish.count.min(COUNT_MAX) as usize && bytes < BYTES_MAX {
        let get = basic::Get { queue: name.as_str().into(), no_ack: false };
        let answer = inside.method(AMQPClass::Basic(basic::AMQPMethod::Get(get))).await?;
        let Output::Got { tag, redelivered, remaining, message, .. } = answer else { break };
        last = tag;
        bytes += wish.cut(&message.body).len() + message.properties.len();
        messages.push(view(&message, redelivered, remaining, &wish));
    }
    let requeue = matches!(wish.ackmode, AckMode::AckRequeueTrue | AckMode::RejectRequeueTrue);
    if last > 0 {
        let class = match wish.ackmode {
            AckMode::AckRequeueFalse => {
                basic::AMQPMethod::Ack(basic::Ack { delivery_tag: last, multiple: true })
            }
            _ => basic::AMQPMethod::Nack(basic::Nack { delivery_tag: last, multiple: true, requeue }),
        };
        inside.tell(Command::Method(AMQPClass::Basic(class)));
    }
    Ok(Json(messages.into()))
}

fn view(message: &Message, redelivered: bool, remaining: u32, wish: &GetWish) -> Value {
    let body = wish.cut(&message.body);
    let text = match wish.encoding {
        Encoding::Auto => str::from_utf8(body).ok(),
        Encoding::Base64 => None,
    };
    let (payload, encoding) = match text {
        Some(text) => (text.to_owned(), "string"),
        None => (STANDARD.encode(body), "base64"),
    };
    json!({
        "payload": payload,
        "payload_encoding": encoding,
        "payload_bytes": message.body.len(),
        "redelivered": redelivered,
        "exchange": message.exchange.as_str(),
        "routing_key": message.routing_key.as_str(),
        "message_count": remaining,
        "properties": properties_to_json(&message.properties),
    })
}

fn properties_to_json(raw: &[u8]) -> Value {
    // The codec cannot represent texts that are no UTF-8; they are left out with all others.
    let Ok((_, properties)) = parse_properties(raw) else { return json!({}) };
    let mut view = Map::new();
    let mut text = |key: &str, value: &Option<amq_protocol::types::ShortString>| {
        if let Some(value) = value {
            view.insert(key.to_owned(), value.as_str().into());
        }
    };
    text("content_type", properties.content_type());
    text("content_encoding", properties.content_encoding());
    text("correlation_id", properties.correlation_id());
    text("reply_to", properties.reply_to());
    text("expiration", properties.expiration());
    text("message_id", properties.message_id());
    text("type", properties.kind());
    text("user_id", properties.user_id());
    text("app_id", properties.app_id());
    if let Some(mode) = properties.delivery_mode() {
        view.insert("delivery_mode".to_owned(), (*mode).into());
    }
    if let Some(priority) = properties.priority() {
        view.insert("priority".to_owned(), (*priority).into());
    }
    if let Some(timestamp) = properties.timestamp() {
        view.insert("timestamp".to_owned(), (*timestamp).into());
    }
    if let Some(headers) = properties.headers() {
        view.insert("headers".to_owned(), to_json(headers));
    }
    view.into()
}

fn properties_from_json(view: &Value) -> Option<AMQPProperties> {
    let mut properties = AMQPProperties::default();
    if let Value::Array(none) = view
        && none.is_empty()
    {
        return Some(properties);
    }
    for (key, value) in view.as_object()? {
        let text = || value.as_str().filter(|text| text.len() < 256).map(Into::into);
        let octet = || value.as_u64().and_then(|number| u8::try_from(number).ok());
        properties = match key.as_str() {
            "content_type" => properties.with_content_type(text()?),
            "content_encoding" => properties.with_content_encoding(text()?),
            "correlation_id" => properties.with_correlation_id(text()?),
            "reply_to" => properties.with_reply_to(text()?),
            "expiration" => properties.with_expiration(text()?),
            "message_id" => properties.with_message_id(text()?),
            "type" => properties.with_type(text()?),
            "user_id" => properties.with_user_id(text()?),
            "app_id" => properties.with_app_id(text()?),
            "delivery_mode" => properties.with_delivery_mode(octet()?),
            "priority" => properties.with_priority(octet()?),
            "timestamp" => properties.with_timestamp(value.as_u64()?),
            "headers" => properties.with_headers(from_json(value)?),
            _ => properties,
        };
    }
    Some(properties)
}

/// A message to be published.
#[derive(Debug, Deserialize)]
pub(super) struct PublishWish {
    routing_key: String,
    payload: String,
    #[serde(default)]
    payload_encoding: PayloadEncoding,
    #[serde(default)]
    properties: Value,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PayloadEncoding {
    #[default]
    String,
    Base64,
}

pub(super) async fn publish(
    State(management): Context,
    Extension(caller): User,
    Path((vhost, name)): Path<(String, String)>,
    Json(wish): Json<PublishWish>,
) -> Result<Json<Value>, Problem> {
    let mut inside = management.inside(&caller, &vhost)?;
    let bad = |what: &str| Problem::BadRequest(what.to_owned());
    let body: Bytes = match wish.payload_encoding {
        PayloadEncoding::String => wish.payload.into(),
        PayloadEncoding::Base64 => {
            STANDARD.decode(&wish.payload).map_err(|_| bad("the payload is no base64"))?.into()
        }
    };
    let properties = match &wish.properties {
        Value::Null => AMQPProperties::default(),
        view => properties_from_json(view).ok_or_else(|| bad("a property has the wrong type"))?,
    };
    let raw =
        gen_properties(&properties)(Vec::new().into()).map_err(|_| bad("the properties cannot be sent"))?;
    if wish.routing_key.len() > 255 {
        return Err(bad("a routing key has at most 255 bytes"));
    }
    let select = confirm::AMQPMethod::Select(confirm::Select { nowait: false });
    inside.method(AMQPClass::Confirm(select)).await?;
    let publish = Publish {
        exchange: Name::new(if name == "amq.default" { "" } else { &name }),
        routing_key: Name::new(&wish.routing_key),
        mandatory: true,
        immediate: false,
        properties: raw.into_inner().0.into(),
        body,
    };
    // The return of a message that no queue took comes before its confirm.
    let answer = inside.call(Command::Publish(publish)).await?;
    Ok(Json(json!({"routed": !matches!(answer, Output::Return { .. })})))
}
