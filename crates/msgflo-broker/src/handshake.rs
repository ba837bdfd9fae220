//! How a connection begins: header, start, tune, open.
//!
//! Pure: methods go in, steps come out. The shell writes what it is told, and enforces the deadline.

use std::sync::Arc;

use amq_protocol::protocol::{AMQPClass, connection};
use amq_protocol::types::parsing::parse_field_table;
use amq_protocol::types::{AMQPValue, FieldTable, LongString};

use crate::access::Access;
use crate::broker::{Exception, Name, Peer, Time};
use crate::wire::decode::{CHANNEL_MAX, FRAME_MAX, FRAME_MIN};
use crate::wire::table;

/// What a client sends first.
pub(crate) const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\0\0\x09\x01";

/// The heartbeat that is proposed (seconds).
const HEARTBEAT: u16 = 60;

/// Where a handshake is.
#[derive(Debug)]
enum State {
    /// connection.start was sent; left by a valid start-ok.
    Start,
    /// connection.tune was sent; left by tune-ok.
    Tune { user: Name, understands: Understands },
    /// Left by connection.open.
    Open { user: Name, understands: Understands, tuned: Tuned },
    /// After connection.open: nothing more is expected.
    Done,
}

/// What a client says of itself.
#[derive(Debug)]
struct Understands {
    cancels: bool,
    blocked: bool,
    properties: FieldTable,
}

/// What both sides have agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tuned {
    pub(crate) channel_max: u16,
    /// Largest frame (bytes, envelope included).
    pub(crate) frame_max: u32,
    /// Seconds; 0 is none.
    pub(crate) heartbeat: u16,
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Send this and go on.
    Send(AMQPClass),
    /// Nothing to send.
    Wait,
    /// The peer is known; the broker has the last word on its virtual host.
    Opened(Peer, Tuned),
}

/// Why there will be no connection.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Tell the client why.
    Close(Exception),
    /// The client does not understand the reason: just hang up.
    HangUp,
}

/// The handshake of one connection. See the module.
#[derive(Debug)]
pub(crate) struct Handshake {
    state: State,
    access: Arc<Access>,
    /// The peer is on this machine: the well-known credentials are for such peers only.
    local: bool,
    /// What lists call the connection.
    name: String,
    tls: bool,
    now: Time,
}

impl Handshake {
    pub(crate) fn new(access: Arc<Access>, local: bool, name: String, tls: bool, now: Time) -> Self {
        Self { state: State::Start, access, local, name, tls, now }
    }

    /// The first method, sent after the protocol header.
    pub(crate) fn start() -> AMQPClass {
        AMQPClass::Connection(connection::AMQPMethod::Start(connection::Start {
            version_major: 0,
            version_minor: 9,
            server_properties: server_properties(),
            mechanisms: "PLAIN AMQPLAIN".into(),
            locales: "en_US".into(),
        }))
    }

    /// Takes a method of the client.
    pub(crate) fn handle(&mut self, method: connection::AMQPMethod) -> Result<Step, Refusal> {
        use connection::AMQPMethod;
        match (std::mem::replace(&mut self.state, State::Done), method) {
            (State::Start, AMQPMethod::StartOk(start_ok)) => {
                let Some(user) = self.authenticate(&start_ok) else {
                    return Err(
                        match capability(&start_ok.client_properties, "authentication_failure_close") {
                            true => Refusal::Close(Exception::login_refused(start_ok.mechanism.as_str())),
                            false => Refusal::HangUp,
                        },
                    );
                };
                let understands = Understands {
                    cancels: capability(&start_ok.client_properties, "consumer_cancel_notify"),
                    blocked: capability(&start_ok.client_properties, "connection.blocked"),
                    properties: start_ok.client_properties,
                };
                self.state = State::Tune { user, understands };
                Ok(Step::Send(AMQPClass::Connection(AMQPMethod::Tune(connection::Tune {
                    channel_max: CHANNEL_MAX,
                    frame_max: FRAME_MAX,
                    heartbeat: HEARTBEAT,
                }))))
            }
            (State::Tune { user, understands }, AMQPMethod::TuneOk(tune_ok)) => {
                let tuned = tuned(&tune_ok).map_err(Refusal::Close)?;
                self.state = State::Open { user, understands, tuned };
                Ok(Step::Wait)
            }
            (State::Open { user, understands, tuned }, AMQPMethod::Open(open)) => {
                let vhost = Name::from(&open.virtual_host);
                if !self.access.may_open(user.as_str(), vhost.as_str()) {
                    return Err(Refusal::Close(Exception::not_allowed(format_args!(
                        "access to vhost '{vhost}' refused for user '{user}'"
                    ))));
                }
                let peer = Peer {
                    user,
                    vhost,
                    channel_max: tuned.channel_max,
                    takes_cancels: understands.cancels,
                    takes_blocked: understands.blocked,
                    name: std::mem::take(&mut self.name),
                    client: understands.properties,
                    since: self.now,
                    tls: self.tls,
                };
                Ok(Step::Opened(peer, tuned))
            }
            _ => Err(Refusal::Close(Exception::command_invalid("this method is not expected now"))),
        }
    }

    fn authenticate(&self, start_ok: &connection::StartOk) -> Option<Name> {
        let (user, password) = match start_ok.mechanism.as_str() {
            "PLAIN" => plain(&start_ok.response)?,
            "AMQPLAIN" => amqplain(&start_ok.response)?,
            _ => return None,
        };
        self.access.authenticate(&user, &password, self.local).map(|user| Name::new(user.name()))
    }
}

/// SASL PLAIN (RFC 4616): authorization identity, user and password, separated by NUL.
fn plain(response: &LongString) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut parts = response.as_bytes().splitn(3, |byte| *byte == 0);
    let (_, user, password) = (parts.next()?, parts.next()?, parts.next()?);
    Some((user.to_vec(), password.to_vec()))
}

/// AMQPLAIN: the entries of a field table, without its length.
fn amqplain(response: &LongString) -> Option<(Vec<u8>, Vec<u8>)> {
    let entries = response.as_bytes();
    table::check(entries).ok()?;
    let mut whole = u32::try_from(entries.len()).ok()?.to_be_bytes().to_vec();
    whole.extend_from_slice(entries);
    let (_, fields) = parse_field_table(whole.as_slice()).ok()?;
    let field = |key: &str| match fields.inner().get(key) {
        Some(AMQPValue::LongString(text)) => Some(text.as_bytes().to_vec()),
        _ => None,
    };
    Some((field("LOGIN")?, field("PASSWORD")?))
}

fn tuned(tune_ok: &connection::TuneOk) -> Result<Tuned, Exception> {
    let &connection::TuneOk { channel_max, frame_max, heartbeat } = tune_ok;
    if frame_max != 0 && frame_max < FRAME_MIN {
        return Err(Exception::not_allowed(format_args!(
            "negotiated frame_max = {frame_max} is lower than the minimum allowed value ({FRAME_MIN})"
        )));
    }
    if frame_max > FRAME_MAX || channel_max > CHANNEL_MAX {
        return Err(Exception::not_allowed(format_args!(
            "negotiated frame_max = {frame_max} or channel_max = {channel_max} is higher than the maximum allowed \
             values ({FRAME_MAX}, {CHANNEL_MAX})"
        )));
    }
    // Zero asks for no limit: ours stay in force, which such a client cannot notice.
    Ok(Tuned {
        channel_max: if channel_max == 0 { CHANNEL_MAX } else { channel_max },
        frame_max: if frame_max == 0 { FRAME_MAX } else { frame_max },
        heartbeat,
    })
}

fn capability(properties: &FieldTable, name: &str) -> bool {
    match properties.inner().get("capabilities") {
        Some(AMQPValue::FieldTable(capabilities)) => {
            capabilities.inner().get(name) == Some(&AMQPValue::Boolean(true))
        }
        _ => false,
    }
}

/// Clients choose their behaviour by the capabilities; some look at the product.
fn server_properties() -> FieldTable {
    let mut capabilities = FieldTable::default();
    for name in [
        "publisher_confirms",
        "exchange_exchange_bindings",
        "basic.nack",
        "connection.blocked",
        "consumer_cancel_notify",
        "consumer_priorities",
        "authentication_failure_close",
        "per_consumer_qos",
    ] {
        capabilities.insert(name.into(), AMQPValue::Boolean(true));
    }
    let text = |text: &str| AMQPValue::LongString(text.into());
    let mut properties = FieldTable::default();
    properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
    properties.insert("product".into(), text("msgflo"));
    properties.insert("compatible".into(), text("RabbitMQ 3.10"));
    properties.insert("version".into(), text(env!("CARGO_PKG_VERSION")));
    properties.insert("platform".into(), text("Rust"));
    properties
}
