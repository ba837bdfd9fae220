//! Exchanges, queues and bindings as the storage keeps them: a key that tells them apart, and a value.
//!
//! Field tables are kept in their encoding: their types are part of what a binding is.

use amq_protocol::types::FieldTable;

use super::exchange::{ExchangeDeclaration, ExchangeKind};
use super::journal::QueueUid;
use super::value::Name;
use crate::pack::{self, Malformed, Unpack};

/// Something that is remembered beside messages.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Definition {
    VirtualHost(Name),
    Exchange {
        vhost: Name,
        name: Name,
        declaration: ExchangeDeclaration,
    },
    Queue {
        vhost: Name,
        name: Name,
        uid: QueueUid,
        auto_delete: bool,
        arguments: FieldTable,
    },
    Binding {
        vhost: Name,
        source: Name,
        to_exchange: bool,
        destination: Name,
        key: Name,
        arguments: FieldTable,
    },
}

const VIRTUAL_HOST: u8 = b'v';
const EXCHANGE: u8 = b'x';
const QUEUE: u8 = b'q';
const BINDING: u8 = b'y';

impl Definition {
    /// What tells it apart from all others.
    pub(crate) fn key(&self) -> Vec<u8> {
        let mut key = Vec::new();
        let mut names = |kind: u8, names: &[&Name]| {
            key.push(kind);
            for name in names {
                pack::bytes(&mut key, name.as_str().as_bytes());
            }
        };
        match self {
            Self::VirtualHost(name) => names(VIRTUAL_HOST, &[name]),
            Self::Exchange { vhost, name, .. } => names(EXCHANGE, &[vhost, name]),
            Self::Queue { vhost, name, .. } => names(QUEUE, &[vhost, name]),
            Self::Binding { vhost, source, to_exchange, destination, key: routing_key, arguments } => {
                names(BINDING, &[vhost, source, destination, routing_key]);
                key.push(u8::from(*to_exchange));
                pack::table(&mut key, arguments);
            }
        }
        key
    }

    /// The rest of it.
    pub(crate) fn value(&self) -> Vec<u8> {
        let mut value = Vec::new();
        match self {
            Self::VirtualHost(_) | Self::Binding { .. } => {}
            Self::Exchange { declaration, .. } => {
                pack::bytes(&mut value, declaration.kind.as_str().as_bytes());
                value.push(u8::from(declaration.auto_delete));
                value.push(u8::from(declaration.internal));
                value.push(u8::from(declaration.alternate.is_some()));
                let alternate = declaration.alternate.as_ref().map_or("", Name::as_str);
                pack::bytes(&mut value, alternate.as_bytes());
            }
            Self::Queue { uid, auto_delete, arguments, .. } => {
                value.extend_from_slice(&uid.0.to_be_bytes());
                value.push(u8::from(*auto_delete));
                pack::table(&mut value, arguments);
            }
        }
        value
    }

    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Self, Malformed> {
        let (&kind, key) = key.split_first().ok_or(Malformed)?;
        let (mut key, mut value) = (Unpack(key), Unpack(value));
        let mut name = || key.text().map(Name::new);
        let vhost = name()?;
        Ok(match kind {
            VIRTUAL_HOST => Self::VirtualHost(vhost),
            EXCHANGE => {
                let name = name()?;
                let kind = ExchangeKind::parse(value.text()?).ok_or(Malformed)?;
                let (auto_delete, internal, has_alternate) = (value.flag()?, value.flag()?, value.flag()?);
                let alternate = Name::new(value.text()?);
                let alternate = has_alternate.then_some(alternate);
                let declaration =
                    ExchangeDeclaration { kind, durable: true, auto_delete, internal, alternate };
                Self::Exchange { vhost, name, declaration }
            }
            QUEUE => Self::Queue {
                vhost,
                name: name()?,
                uid: QueueUid(value.u64()?),
                auto_delete: value.flag()?,
                arguments: value.table()?,
            },
            BINDING => {
                let (source, destination, routing_key) = (name()?, name()?, name()?);
                let to_exchange = key.flag()?;
                let arguments = key.table()?;
                Self::Binding { vhost, source, to_exchange, destination, key: routing_key, arguments }
            }
            _ => return Err(Malformed),
        })
    }
}

#[cfg(test)]
mod tests {
    use amq_protocol::types::AMQPValue;

    use super::*;

    #[test]
    fn definitions_come_back_as_they_were() {
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::ShortInt(3));
        let name = Name::new;
        let declaration = ExchangeDeclaration {
            kind: ExchangeKind::Topic,
            durable: true,
            auto_delete: true,
            internal: false,
            alternate: Some(name("other")),
        };
        for definition in [
            Definition::VirtualHost(name("v")),
            Definition::Exchange { vhost: name("/"), name: name("x"), declaration },
            Definition::Queue {
                vhost: name("/"),
                name: name("q"),
                uid: QueueUid(7),
                auto_delete: false,
                arguments: arguments.clone(),
            },
            Definition::Binding {
                vhost: name("/"),
                source: name("x"),
                to_exchange: false,
                destination: name("q"),
                key: name("a.*"),
                arguments,
            },
        ] {
            let (key, value) = (definition.key(), definition.value());
            assert_eq!(Definition::decode(&key, &value), Ok(definition));
            assert_eq!(Definition::decode(&key[..key.len() - 1], &value), Err(Malformed));
        }
    }
}
