//! The transports of MsgFlo: AMQP 0-9-1.
