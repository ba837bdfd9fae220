//! The optional arguments of a queue: raw field table → checked settings.

use amq_protocol::types::{AMQPValue, FieldTable};

use super::value::Name;

/// What a full queue does with one more message (`x-overflow`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Overflow {
    /// The oldest message is dropped (or dead-lettered).
    #[default]
    DropHead,
    /// The new message is refused: a nack to a publisher that waits for confirms.
    RejectPublish,
    /// The same, and the refused message is dead-lettered.
    RejectPublishDeadLetter,
}

/// The settings of a queue beside its flags. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct QueueArguments {
    pub(crate) message_ttl: Option<u64>,
    pub(crate) expires: Option<u64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) overflow: Overflow,
    pub(crate) dead_letter_exchange: Option<Name>,
    pub(crate) dead_letter_routing_key: Option<Name>,
    pub(crate) max_priority: Option<u8>,
    pub(crate) single_active_consumer: bool,
    pub(crate) delivery_limit: Option<u64>,
    /// Declared with `x-queue-type: quorum`: a durable queue here, that counts deliveries.
    pub(crate) quorum: bool,
}

/// An argument that cannot be: its name, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invalid {
    pub(crate) argument: &'static str,
    pub(crate) reason: String,
}

const MESSAGE_TTL: &str = "x-message-ttl";
const EXPIRES: &str = "x-expires";
const MAX_LENGTH: &str = "x-max-length";
const MAX_BYTES: &str = "x-max-length-bytes";
const OVERFLOW: &str = "x-overflow";
const DEAD_LETTER_EXCHANGE: &str = "x-dead-letter-exchange";
const DEAD_LETTER_ROUTING_KEY: &str = "x-dead-letter-routing-key";
const MAX_PRIORITY: &str = "x-max-priority";
const SINGLE_ACTIVE_CONSUMER: &str = "x-single-active-consumer";
const DELIVERY_LIMIT: &str = "x-delivery-limit";
const QUEUE_TYPE: &str = "x-queue-type";
const QUEUE_MODE: &str = "x-queue-mode";

impl QueueArguments {
    /// Checks the arguments that the broker acts on. Unknown ones are allowed and ignored.
    pub(crate) fn parse(table: &FieldTable) -> Result<Self, Invalid> {
        let quorum = match text(table, QUEUE_TYPE)?.as_ref().map(Name::as_str) {
            None | Some("classic") => false,
            Some("quorum") => true,
            Some(other) => return Err(invalid(QUEUE_TYPE, format_args!("unknown queue type '{other}'"))),
        };
        let overflow = match text(table, OVERFLOW)?.as_ref().map(Name::as_str) {
            None | Some("drop-head") => Overflow::DropHead,
            Some("reject-publish") => Overflow::RejectPublish,
            Some("reject-publish-dlx") => Overflow::RejectPublishDeadLetter,
            Some(other) => return Err(invalid(OVERFLOW, format_args!("unknown value '{other}'"))),
        };
        let arguments = Self {
            message_ttl: number(table, MESSAGE_TTL, 0)?,
            expires: number(table, EXPIRES, 1)?,
            max_length: number(table, MAX_LENGTH, 0)?,
            max_bytes: number(table, MAX_BYTES, 0)?,
            overflow,
            dead_letter_exchange: text(table, DEAD_LETTER_EXCHANGE)?,
            dead_letter_routing_key: text(table, DEAD_LETTER_ROUTING_KEY)?,
            max_priority: match number(table, MAX_PRIORITY, 0)? {
                None => None,
                Some(levels) => Some(
                    u8::try_from(levels)
                        .map_err(|_| invalid(MAX_PRIORITY, "more than 255 is not possible"))?,
                ),
            },
            single_active_consumer: match table.inner().get(SINGLE_ACTIVE_CONSUMER) {
                None => false,
                Some(AMQPValue::Boolean(on)) => *on,
                Some(_) => return Err(invalid(SINGLE_ACTIVE_CONSUMER, "expected a boolean")),
            },
            delivery_limit: number(table, DELIVERY_LIMIT, 0)?,
            quorum,
        };
        if arguments.delivery_limit.is_some() && !quorum {
            return Err(invalid(DELIVERY_LIMIT, "only quorum queues count deliveries"));
        }
        // Every queue is as lazy as memory demands: the mode is checked and otherwise ignored.
        if let Some(mode) =
            text(table, QUEUE_MODE)?.filter(|mode| !matches!(mode.as_str(), "default" | "lazy"))
        {
            return Err(invalid(QUEUE_MODE, format_args!("unsupported queue mode '{mode}'")));
        }
        if arguments.dead_letter_routing_key.is_some() && arguments.dead_letter_exchange.is_none() {
            return Err(invalid(DEAD_LETTER_ROUTING_KEY, "needs x-dead-letter-exchange, too"));
        }
        Ok(arguments)
    }

    /// The first argument whose values differ, if any.
    pub(crate) fn difference(&self, other: &Self) -> Option<&'static str> {
        [
            (MESSAGE_TTL, self.message_ttl == other.message_ttl),
            (EXPIRES, self.expires == other.expires),
            (MAX_LENGTH, self.max_length == other.max_length),
            (MAX_BYTES, self.max_bytes == other.max_bytes),
            (OVERFLOW, self.overflow == other.overflow),
            (DEAD_LETTER_EXCHANGE, self.dead_letter_exchange == other.dead_letter_exchange),
            (DEAD_LETTER_ROUTING_KEY, self.dead_letter_routing_key == other.dead_letter_routing_key),
            (MAX_PRIORITY, self.max_priority == other.max_priority),
            (SINGLE_ACTIVE_CONSUMER, self.single_active_consumer == other.single_active_consumer),
            (DELIVERY_LIMIT, self.delivery_limit == other.delivery_limit),
            (QUEUE_TYPE, self.quorum == other.quorum),
        ]
        .into_iter()
        .find_map(|(name, equal)| (!equal).then_some(name))
    }
}

fn invalid(argument: &'static str, reason: impl ToString) -> Invalid {
    Invalid { argument, reason: reason.to_string() }
}

/// A whole number, whatever its width.
pub(crate) fn integer(value: &AMQPValue) -> Option<i64> {
    Some(match *value {
        AMQPValue::ShortShortInt(n) => n.into(),
        AMQPValue::ShortShortUInt(n) => n.into(),
        AMQPValue::ShortInt(n) => n.into(),
        AMQPValue::ShortUInt(n) => n.into(),
        AMQPValue::LongInt(n) => n.into(),
        AMQPValue::LongUInt(n) => n.into(),
        AMQPValue::LongLongInt(n) => n,
        _ => return None,
    })
}

fn number(table: &FieldTable, argument: &'static str, least: u64) -> Result<Option<u64>, Invalid> {
    let Some(value) = table.inner().get(argument) else {
        return Ok(None);
    };
    let number = integer(value).ok_or_else(|| invalid(argument, "expected a whole number"))?;
    match u64::try_from(number) {
        Ok(number) if number >= least => Ok(Some(number)),
        _ => Err(invalid(argument, format_args!("{number} is less than {least}"))),
    }
}

/// A text argument.
pub(crate) fn text(table: &FieldTable, argument: &'static str) -> Result<Option<Name>, Invalid> {
    match table.inner().get(argument) {
        None => Ok(None),
        Some(AMQPValue::LongString(text)) => match str::from_utf8(text.as_bytes()) {
            Ok(text) => Ok(Some(Name::new(text))),
            Err(_) => Err(invalid(argument, "expected UTF-8")),
        },
        Some(_) => Err(invalid(argument, "expected a text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (key, value) in entries {
            table.insert((*key).into(), value.clone());
        }
        table
    }

    #[test]
    fn any_integer_width_is_the_same_number() {
        let narrow = QueueArguments::parse(&table(&[(MESSAGE_TTL, AMQPValue::ShortInt(500))])).unwrap();
        let wide = QueueArguments::parse(&table(&[(MESSAGE_TTL, AMQPValue::LongLongInt(500))])).unwrap();
        assert_eq!(narrow.message_ttl, Some(500));
        assert_eq!(narrow.difference(&wide), None);
        assert_eq!(narrow.difference(&QueueArguments::default()), Some(MESSAGE_TTL));
    }

    #[test]
    fn impossible_values_name_their_argument() {
        for (name, value) in [
            (MESSAGE_TTL, AMQPValue::LongInt(-1)),
            (EXPIRES, AMQPValue::LongInt(0)),
            (QUEUE_MODE, AMQPValue::LongString("eager".into())),
            (DELIVERY_LIMIT, AMQPValue::LongInt(3)),
            (MAX_LENGTH, AMQPValue::LongString("many".into())),
            (OVERFLOW, AMQPValue::LongString("explode".into())),
            (MAX_PRIORITY, AMQPValue::LongInt(256)),
            (DEAD_LETTER_EXCHANGE, AMQPValue::Boolean(true)),
            (DEAD_LETTER_ROUTING_KEY, AMQPValue::LongString("key".into())),
            (QUEUE_TYPE, AMQPValue::LongString("stream".into())),
        ] {
            let error = QueueArguments::parse(&table(&[(name, value)])).unwrap_err();
            assert_eq!(error.argument, name);
        }
    }

    #[test]
    fn unknown_arguments_are_ignored() {
        let arguments = QueueArguments::parse(&table(&[
            (QUEUE_MODE, AMQPValue::LongString("lazy".into())),
            ("x-own", AMQPValue::Boolean(true)),
        ]));
        assert_eq!(arguments, Ok(QueueArguments::default()));
    }
}
