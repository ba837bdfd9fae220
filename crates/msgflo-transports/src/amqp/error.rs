//! What lapin's errors mean to us.

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use msgflo_core::{Error, QueueName};

/// The error of an operation, described by `doing`, on one of `names`.
pub(crate) fn operation(error: lapin::Error, doing: &str, names: &[&QueueName]) -> Error {
    let ErrorKind::ProtocolError(amqp) = error.kind() else {
        return connection_lost(error, doing);
    };
    let reason = amqp.get_message().to_string();
    // A broker names what it could not find in quotes: 'name'.
    let quoted = |name: &&&QueueName| reason.contains(&format!("'{name}'"));
    let name = names.iter().find(quoted).or(names.first()).map(|name| (*name).clone());
    match (amqp.kind(), name) {
        (AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND), Some(name)) => Error::NotFound { name },
        (
            AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED | AMQPSoftError::RESOURCELOCKED),
            Some(name),
        ) => Error::Mismatch { name, reason },
        (AMQPErrorKind::Hard(AMQPHardError::CONNECTIONFORCED), _) => {
            Error::Disconnected { doing: doing.to_owned() }
        }
        _ => Error::Failed { doing: doing.to_owned(), source: Box::new(error) },
    }
}

/// The error of a publish to `name`. When the broker closes a channel, all that was published on it fails for the reason of one:
/// the others may be tried again.
pub(crate) fn publishing(error: lapin::Error, doing: &str, name: &QueueName) -> Error {
    match error.kind() {
        ErrorKind::ProtocolError(amqp) if !amqp.get_message().to_string().contains(&format!("'{name}'")) => {
            Error::Disconnected { doing: doing.to_owned() }
        }
        _ => operation(error, doing, &[name]),
    }
}

/// The error of a connection that did not come about.
pub(crate) fn connecting(error: lapin::Error, broker: &str) -> Error {
    let broker = broker.to_owned();
    match error.kind() {
        ErrorKind::ProtocolError(amqp) => match amqp.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)
            | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => {
                Error::AccessRefused { broker, reason: amqp.get_message().to_string() }
            }
            _ => Error::Unreachable { broker, source: Box::new(error) },
        },
        _ => Error::Unreachable { broker, source: Box::new(error) },
    }
}

fn connection_lost(error: lapin::Error, doing: &str) -> Error {
    let doing = doing.to_owned();
    match error.kind() {
        ErrorKind::IOError(_)
        | ErrorKind::InvalidChannel(_)
        | ErrorKind::InvalidChannelState(..)
        | ErrorKind::InvalidConnectionState(_)
        | ErrorKind::MissingHeartbeatError => Error::Disconnected { doing },
        _ => Error::Failed { doing, source: Box::new(error) },
    }
}
