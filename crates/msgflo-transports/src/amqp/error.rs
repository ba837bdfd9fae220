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

/// The error of a publish of `bytes` of payload to `name`. When the broker closes a channel, all that was published on it fails for
/// the reason of one: the others may be tried again. That one is told by its name or, where it was too large, by its size.
pub(crate) fn publishing(error: lapin::Error, doing: &str, name: &QueueName, bytes: usize) -> Error {
    match error.kind() {
        ErrorKind::ProtocolError(amqp) => {
            let reason = amqp.get_message().to_string();
            match refused_size(&reason) {
                Some(size) if size == bytes => {
                    Error::Failed { doing: doing.to_owned(), source: Box::new(error) }
                }
                None if reason.contains(&format!("'{name}'")) => operation(error, doing, &[name]),
                _ => Error::Disconnected { doing: doing.to_owned() },
            }
        }
        // It cannot be written at all.
        ErrorKind::SerialisationError(_) => operation(error, doing, &[name]),
        _ => Error::Disconnected { doing: doing.to_owned() },
    }
}

/// The size of the message that was too large, if a broker gives that as its reason. RabbitMQ, in `rabbit_channel.erl`:
/// `message size 5 is larger than configured max size 4`; ours: `message of 5 bytes is larger than the maximum of 4`.
fn refused_size(reason: &str) -> Option<usize> {
    let (told, _) = reason.split_once(" is larger than ")?;
    let (_, told) = told.split_once("message size ").or_else(|| told.split_once("message of "))?;
    told.trim_end_matches(" bytes").parse().ok()
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

#[cfg(test)]
mod tests {
    use lapin::protocol::AMQPError;

    use super::*;

    #[test]
    fn of_what_was_on_a_channel_that_the_broker_closed_only_the_reason_is_given_up() {
        let gone = "NOT_FOUND - no exchange 'a.OUT' in vhost '/'";
        let large = "PRECONDITION_FAILED - message size 300 is larger than configured max size 200";
        let largest = "PRECONDITION_FAILED - message size 300 is larger than max size 200";
        let ours = "PRECONDITION_FAILED - message of 300 bytes is larger than the maximum of 200";
        for (kind, reason, name, bytes, is_transient) in [
            (AMQPSoftError::NOTFOUND, gone, "a.OUT", 300, false),
            (AMQPSoftError::NOTFOUND, gone, "b.OUT", 300, true),
            (AMQPSoftError::PRECONDITIONFAILED, large, "a.OUT", 300, false),
            (AMQPSoftError::PRECONDITIONFAILED, large, "a.OUT", 30, true),
            (AMQPSoftError::PRECONDITIONFAILED, largest, "a.OUT", 300, false),
            (AMQPSoftError::PRECONDITIONFAILED, ours, "a.OUT", 300, false),
            (AMQPSoftError::PRECONDITIONFAILED, ours, "a.OUT", 200, true),
            (AMQPSoftError::PRECONDITIONFAILED, "PRECONDITION_FAILED - whatever", "a.OUT", 300, true),
        ] {
            let error = AMQPError::new(kind.into(), reason.into());
            let error = publishing(ErrorKind::ProtocolError(error).into(), "sending", &name.into(), bytes);
            assert_eq!(error.is_transient(), is_transient, "{reason}: {name}, {bytes}: {error:?}");
        }
    }
}
