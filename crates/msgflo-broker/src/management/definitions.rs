//! Definitions: all durable things as one JSON document, in RabbitMQ's format, out and in.
//!
//! Users and permissions count in the document that the broker is started with. They are in no export, and passed over
//! in an import at run time.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::inside::{Inside, Refusal};
use super::objects::{BindingWish, ExchangeWish, QueueWish};
use super::views::{binding_view, exchange_definition};
use super::{Caller, Context, Management, Problem, User};
use crate::access;
use crate::broker::DEFAULT_VHOST;
use crate::shared::Shared;

/// A document to be imported.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Document {
    users: Vec<UserWish>,
    permissions: Vec<Permission>,
    vhosts: Vec<Vhost>,
    exchanges: Vec<Placed<ExchangeWish>>,
    queues: Vec<Placed<QueueWish>>,
    bindings: Vec<Binding>,
}

#[derive(Debug, Deserialize)]
struct Vhost {
    name: String,
}

#[derive(Debug, Deserialize)]
struct UserWish {
    name: String,
    password: Option<String>,
    password_hash: Option<String>,
}

/// What a user may do in a virtual host: patterns of names.
#[derive(Debug, Deserialize)]
struct Permission {
    user: String,
    vhost: String,
    configure: String,
    write: String,
    read: String,
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    pub(crate) fn vhosts(&self) -> Vec<String> {
        self.vhosts.iter().map(|vhost| vhost.name.clone()).collect()
    }

    /// The users, each with the virtual hosts that it may open.
    ///
    /// # Errors
    /// When a user has no password that we can check, or may do only a part of what there is: we know no such limits,
    /// and allow nothing that was not meant.
    pub(crate) fn users(&self) -> Result<Vec<access::User>, String> {
        let limited = |permission: &&Permission| {
            let patterns = [&permission.configure, &permission.write, &permission.read];
            patterns.into_iter().any(|pattern| pattern != ".*")
        };
        if let Some(Permission { user, vhost, .. }) = self.permissions.iter().find(limited) {
            return Err(format!(
                "user `{user}` has limited permissions in `{vhost}`; only \".*\" can be kept here"
            ));
        }
        self.users.iter().map(|wish| self.user(wish)).collect()
    }

    fn user(&self, wish: &UserWish) -> Result<access::User, String> {
        let UserWish { name, password, password_hash } = wish;
        let user = match (password, password_hash) {
            (Some(password), _) => Some(access::User::with_password(name, password)),
            (None, Some(hash)) => access::User::hashed(name, hash),
            (None, None) => None,
        };
        let user =
            user.ok_or_else(|| format!("user `{name}` has no password, and no salted SHA-256 of one"))?;
        let own = self.permissions.iter().filter(|permission| permission.user == *name);
        Ok(own.fold(user, |user, permission| user.may_open(&permission.vhost)))
    }
}

/// Something with a name in a virtual host.
#[derive(Debug, Deserialize)]
struct Placed<T> {
    name: String,
    vhost: Option<String>,
    #[serde(flatten)]
    wish: T,
}

#[derive(Debug, Deserialize)]
struct Binding {
    source: String,
    vhost: Option<String>,
    destination: String,
    destination_type: DestinationType,
    #[serde(flatten)]
    wish: BindingWish,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DestinationType {
    Queue,
    Exchange,
}

pub(super) async fn export_all(State(management): Context, Extension(caller): User) -> Json<Value> {
    let names = management.visible_vhosts(&caller);
    let mut document = objects(&management, &caller, None);
    document["rabbitmq_version"] = "3.10".into();
    document["product_name"] = "msgflo".into();
    document["product_version"] = env!("CARGO_PKG_VERSION").into();
    document["vhosts"] = names.iter().map(|name| json!({"name": name})).collect();
    document["users"] = json!([]);
    document["permissions"] = json!([]);
    for list in ["parameters", "global_parameters", "policies", "topic_permissions"] {
        document[list] = json!([]);
    }
    Json(document)
}

pub(super) async fn export(
    State(management): Context,
    Extension(caller): User,
    Path(vhost): Path<String>,
) -> Result<Json<Value>, Problem> {
    management.check_vhost(&caller, &vhost)?;
    Ok(Json(objects(&management, &caller, Some(&vhost))))
}

/// The durable exchanges, queues and bindings that a user may see; those of one virtual host do not say which.
fn objects(management: &Management, caller: &Caller, vhost: Option<&str>) -> Value {
    let (exchanges, queues, bindings) = management.shared.with(|broker, _| {
        (broker.survey_exchanges(vhost), broker.survey_queues(vhost), broker.survey_bindings(vhost))
    });
    let placed = |mut view: Value| {
        if vhost.is_some()
            && let Some(view) = view.as_object_mut()
        {
            view.remove("vhost");
        }
        view
    };
    let own = |name: &str| !name.is_empty() && !name.starts_with("amq.");
    let exchanges: Vec<_> = management
        .visible(caller, exchanges)
        .iter()
        .filter(|exchange| exchange.durable && own(&exchange.name))
        .map(|exchange| placed(exchange_definition(exchange)))
        .collect();
    let queues: Vec<_> = management
        .visible(caller, queues)
        .iter()
        .filter(|queue| queue.info.durable)
        .map(|queue| {
            let info = &queue.info;
            placed(json!({
                "name": info.name,
                "vhost": info.vhost,
                "durable": true,
                "auto_delete": info.auto_delete,
                "arguments": super::arguments::to_json(&queue.arguments),
            }))
        })
        .collect();
    let bindings: Vec<_> = management
        .visible(caller, bindings)
        .iter()
        .filter(|binding| binding.durable)
        .map(|binding| {
            let mut view = placed(binding_view(binding));
            if let Some(view) = view.as_object_mut() {
                view.remove("properties_key");
            }
            view
        })
        .collect();
    json!({"exchanges": exchanges, "queues": queues, "bindings": bindings})
}

pub(super) async fn import_all(
    State(management): Context,
    Extension(caller): User,
    Json(document): Json<Document>,
) -> Result<StatusCode, Problem> {
    let names = document.vhosts();
    if names.iter().any(|name| !management.access.may_open(&caller.0, name)) {
        return Err(Problem::Forbidden);
    }
    management.shared.add_vhosts(&names);
    take_in(document, |own| management.inside(&caller, own.unwrap_or(DEFAULT_VHOST))).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn import(
    State(management): Context,
    Extension(caller): User,
    Path(vhost): Path<String>,
    Json(document): Json<Document>,
) -> Result<StatusCode, Problem> {
    take_in(document, |_| management.inside(&caller, &vhost)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes everything in the document that the broker is started with.
///
/// # Errors
/// What could not be made.
pub(crate) async fn load(shared: &Arc<Shared>, document: Document) -> Result<(), String> {
    shared.add_vhosts(&document.vhosts());
    let place = |own: Option<&str>| {
        let vhost = own.unwrap_or(DEFAULT_VHOST);
        shared.add_vhosts(&[vhost.to_owned()]);
        Inside::open(shared, "definitions", vhost)
    };
    take_in(document, place).await.map_err(|refusal: Refusal| refusal.text)
}

/// Makes everything in the document that is not there yet; what is there and differs is an error. `place` is asked for a
/// client in the virtual host that a thing names.
async fn take_in<E: From<Refusal>>(
    document: Document,
    place: impl Fn(Option<&str>) -> Result<Inside, E>,
) -> Result<(), E> {
    let Document { exchanges, queues, bindings, .. } = document;
    for exchange in &exchanges {
        let mut inside = place(exchange.vhost.as_deref())?;
        inside.declare_exchange(&exchange.name, &exchange.wish).await?;
    }
    for queue in &queues {
        let mut inside = place(queue.vhost.as_deref())?;
        inside.declare_queue(&queue.name, &queue.wish).await?;
    }
    for binding in &bindings {
        let to_exchange = binding.destination_type == DestinationType::Exchange;
        let mut inside = place(binding.vhost.as_deref())?;
        inside.bind(&binding.source, to_exchange, &binding.destination, &binding.wish).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_come_with_their_virtual_hosts() {
        let text = r#"{"users": [{"name": "a", "password": "p", "tags": ""}],
            "permissions": [{"user": "a", "vhost": "v", "configure": ".*", "write": ".*", "read": ".*"}]}"#;
        let users = Document::parse(text).unwrap().users().unwrap();
        assert_eq!(users, [access::User::with_password("a", "p").may_open("v")]);
    }

    #[test]
    fn limits_that_cannot_be_kept_are_refused() {
        let text = r#"{"users": [], "permissions":
            [{"user": "a", "vhost": "v", "configure": "", "write": ".*", "read": ".*"}]}"#;
        assert!(Document::parse(text).unwrap().users().unwrap_err().contains("limited permissions"));
        let text = r#"{"users": [{"name": "a"}]}"#;
        assert!(Document::parse(text).unwrap().users().unwrap_err().contains("no password"));
    }
}
