//! The management interface, asked as tools ask RabbitMQ's.

use std::time::Duration;

use lapin::options::{BasicAckOptions, BasicPublishOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties, ExchangeKind};
use msgflo_broker::{Credentials, Handle, Options, Server};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    PATIENCE, bind, channel, confirm_select, consume, declare, declare_exchange, next, publish, publish_to,
};

/// A broker with a management interface, and a user of it.
struct Managed {
    broker: Handle,
    http: Client,
    base: String,
}

impl Managed {
    async fn start() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let any = ([127, 0, 0, 1], 0).into();
        let options = Options { listen: any, management: Some(any), ..options };
        let broker = Server::start(options).await.expect("free ports");
        let base = broker.management_url().expect("a management interface");
        Self { broker, http: Client::new(), base }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut request = self.http.request(method, format!("{}/api/{path}", self.base));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.basic_auth("guest", Some("guest")).send().await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("text");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }
}

#[tokio::test]
async fn strangers_are_turned_away() {
    let managed = Managed::start().await;
    let url = format!("{}/api/overview", managed.base);
    let answer = managed.http.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(answer.headers().contains_key("www-authenticate"));
    let wrong = managed.http.get(&url).basic_auth("guest", Some("wrong")).send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    let (status, body) = managed.ask(Method::GET, "no/such/thing", None).await;
    assert_eq!((status, &body["error"]), (StatusCode::NOT_FOUND, &json!("Object Not Found")));
}

#[tokio::test]
async fn prometheus_reads_sums_and_queues() {
    let managed = Managed::start().await;
    let (_connection, channel) = channel(&managed.broker).await;
    for name in ["a", "b\"c"] {
        declare(&channel, name).await;
        confirm_select(&channel).await;
        publish(&channel, name, b"body").await;
    }
    publish(&channel, "a", b"body").await;
    let scrape = async |path: &str| {
        let request = managed.http.get(format!("{}{path}", managed.base)).basic_auth("guest", Some("guest"));
        request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap()
    };
    let sums = scrape("/metrics").await;
    for line in ["rabbitmq_queue_messages_ready 3", "rabbitmq_queues 2", "rabbitmq_connections 1"] {
        assert!(sums.lines().any(|found| found == line), "{line} in {sums}");
    }
    let each = scrape("/metrics/per-object").await;
    let line = "rabbitmq_queue_messages_ready{vhost=\"/\",queue=\"b\\\"c\"} 1";
    assert!(each.lines().any(|found| found == line), "{line} in {each}");
}

#[tokio::test]
async fn everything_there_is_can_be_seen() {
    let managed = Managed::start().await;
    let (_connection, channel) = channel(&managed.broker).await;
    declare_exchange(&channel, "x", ExchangeKind::Topic).await;
    for name in ["a", "b", "c"] {
        declare(&channel, name).await;
    }
    bind(&channel, "a", "x", "k.*").await;
    bind(&channel, "b", "x", "t.*").await;
    confirm_select(&channel).await;
    for _ in 0..3 {
        publish(&channel, "a", b"body").await;
    }
    let mut consumer = consume(&channel, "a", "tag").await;
    next(&mut consumer).await.ack(BasicAckOptions::default()).await.unwrap();
    next(&mut consumer).await;
    crate::support::until(&managed.broker, "a", |queue| queue.is_some_and(|queue| queue.acknowledged == 1))
        .await;

    let queue = managed.get("queues/%2F/a").await;
    assert_eq!((&queue["messages"], &queue["consumers"]), (&json!(2), &json!(1)));
    assert_eq!(queue["message_stats"]["publish"], 3);
    assert_eq!(queue["consumer_details"][0]["consumer_tag"], "tag");
    let page =
        managed.get("queues/%2F?page=1&page_size=2&name=%5Ea%7Cb%24&use_regex=true&columns=name").await;
    assert_eq!((&page["filtered_count"], &page["total_count"]), (&json!(2), &json!(3)));
    assert_eq!(page["items"], json!([{"name": "a"}, {"name": "b"}]));
    let overview = managed.get("overview").await;
    assert_eq!(overview["queue_totals"]["messages"], 2);
    assert_eq!(overview["object_totals"]["queues"], 3);
    assert_eq!(managed.get("exchanges/%2F/x").await["type"], "topic");
    let bindings = managed.get("queues/%2F/a/bindings").await;
    assert_eq!(bindings.as_array().map(Vec::len), Some(2), "the default exchange's, and ours: {bindings}");
    assert_eq!(managed.get("consumers").await[0]["queue"]["name"], "a");
    let channels = managed.get("channels").await;
    assert_eq!((&channels[0]["confirm"], &channels[0]["consumer_count"]), (&json!(true), &json!(1)));
    let connections = managed.get("connections").await;
    assert_eq!((connections.as_array().map(Vec::len), &connections[0]["user"]), (Some(1), &json!("guest")));
    assert_eq!(managed.ask(Method::GET, "queues/%2F/none", None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(managed.ask(Method::GET, "queues/none", None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(managed.ask(Method::GET, "queues?page=9", None).await.0, StatusCode::BAD_REQUEST);

    let moved = async {
        let is_known = |rate: &Value| rate.as_f64().is_some_and(|rate| rate > 0.0);
        loop {
            let (queue, exchange) = tokio::join!(managed.get("queues/%2F/a"), managed.get("exchanges/%2F/x"));
            if is_known(&queue["message_stats"]["publish_details"]["rate"])
                && is_known(&exchange["message_stats"]["publish_in_details"]["rate"])
            {
                return (queue, exchange);
            }
            publish(&channel, "a", b"body").await;
            let sent = BasicProperties::default().with_timestamp(7);
            publish_to(&channel, "x", "t.1", b"body", sent).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let (queue, exchange) = tokio::time::timeout(PATIENCE, moved).await.expect("rates are seen");
    assert!(exchange["message_stats"]["publish_in"].as_u64() >= Some(1), "{exchange}");
    assert_eq!(queue["head_message_timestamp"], Value::Null, "nothing waits there");
    assert_eq!(managed.get("queues/%2F/b").await["head_message_timestamp"], 7);

    // A connection that is closed from here hears of it.
    let name = connections[0]["name"].as_str().unwrap().replace(' ', "%20").replace('>', "%3E");
    let (status, _) = managed.ask(Method::DELETE, &format!("connections/{name}"), None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(tokio::time::timeout(PATIENCE, futures_util::StreamExt::next(&mut consumer)).await.is_ok());
}

/// A page may have its own name resolved to this machine, and everybody knows the default password.
#[tokio::test]
async fn a_foreign_name_is_refused_where_the_password_is_known() {
    let ask = async |managed: &Managed, host: &str| {
        let asked =
            managed.http.get(format!("{}/api/overview", managed.base)).basic_auth("guest", Some("guest"));
        asked.header("host", host).send().await.unwrap().status()
    };
    let managed = Managed::start().await;
    assert_eq!(ask(&managed, "rebound.example:15672").await, StatusCode::FORBIDDEN);
    for host in ["localhost:15672", "127.0.0.1:15672", "[::1]:15672"] {
        assert_eq!(ask(&managed, host).await, StatusCode::OK, "{host}");
    }
    let credentials = Credentials { user: "guest".into(), password: "secret".into() };
    let managed = Managed::with(Options { credentials, ..Options::default() }).await;
    assert_eq!(ask(&managed, "broker.example").await, StatusCode::UNAUTHORIZED, "and not forbidden");
}

#[tokio::test]
async fn the_management_interface_is_beside_the_broker() {
    let options =
        Options { listen: ([127, 0, 0, 1], 0).into(), any_port_if_busy: true, ..Options::default() };
    let broker = Server::start(Options { management_beside: true, ..options }).await.expect("free ports");
    let port = |url: &str| url.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
    let (amqp, management) = (broker.url(), broker.management_url().expect("it is there"));
    assert_eq!(port(&management), port(&amqp).map(|port| port + 10_000), "{amqp} {management}");
}

#[tokio::test]
async fn things_are_made_used_and_removed() {
    let managed = Managed::start().await;
    let ask = async |method: Method, path: &str, body: Value| managed.ask(method, path, Some(body)).await;
    assert_eq!(ask(Method::PUT, "vhosts/team", json!({})).await.0, StatusCode::CREATED);
    let wish = json!({"durable": false, "arguments": {"x-max-length": 10}});
    assert_eq!(ask(Method::PUT, "queues/team/q", wish.clone()).await.0, StatusCode::CREATED);
    assert_eq!(ask(Method::PUT, "queues/team/q", wish).await.0, StatusCode::NO_CONTENT);
    let (status, body) = ask(Method::PUT, "queues/team/q", json!({"durable": true})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body["reason"].as_str().unwrap().contains("inequivalent arg 'durable'"), "{body}");
    assert_eq!(ask(Method::PUT, "exchanges/team/x", json!({"type": "fanout"})).await.0, StatusCode::CREATED);
    let (status, bound) = ask(Method::POST, "bindings/team/e/x/q/q", json!({"routing_key": "k"})).await;
    assert_eq!((status, &bound["properties_key"]), (StatusCode::CREATED, &json!("k")));

    let message = json!({"routing_key": "k", "payload": "aGk=", "payload_encoding": "base64",
        "properties": {"headers": {"n": 1}, "priority": 3, "content_type": "text/plain"}});
    assert_eq!(
        ask(Method::POST, "exchanges/team/x/publish", message.clone()).await.1,
        json!({"routed": true})
    );
    let lost = json!({"routing_key": "nowhere", "payload": "", "properties": {}});
    let (_, answer) = ask(Method::POST, "exchanges/team/amq.default/publish", lost).await;
    assert_eq!(answer, json!({"routed": false}));
    for (mode, left) in [("ack_requeue_true", 1), ("ack_requeue_false", 0)] {
        let wish = json!({"count": 5, "ackmode": mode, "encoding": "auto"});
        let (_, messages) = ask(Method::POST, "queues/team/q/get", wish).await;
        let message = &messages[0];
        assert_eq!((&message["payload"], &message["properties"]["headers"]["n"]), (&json!("hi"), &json!(1)));
        assert_eq!(managed.get("queues/team/q").await["messages"], left);
    }
    ask(Method::POST, "exchanges/team/x/publish", message).await;
    assert_eq!(managed.ask(Method::DELETE, "queues/team/q/contents", None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(managed.get("queues/team/q").await["messages"], 0);
    let (status, _) = managed.ask(Method::DELETE, "bindings/team/e/x/q/q/k", None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(managed.get("bindings/team/e/x/q/q").await, json!([]));
    for path in ["queues/team/q", "exchanges/team/x"] {
        assert_eq!(managed.ask(Method::DELETE, path, None).await.0, StatusCode::NO_CONTENT);
        assert_eq!(managed.ask(Method::DELETE, path, None).await.0, StatusCode::NOT_FOUND);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_holds_a_limited_number_of_bytes() {
    let managed = Managed::start().await;
    let (_connection, channel) = channel(&managed.broker).await;
    confirm_select(&channel).await;
    declare(&channel, "q").await;
    let body = vec![b'x'; 10 << 20];
    for _ in 0..5 {
        publish(&channel, "q", &body).await;
    }
    for (truncate, count) in [(None, 4), (Some(10), 5)] {
        let wish = json!({"count": 5, "truncate": truncate});
        let (_, messages) = managed.ask(Method::POST, "queues/%2F/q/get", Some(wish)).await;
        assert_eq!(messages.as_array().map(Vec::len), Some(count));
    }
    assert_eq!(managed.get("queues/%2F/q").await["messages"], 5);
}

#[tokio::test]
async fn definitions_move_from_broker_to_broker() {
    let first = Managed::start().await;
    let definitions = json!({
        "vhosts": [{"name": "/"}, {"name": "team"}],
        "users": [{"name": "somebody", "password_hash": "x", "tags": []}],
        "queues": [
            {"name": "q", "vhost": "/", "durable": true, "auto_delete": false, "arguments": {"x-max-priority": 3}},
            {"name": "t", "vhost": "team", "durable": true, "auto_delete": false, "arguments": {}},
        ],
        "exchanges": [{"name": "x", "vhost": "/", "type": "headers", "durable": true, "auto_delete": false,
            "internal": false, "arguments": {"alternate-exchange": "amq.fanout"}}],
        "bindings": [{"source": "x", "vhost": "/", "destination": "q", "destination_type": "queue",
            "routing_key": "", "arguments": {"x-match": "all", "kind": "a"}}],
    });
    let (status, body) = first.ask(Method::POST, "definitions", Some(definitions)).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    let exported = first.get("definitions").await;
    let second = Managed::start().await;
    assert_eq!(
        second.ask(Method::POST, "definitions", Some(exported.clone())).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(second.get("definitions").await, exported);
    assert_eq!(exported["bindings"][0]["arguments"], json!({"x-match": "all", "kind": "a"}));
    assert_eq!(exported["queues"].as_array().map(Vec::len), Some(2));
    let third =
        Managed::with(Options { definitions: Some(exported.to_string()), ..Options::default() }).await;
    assert_eq!(third.get("definitions").await, exported);
    let one = third.get("definitions/team").await;
    assert_eq!(one["queues"], json!([{"name": "t", "durable": true, "auto_delete": false, "arguments": {}}]));
}

#[tokio::test]
async fn users_of_the_definitions_open_their_own_virtual_hosts() {
    let permission = |user: &str, vhost: &str| json!({"user": user, "vhost": vhost, "configure": ".*", "write": ".*", "read": ".*"});
    let definitions = json!({
        "vhosts": [{"name": "team"}],
        "users": [{"name": "ann", "password": "secret", "tags": []}],
        "permissions": [permission("ann", "team")],
    });
    let options = Options {
        listen: ([127, 0, 0, 1], 0).into(),
        definitions: Some(definitions.to_string()),
        ..Options::default()
    };
    let broker = Server::start(options).await.unwrap();
    let connect = async |userinfo: &str, vhost: &str| {
        let url = format!("amqp://{userinfo}@{}/{vhost}", broker.addr());
        Connection::connect(&url, ConnectionProperties::default()).await
    };
    let connection = connect("ann:secret", "team").await.expect("her own virtual host");
    let channel = connection.create_channel().await.unwrap();
    let options = QueueDeclareOptions::default();
    channel.queue_declare("q".into(), options, FieldTable::default()).await.unwrap();
    let properties = BasicProperties::default().with_user_id("ann".into());
    channel
        .basic_publish("".into(), "q".into(), BasicPublishOptions::default(), b"", properties)
        .await
        .unwrap();
    assert!(connect("ann:secret", "%2F").await.is_err());
    assert!(connect("ann:wrong", "team").await.is_err());
    assert!(connect("guest:guest", "%2F").await.is_err());
    let bad = Options { definitions: Some("{".to_owned()), ..Options::default() };
    assert!(matches!(Server::start(bad).await, Err(msgflo_broker::Error::Definitions { .. })));
}

/// Ann has a virtual host of her own; somebody else is at work in another one.
#[tokio::test]
async fn users_see_and_end_only_what_is_in_their_own_virtual_hosts() {
    let permission = |user: &str, vhost: &str| json!({"user": user, "vhost": vhost, "configure": ".*", "write": ".*", "read": ".*"});
    let thing = |name: &str, vhost: &str| json!({"name": name, "vhost": vhost, "durable": true, "auto_delete": false, "arguments": {}});
    let definitions = json!({
        "vhosts": [{"name": "hers"}, {"name": "other"}],
        "users": [{"name": "ann", "password": "a", "tags": []}, {"name": "bob", "password": "b", "tags": []}],
        "permissions": [permission("ann", "hers"), permission("bob", "other")],
        "queues": [thing("q", "hers"), thing("secret", "other")],
    });
    let guest = msgflo_broker::User::new(Credentials::default());
    let managed = Managed::with(Options {
        definitions: Some(definitions.to_string()),
        users: vec![guest],
        ..Options::default()
    })
    .await;
    let at_work = async |userinfo: &str, vhost: &str, queue: &str| {
        let url = format!("amqp://{userinfo}@{}/{vhost}", managed.broker.addr());
        let connection = Connection::connect(&url, ConnectionProperties::default()).await.expect("a user");
        let channel = connection.create_channel().await.expect("a channel");
        let consumer = consume(&channel, queue, "tag").await;
        (connection, channel, consumer)
    };
    let _ann = at_work("ann:a", "hers", "q").await;
    let (_connection, _channel, mut bobs) = at_work("bob:b", "other", "secret").await;
    let ask = async |method: Method, user: &str, password: &str, path: &str| {
        let request = managed.http.request(method, format!("{}/api/{path}", managed.base));
        let answer = request.basic_auth(user, Some(password)).send().await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("text");
        (status, serde_json::from_str::<Value>(&text).unwrap_or(Value::Null))
    };

    for list in ["queues", "exchanges", "bindings", "connections", "channels", "consumers", "vhosts"] {
        let (status, seen) = ask(Method::GET, "ann", "a", list).await;
        assert_eq!(status, StatusCode::OK);
        let count = |seen: &Value| seen.as_array().map_or(0, Vec::len);
        assert!(count(&seen) > 0 && !seen.to_string().contains("other"), "{list}: {seen}");
        // Who may open everything sees everything.
        let (_, all) = ask(Method::GET, "guest", "guest", list).await;
        assert!(count(&all) >= 2 * count(&seen), "{list}: {all}");
    }
    let (_, overview) = ask(Method::GET, "ann", "a", "overview").await;
    for (kind, count) in [("queues", 1), ("connections", 1), ("channels", 1), ("consumers", 1)] {
        assert_eq!(overview["object_totals"][kind], count, "{kind}");
    }
    let (_, exported) = ask(Method::GET, "ann", "a", "definitions").await;
    assert_eq!(exported["vhosts"], json!([{"name": "hers"}]));
    assert!(!exported.to_string().contains("other"), "{exported}");

    let metrics = managed.http.get(format!("{}/metrics/per-object", managed.base));
    let metrics = metrics.basic_auth("ann", Some("a")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("hers") && !metrics.contains("other"), "{metrics}");

    let (_, theirs) = ask(Method::GET, "bob", "b", "connections").await;
    let name = theirs[0]["name"].as_str().unwrap().replace(' ', "%20").replace('>', "%3E");
    let path = format!("connections/{name}");
    let (status, _) = ask(Method::DELETE, "ann", "a", &path).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(Method::GET, "bob", "b", "connections").await.1, theirs);
    let (status, _) = ask(Method::DELETE, "bob", "b", &path).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(tokio::time::timeout(PATIENCE, futures_util::StreamExt::next(&mut bobs)).await.is_ok());
}
