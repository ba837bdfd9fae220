//! A connection to a Redis, pipelines of reading commands over it, and their replies.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, RedisResult, Value};
use url::Url;

use crate::record::with_causes;
use crate::sources::failure::Failure;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the replies to a pipeline may take.
const RESPONSE: Duration = Duration::from_secs(10);
/// Commands sent at once.
const PIPELINE: usize = 4_000;

/// A connection; clones share it.
#[derive(Clone)]
pub(super) struct Session {
    client: Client,
    connection: MultiplexedConnection,
    /// The server, without credentials.
    place: String,
}

impl Session {
    pub(super) async fn open(url: &Url) -> Result<Self, Failure> {
        let host = url.host_str().unwrap_or("localhost");
        let place = format!("Redis at {host}:{}{}", url.port().unwrap_or(6379), url.path());
        let client = Client::open(url.as_str())
            .map_err(|error| Failure::Refused(format!("{place}: {}", with_causes(&error))))?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(RESPONSE));
        let connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|error| failure(&place, &error))?;
        Ok(Self { client, connection, place })
    }

    /// The server, without credentials.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Sends groups of commands; the replies come in the same groups.
    pub(super) async fn ask(&mut self, groups: Vec<Vec<Cmd>>) -> Result<Vec<Replies>, Failure> {
        let sizes: Vec<_> = groups.iter().map(Vec::len).collect();
        let commands: Vec<_> = groups.into_iter().flatten().collect();
        let mut replies = Vec::with_capacity(commands.len());
        for commands in commands.chunks(PIPELINE) {
            let mut pipeline = Pipeline::with_capacity(commands.len());
            pipeline.ignore_errors();
            for command in commands {
                pipeline.add_command(command.clone());
            }
            let some: Vec<RedisResult<Value>> = pipeline
                .query_async(&mut self.connection)
                .await
                .map_err(|error| failure(&self.place, &error))?;
            replies.extend(some);
        }
        let mut replies = replies.into_iter();
        let group =
            |size| Replies { place: self.place.clone(), replies: replies.by_ref().take(size).collect() };
        Ok(sizes.into_iter().map(group).collect())
    }

    /// Whether the server publishes changes of lists and sorted sets by key. Where we may not know, it counts as no.
    pub(super) async fn notifies(&mut self) -> Result<bool, Failure> {
        let mut command = redis::cmd("CONFIG");
        command.arg("GET").arg("notify-keyspace-events");
        let mut replies = self.ask(vec![vec![command]]).await?;
        let setting =
            replies.pop().map(|mut replies| replies.list()).and_then(Result::ok).unwrap_or_default();
        let flags = setting.get(1).map(Vec::as_slice).unwrap_or_default();
        let has = |flag: u8| flags.contains(&flag);
        Ok(has(b'K') && (has(b'A') || (has(b'l') && has(b'z'))))
    }

    /// Something for each change of one of these keys.
    pub(super) async fn signs(
        &self,
        keys: impl Iterator<Item = String>,
    ) -> Result<BoxStream<'static, ()>, Failure> {
        let database = self.client.get_connection_info().redis_settings().db();
        let channels: Vec<_> = keys.map(|key| format!("__keyspace@{database}__:{key}")).collect();
        let fail = |error| failure(&self.place, &error);
        let mut subscriber = self.client.get_async_pubsub().await.map_err(fail)?;
        subscriber.subscribe(channels).await.map_err(fail)?;
        Ok(subscriber.into_on_message().map(drop).boxed())
    }
}

/// The replies to a group of commands, in their order.
pub(super) struct Replies {
    place: String,
    replies: std::collections::VecDeque<RedisResult<Value>>,
}

impl Replies {
    fn next(&mut self) -> Result<Value, Failure> {
        match self.replies.pop_front() {
            Some(Ok(Value::ServerError(error))) => Err(failure(&self.place, &error.into())),
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => Err(failure(&self.place, &error)),
            None => Err(Failure::Malformed(format!("{} leaves out replies", self.place))),
        }
    }

    fn unexpected(&self) -> Failure {
        Failure::Malformed(format!("{} gives a reply of another type than documented", self.place))
    }

    /// The next reply, a number.
    pub(super) fn count(&mut self) -> Result<u64, Failure> {
        match self.next()? {
            Value::Int(number) => u64::try_from(number).map_err(|_| self.unexpected()),
            _ => Err(self.unexpected()),
        }
    }

    /// The next reply, 0 or 1.
    pub(super) fn flag(&mut self) -> Result<bool, Failure> {
        match self.next()? {
            Value::Int(number) => Ok(number != 0),
            Value::Boolean(flag) => Ok(flag),
            _ => Err(self.unexpected()),
        }
    }

    /// The next reply, bytes or nothing.
    pub(super) fn bytes(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let reply = self.next()?;
        text(reply).ok_or_else(|| self.unexpected())
    }

    /// The next reply, a list or a set of bytes; what is nothing is left out. A map is a list of keys and values.
    pub(super) fn list(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        let items = match self.next()? {
            Value::Array(items) | Value::Set(items) => items,
            Value::Map(entries) => entries.into_iter().flat_map(|(key, value)| [key, value]).collect(),
            Value::Nil => Vec::new(),
            _ => return Err(self.unexpected()),
        };
        let items: Option<Vec<_>> = items.into_iter().map(text).collect();
        Ok(items.ok_or_else(|| self.unexpected())?.into_iter().flatten().collect())
    }
}

/// Bytes or nothing; `None` for other types.
fn text(value: Value) -> Option<Option<Vec<u8>>> {
    match value {
        Value::BulkString(bytes) => Some(Some(bytes)),
        Value::SimpleString(text) => Some(Some(text.into_bytes())),
        Value::Nil => Some(None),
        _ => None,
    }
}

fn failure(place: &str, error: &RedisError) -> Failure {
    let what = format!("{place}: {}", with_causes(error));
    match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig, _)
        | (_, Some("NOAUTH" | "NOPERM" | "WRONGPASS")) => {
            Failure::Refused(format!("{what}; check the user and the password in `url:`"))
        }
        (_, Some("WRONGTYPE")) => {
            Failure::Refused(format!("{what}; check `queue:`, `prefix:` and which library `source:` names"))
        }
        (ErrorKind::Parse | ErrorKind::UnexpectedReturnType, _) => Failure::Malformed(what),
        _ => Failure::Unreachable(what),
    }
}
