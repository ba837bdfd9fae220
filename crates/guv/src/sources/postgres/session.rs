//! A connection to a database, transactions that only read over it, and listening.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::{BoxStream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;
use url::Url;

use crate::record::with_causes;
use crate::sources::failure::Failure;

/// How long a statement may take, unless the role says otherwise.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a connection is silent before it is tried.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Notifications that may wait to be looked at; more of them say the same.
const NOTIFICATIONS: usize = 1;

/// A connection; transactions on it wait for each other.
pub(super) struct Session {
    client: tokio::sync::Mutex<Client>,
    place: String,
    /// Something is being asked, or was until somebody gave it up.
    is_unanswered: AtomicBool,
}

/// A row of a library's statement.
pub(super) struct Row {
    pub(super) queue: String,
    pub(super) ready: Option<i64>,
    pub(super) in_flight: Option<i64>,
    /// Seconds.
    pub(super) oldest: Option<f64>,
}

impl Session {
    pub(super) async fn open(url: &Url) -> Result<Self, Failure> {
        let place = place(url);
        let (client, _) = connect(url, &place).await?;
        Ok(Self { client: tokio::sync::Mutex::new(client), place, is_unanswered: AtomicBool::new(false) })
    }

    /// Whether it is of no use any more: it has ended, or a question was given up. A server that has gone without a word is
    /// known by that long before the connection is.
    pub(super) fn has_ended(&self) -> bool {
        let is_lost = |client: &Client| client.is_closed() || self.is_unanswered.load(Ordering::Relaxed);
        self.client.try_lock().is_ok_and(|client| is_lost(&client))
    }

    /// Runs a library's statement for these queues.
    pub(super) async fn read(
        &self,
        patience: Duration,
        statement: &str,
        queues: &[&str],
    ) -> Result<Vec<Row>, Failure> {
        let rows = self.transaction(patience, statement, &[(&queues, Type::TEXT_ARRAY)]).await?;
        let row = |row: tokio_postgres::Row| {
            Ok(Row {
                queue: row.try_get(0)?,
                ready: row.try_get(1)?,
                in_flight: row.try_get(2)?,
                oldest: row.try_get(3)?,
            })
        };
        rows.into_iter().map(row).collect::<Result<_, _>>().map_err(|error| self.failure(&error))
    }

    /// The first column of the first row that a statement yields, a text.
    pub(super) async fn text(
        &self,
        patience: Duration,
        statement: &str,
        queue: Option<&str>,
    ) -> Result<Option<String>, Failure> {
        let parameters: Vec<(&(dyn tokio_postgres::types::ToSql + Sync), Type)> = match &queue {
            Some(queue) => vec![(queue, Type::TEXT)],
            None => Vec::new(),
        };
        let rows = self.transaction(patience, statement, &parameters).await?;
        match rows.first() {
            None => Ok(None),
            Some(row) => row.try_get(0).map_err(|error| self.failure(&error)),
        }
    }

    async fn transaction(
        &self,
        patience: Duration,
        statement: &str,
        parameters: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)],
    ) -> Result<Vec<tokio_postgres::Row>, Failure> {
        let mut client = self.client.lock().await;
        let rows = async {
            // One that is dropped, by an error or from outside, is rolled back.
            let transaction = client.build_transaction().read_only(true).start().await?;
            let limit = patience.as_millis().max(1);
            let settings = format!("SET LOCAL statement_timeout = {limit}; SET LOCAL TIME ZONE 'UTC'");
            transaction.batch_execute(&settings).await?;
            // Without a prepared statement: poolers of connections need not know it.
            let rows = transaction.query_typed(statement, parameters).await?;
            transaction.commit().await?;
            Ok(rows)
        };
        self.is_unanswered.store(true, Ordering::Relaxed);
        let answer = rows.await;
        self.is_unanswered.store(false, Ordering::Relaxed);
        answer.map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &tokio_postgres::Error) -> Failure {
        failure(&self.place, error)
    }
}

/// Something for each notification on a channel, on a connection of its own; it ends when that ends.
pub(super) async fn listen(url: &Url, channel: &str) -> Result<BoxStream<'static, ()>, Failure> {
    let place = place(url);
    let (client, messages) = connect(url, &place).await?;
    let listening = client.batch_execute(&format!("LISTEN {}", super::quoted(channel))).await;
    listening.map_err(|error| failure(&place, &error))?;
    // The client is kept along: the connection ends with it.
    let signs = futures_util::stream::unfold((messages, client), |(mut messages, client)| async move {
        messages.recv().await.map(|()| ((), (messages, client)))
    });
    Ok(signs.boxed())
}

/// Connects. The receiver gets something when there were notifications, and ends with the connection.
async fn connect(url: &Url, place: &str) -> Result<(Client, mpsc::Receiver<()>), Failure> {
    let mut config: Config = url.as_str().parse().map_err(|error| {
        Failure::Refused(format!("{place}: the address cannot be used: {}", with_causes(&error)))
    })?;
    config.application_name("guv").connect_timeout(CONNECT);
    // Whoever only listens asks nothing, and hears of a server that has gone in no other way.
    config.keepalives_idle(KEEPALIVE).keepalives_interval(KEEPALIVE).keepalives_retries(3);
    config.tcp_user_timeout(2 * KEEPALIVE);
    let late = |_| Failure::Unreachable(format!("{place}: no connection within {} s", CONNECT.as_secs()));
    let refused = |error: tokio_postgres::Error| failure(place, &error);
    if config.get_ssl_mode() == tokio_postgres::config::SslMode::Disable {
        let (client, connection) =
            timeout(CONNECT, config.connect(NoTls)).await.map_err(late)?.map_err(refused)?;
        return Ok((client, carry(connection)));
    }
    let (tls, _) = MakeRustlsConnect::with_native_certs()
        .map_err(|_| Failure::Refused(format!("{place}: this machine's root certificates cannot be read")))?;
    let (client, connection) = timeout(CONNECT, config.connect(tls)).await.map_err(late)?.map_err(refused)?;
    Ok((client, carry(connection)))
}

/// Carries what a client sends and gets, until the client is dropped or the connection ends.
fn carry<T>(mut connection: Connection<Socket, T>) -> mpsc::Receiver<()>
where
    T: tokio_postgres::tls::TlsStream + Unpin + Send + 'static,
{
    let (notified, messages) = mpsc::channel(NOTIFICATIONS);
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(_) = message {
                // Full: nobody has looked since the last one. Closed: nobody listens.
                let _ = notified.try_send(());
            }
        }
    });
    messages
}

fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or("localhost");
    format!("PostgreSQL at {host}:{}{}", url.port().unwrap_or(5432), url.path())
}

fn failure(place: &str, error: &tokio_postgres::Error) -> Failure {
    let what = format!("{place}: {}", with_causes(error));
    match error.code() {
        Some(code) if *code == SqlState::QUERY_CANCELED => Failure::Unreachable(format!(
            "{what}; the statement took too long: raise `timeout:`, or help it with an index"
        )),
        Some(code) if [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME].contains(code) => {
            Failure::Refused(format!(
                "{what}; check `schema:`, the database, and which library `source:` names"
            ))
        }
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
            Failure::Refused(format!("{what}; let the user read it"))
        }
        Some(code) if *code == SqlState::READ_ONLY_SQL_TRANSACTION => {
            Failure::Refused(format!("{what}; a query must only read"))
        }
        // Connections that were refused, lost or ended, and servers that start or stop.
        Some(code) if code.code().starts_with("08") || code.code().starts_with("57P") => {
            Failure::Unreachable(what)
        }
        Some(_) => Failure::Refused(what),
        None => Failure::Unreachable(what),
    }
}
