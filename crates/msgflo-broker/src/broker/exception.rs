//! What the protocol calls exceptions: refusals that close a channel or a connection, with a reply code.

use std::fmt;

use amq_protocol::protocol::{AMQPClass, channel, connection};

use super::value::Name;

/// What an exception ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Channel,
    Connection,
}

/// A refusal, ready to be sent as `channel.close` or `connection.close`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exception {
    pub(crate) scope: Scope,
    pub(crate) code: u16,
    pub(crate) text: String,
    /// Class and method number, where the fault was found before the broker saw a command; else zero.
    pub(crate) method: (u16, u16),
}

impl Exception {
    /// As `connection.close`; the method is the class and method number that caused it, zero when none did.
    pub(crate) fn connection_close(&self, (class_id, method_id): (u16, u16)) -> AMQPClass {
        let reply_text = (&Name::new(&self.text)).into();
        let close = connection::Close { reply_code: self.code, reply_text, class_id, method_id };
        AMQPClass::Connection(connection::AMQPMethod::Close(close))
    }

    /// As `channel.close`.
    pub(crate) fn channel_close(&self, (class_id, method_id): (u16, u16)) -> AMQPClass {
        let reply_text = (&Name::new(&self.text)).into();
        let close = channel::Close { reply_code: self.code, reply_text, class_id, method_id };
        AMQPClass::Channel(channel::AMQPMethod::Close(close))
    }

    fn channel(code: u16, kind: &str, what: impl fmt::Display) -> Self {
        Self { scope: Scope::Channel, code, text: format!("{kind} - {what}"), method: (0, 0) }
    }

    fn connection(code: u16, kind: &str, what: impl fmt::Display) -> Self {
        Self { scope: Scope::Connection, code, text: format!("{kind} - {what}"), method: (0, 0) }
    }

    /// 403: the operation is not allowed on this object.
    pub(crate) fn access_refused(what: impl fmt::Display) -> Self {
        Self::channel(403, "ACCESS_REFUSED", what)
    }

    /// 403 before the connection is open: unknown user, wrong password or mechanism.
    pub(crate) fn login_refused(mechanism: &str) -> Self {
        Self::connection(
            403,
            "ACCESS_REFUSED",
            format_args!("Login was refused using authentication mechanism {mechanism}"),
        )
    }

    /// 404: the object does not exist.
    pub(crate) fn not_found(what: impl fmt::Display) -> Self {
        Self::channel(404, "NOT_FOUND", what)
    }

    /// 404 for a queue.
    pub(crate) fn no_queue(queue: &Name, vhost: &Name) -> Self {
        Self::not_found(format_args!("no queue '{queue}' in vhost '{vhost}'"))
    }

    /// 404 for an exchange.
    pub(crate) fn no_exchange(exchange: &Name, vhost: &Name) -> Self {
        Self::not_found(format_args!("no exchange '{exchange}' in vhost '{vhost}'"))
    }

    /// 405: an exclusive queue of another connection.
    pub(crate) fn locked(queue: &Name, vhost: &Name) -> Self {
        Self::channel(
            405,
            "RESOURCE_LOCKED",
            format_args!(
                "cannot obtain exclusive access to locked queue '{queue}' in vhost '{vhost}': it belongs to another \
                 connection, or was declared with another value of exclusive"
            ),
        )
    }

    /// 406: the request contradicts the state of things.
    pub(crate) fn precondition_failed(what: impl fmt::Display) -> Self {
        Self::channel(406, "PRECONDITION_FAILED", what)
    }

    /// 320: the broker ends the connection.
    pub(crate) fn forced(what: impl fmt::Display) -> Self {
        Self::connection(320, "CONNECTION_FORCED", what)
    }

    /// 501: bytes that are no frame.
    pub(crate) fn frame_error(what: impl fmt::Display) -> Self {
        Self::connection(501, "FRAME_ERROR", what)
    }

    /// 502: a frame whose content is malformed.
    pub(crate) fn syntax_error(what: impl fmt::Display) -> Self {
        Self::connection(502, "SYNTAX_ERROR", what)
    }

    /// 503: a method that makes no sense here.
    pub(crate) fn command_invalid(what: impl fmt::Display) -> Self {
        Self::connection(503, "COMMAND_INVALID", what)
    }

    /// 504: a channel that is not open, or is already.
    pub(crate) fn channel_error(what: impl fmt::Display) -> Self {
        Self::connection(504, "CHANNEL_ERROR", what)
    }

    /// 505: a frame out of its order.
    pub(crate) fn unexpected_frame(what: impl fmt::Display) -> Self {
        Self::connection(505, "UNEXPECTED_FRAME", what)
    }

    /// 506: a limit of ours is reached.
    pub(crate) fn resource_error(what: impl fmt::Display) -> Self {
        Self::connection(506, "RESOURCE_ERROR", what)
    }

    /// 530: not allowed in any state.
    pub(crate) fn not_allowed(what: impl fmt::Display) -> Self {
        Self::connection(530, "NOT_ALLOWED", what)
    }

    /// 540: part of the protocol that is not implemented.
    pub(crate) fn not_implemented(what: impl fmt::Display) -> Self {
        Self::connection(540, "NOT_IMPLEMENTED", what)
    }
}
