//! A connection's bytes: to a host, over TLS or not, and introduced.

use std::io;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use msgflo_core::Error;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::DEADLINE;
use super::options::Options;
use super::packet::{self, ConnAck, Connect, Outbox, Packet, Version, reason};
use crate::tls;

/// A stream of bytes, plain or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// How much is read at once.
const READ: usize = 64 << 10;

/// A connection to a broker that has said welcome.
pub(crate) struct Wire {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) unread: BytesMut,
    pub(crate) version: Version,
    pub(crate) welcome: ConnAck,
}

/// How the session is named, and what is to become of it.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) client_id: String,
    /// Seconds for which the broker keeps the session after a connection was lost. [`KEEP`]: it is ours for good.
    pub(crate) expiry: u32,
}

/// A session that does not expire.
pub(crate) const KEEP: u32 = u32::MAX;

/// The most messages that the broker sends without an acknowledgement.
const RECEIVE_MAXIMUM: u16 = 1024;

impl Wire {
    /// Connects. `resume`: the session that there may be is gone on with. `known`: the version that the broker is known to speak.
    pub(crate) async fn open(
        options: &Options,
        identity: &Identity,
        resume: bool,
        known: Option<Version>,
    ) -> Result<Self, Error> {
        let connecting = async {
            let versions = match options.version.or(known) {
                Some(version) => &[version][..],
                None => &[Version::V5, Version::V311],
            };
            let mut last = None;
            for version in versions {
                match introduce(options, identity, resume, *version).await {
                    // It does not speak the version, and some brokers say so by hanging up.
                    Ok(Err(ending)) if *version != versions[versions.len() - 1] => {
                        tracing::debug!(broker = options.broker, ?ending, "trying an older version of MQTT");
                    }
                    Ok(Err(ending)) => last = Some(ending),
                    Ok(Ok(wire)) => return Ok(wire),
                    Err(error) => return Err(error),
                }
            }
            Err(unreachable(options, last.expect("at least one version was tried")))
        };
        match timeout(DEADLINE, connecting).await {
            Ok(opened) => opened,
            Err(_) => {
                Err(Error::Timeout { doing: format!("connecting to {}", options.broker), after: DEADLINE })
            }
        }
    }

    /// Reads what there is. An end of the stream is an error.
    pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin), unread: &mut BytesMut) -> io::Result<()> {
        unread.reserve(READ);
        match stream.read_buf(unread).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn unreachable(options: &Options, source: io::Error) -> Error {
    Error::Unreachable { broker: options.broker.clone(), source: source.into() }
}

/// The inner error: the broker may not speak this version.
async fn introduce(
    options: &Options,
    identity: &Identity,
    resume: bool,
    version: Version,
) -> Result<Result<Wire, io::Error>, Error> {
    let mut stream = reach(options).await.map_err(|error| unreachable(options, error))?;
    let mut out = Outbox::default();
    packet::connect(
        &mut out,
        &Connect {
            version,
            client_id: &identity.client_id,
            user: options.user.as_deref(),
            // 3.1.1 allows no password without a user.
            password: options.password.as_deref().filter(|_| options.user.is_some()),
            keep_alive: u16::try_from(options.keep_alive.as_secs()).unwrap_or(u16::MAX),
            // 3.1.1 has no sessions that expire: only one that is ours for good may stay.
            clean: !resume || (version == Version::V311 && identity.expiry != KEEP),
            expiry: identity.expiry,
            receive_maximum: RECEIVE_MAXIMUM,
        },
    );
    out.seal();
    while out.has_remaining() {
        if let Err(error) = stream.write_buf(&mut out).await {
            return Err(unreachable(options, error));
        }
    }
    stream.flush().await.map_err(|error| unreachable(options, error))?;
    let mut unread = BytesMut::new();
    let answer = loop {
        let decoded = packet::decode(&mut unread, version);
        let decoded = decoded
            .map_err(|error| unreachable(options, io::Error::new(io::ErrorKind::InvalidData, error)))?;
        match decoded {
            Some(Packet::ConnAck(answer)) => break answer,
            Some(_) => {
                let error =
                    io::Error::new(io::ErrorKind::InvalidData, "the broker does not say welcome first");
                return Err(unreachable(options, error));
            }
            None => {
                if let Err(error) = Wire::read(&mut stream, &mut unread).await {
                    return Ok(Err(error));
                }
            }
        }
    };
    let because = || io::Error::other(reason::text(answer.reason));
    match answer.reason {
        0 => Ok(Ok(Wire { stream, unread, version, welcome: answer })),
        reason::UNSUPPORTED_VERSION => Ok(Err(because())),
        reason::BAD_CREDENTIALS | reason::NOT_AUTHORIZED | reason::BANNED | 0x85 => {
            Err(Error::AccessRefused { broker: options.broker.clone(), reason: reason::text(answer.reason) })
        }
        _ => Err(unreachable(options, because())),
    }
}

async fn reach(options: &Options) -> io::Result<Box<dyn Stream>> {
    let plain = TcpStream::connect((options.host.as_str(), options.port)).await?;
    // A packet that waits for others costs more than one that does not: what is written at once is gathered by us.
    plain.set_nodelay(true)?;
    if !options.tls {
        return Ok(Box::new(plain));
    }
    let name = ServerName::try_from(options.host.clone())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let connector = TlsConnector::from(Arc::clone(&tls::client_config()));
    Ok(Box::new(connector.connect(name, plain).await?))
}
