//! The methods of the class exchange, and bindings.

use amq_protocol::protocol::{AMQPClass, exchange};
use amq_protocol::types::FieldTable;

use super::arguments::text;
use super::definition::Definition;
use super::exchange::{
    BindingKey, Destination, Exchange, ExchangeDeclaration, ExchangeKind, is_header_pattern,
};
use super::queue_commands::RESERVED;
use super::value::Name;
use super::{At, Broker, Exception};

const ALTERNATE: &str = "alternate-exchange";

impl Broker {
    pub(super) fn exchange_method(&mut self, at: At, method: exchange::AMQPMethod) -> Result<(), Exception> {
        use exchange::AMQPMethod;
        let before = self.journal.last_durable();
        let (answer, nowait) = match method {
            AMQPMethod::Declare(declare) => {
                self.declare_exchange(at, &declare)?;
                (AMQPMethod::DeclareOk(exchange::DeclareOk {}), declare.nowait)
            }
            AMQPMethod::Delete(delete) => {
                self.delete_exchange_command(at, &delete)?;
                (AMQPMethod::DeleteOk(exchange::DeleteOk {}), delete.nowait)
            }
            AMQPMethod::Bind(bind) => {
                let destination = Name::from(&bind.destination);
                self.check_exchange(at, &destination)?;
                let source = Name::from(&bind.source);
                let key = Name::from(&bind.routing_key);
                self.bind(at, &source, Destination::Exchange(destination), key, bind.arguments)?;
                (AMQPMethod::BindOk(exchange::BindOk {}), bind.nowait)
            }
            AMQPMethod::Unbind(unbind) => {
                let destination = Destination::Exchange(Name::from(&unbind.destination));
                let key = BindingKey::new(destination, Name::from(&unbind.routing_key), &unbind.arguments);
                self.unbind(at, &Name::from(&unbind.source), &key)?;
                (AMQPMethod::UnbindOk(exchange::UnbindOk {}), unbind.nowait)
            }
            _ => return Err(Exception::command_invalid("this method is not expected from a client")),
        };
        if !nowait {
            self.answer(at, AMQPClass::Exchange(answer), before);
        }
        Ok(())
    }

    fn declare_exchange(&mut self, at: At, method: &exchange::Declare) -> Result<(), Exception> {
        let name = Name::from(&method.exchange);
        let vhost = self.vhost_of(at);
        if method.passive {
            return self.check_exchange(at, &name);
        }
        let Some(kind) = ExchangeKind::parse(method.kind.as_str()) else {
            return Err(Exception::command_invalid(format_args!("unknown exchange type '{}'", method.kind)));
        };
        if name.is_empty() {
            return Err(default_exchange());
        }
        let vhost_name = self.vhosts[vhost].name.clone();
        let alternate = text(&method.arguments, ALTERNATE).map_err(|invalid| {
            Exception::precondition_failed(format_args!(
                "invalid arg '{ALTERNATE}' for exchange '{name}' in vhost '{vhost_name}': {}",
                invalid.reason
            ))
        })?;
        let declaration = ExchangeDeclaration {
            kind,
            durable: method.durable,
            auto_delete: method.auto_delete,
            internal: method.internal,
            alternate,
        };
        let Some(existing) = self.vhosts[vhost].exchanges.get(&name) else {
            if name.as_str().starts_with(RESERVED) {
                return Err(Exception::access_refused(format_args!(
                    "exchange name '{name}' contains reserved prefix 'amq.*'"
                )));
            }
            if declaration.durable {
                let declaration = declaration.clone();
                self.define(&Definition::Exchange { vhost: vhost_name, name: name.clone(), declaration });
            }
            self.vhosts[vhost].exchanges.insert(name, Exchange::new(declaration));
            return Ok(());
        };
        match difference(&existing.declaration, &declaration) {
            None => Ok(()),
            Some((argument, current, received)) => Err(Exception::precondition_failed(format_args!(
                "inequivalent arg '{argument}' for exchange '{name}' in vhost '{vhost_name}': received '{received}' \
                 but current is '{current}'"
            ))),
        }
    }

    /// Deleting an exchange that is not there succeeds.
    fn delete_exchange_command(&mut self, at: At, method: &exchange::Delete) -> Result<(), Exception> {
        let name = Name::from(&method.exchange);
        if name.is_empty() {
            return Err(default_exchange());
        }
        if name.as_str().starts_with(RESERVED) {
            return Err(Exception::access_refused(format_args!("exchange '{name}' is the broker's own")));
        }
        let vhost = self.vhost_of(at);
        let Some(exchange) = self.vhosts[vhost].exchanges.get(&name) else {
            return Ok(());
        };
        if method.if_unused && exchange.is_bound() {
            return Err(Exception::precondition_failed(format_args!(
                "exchange '{name}' in vhost '{}' in use",
                self.vhosts[vhost].name
            )));
        }
        self.delete_exchange(vhost, name);
        Ok(())
    }

    /// Deletes an exchange with the bindings to and from it. Auto-delete exchanges that were bound to it alone go, too,
    /// however many hang on each other.
    pub(super) fn delete_exchange(&mut self, vhost: usize, name: Name) {
        let mut doomed = vec![name];
        while let Some(name) = doomed.pop() {
            doomed.extend(self.unbind_from(vhost, &Destination::Exchange(name.clone())));
            self.forget_exchange(vhost, name);
        }
    }

    /// Removes an exchange to which nothing is bound any more.
    fn forget_exchange(&mut self, vhost: usize, name: Name) {
        let own: Vec<_> = self.vhosts[vhost]
            .exchanges
            .get(&name)
            .into_iter()
            .flat_map(Exchange::bindings)
            .filter_map(|(key, arguments)| self.binding_definition(vhost, &name, key, arguments))
            .collect();
        for definition in &own {
            self.undefine(definition);
        }
        let Some(exchange) = self.vhosts[vhost].exchanges.remove(&name) else {
            return;
        };
        if exchange.declaration.durable {
            let vhost = self.vhosts[vhost].name.clone();
            self.undefine(&Definition::Exchange { vhost, name, declaration: exchange.declaration });
        }
    }

    /// Removes the bindings to what is gone; an auto-delete exchange goes with its last binding.
    pub(super) fn remove_bindings_to(&mut self, vhost: usize, destination: &Destination) {
        for orphan in self.unbind_from(vhost, destination) {
            self.delete_exchange(vhost, orphan);
        }
    }

    /// Removes the bindings to what is gone; returns the auto-delete exchanges that have lost their last one.
    fn unbind_from(&mut self, vhost: usize, destination: &Destination) -> Vec<Name> {
        let mut removed = Vec::new();
        for (name, exchange) in &mut self.vhosts[vhost].exchanges {
            let bindings = exchange.unbind_all(destination);
            if !bindings.is_empty() {
                let is_orphan = exchange.declaration.auto_delete && !exchange.is_bound();
                removed.push((name.clone(), bindings, is_orphan));
            }
        }
        let mut orphans = Vec::new();
        for (name, bindings, is_orphan) in removed {
            for (key, arguments) in bindings {
                if let Some(definition) = self.binding_definition(vhost, &name, &key, &arguments) {
                    self.undefine(&definition);
                }
            }
            if is_orphan {
                orphans.push(name);
            }
        }
        orphans
    }

    pub(super) fn bind(
        &mut self,
        at: At,
        source: &Name,
        destination: Destination,
        routing_key: Name,
        arguments: FieldTable,
    ) -> Result<(), Exception> {
        self.check_exchange(at, source)?;
        let vhost = self.vhost_of(at);
        let exchange = self.vhosts[vhost].exchanges.get_mut(source).expect("checked just now");
        if exchange.declaration.kind == ExchangeKind::Headers && !is_header_pattern(&arguments) {
            return Err(Exception::precondition_failed(
                "invalid x-match: expected all, any, all-with-x or any-with-x",
            ));
        }
        let key = BindingKey::new(destination, routing_key, &arguments);
        if exchange.bind(key.clone(), arguments.clone())
            && let Some(definition) = self.binding_definition(vhost, source, &key, &arguments)
        {
            self.define(&definition);
        }
        Ok(())
    }

    /// Unbinding what is not bound succeeds.
    pub(super) fn unbind(&mut self, at: At, source: &Name, key: &BindingKey) -> Result<(), Exception> {
        if source.is_empty() || key.destination == Destination::Exchange(Name::new("")) {
            return Err(default_exchange());
        }
        let vhost = self.vhost_of(at);
        let Some(exchange) = self.vhosts[vhost].exchanges.get_mut(source) else {
            return Ok(());
        };
        let Some(arguments) = exchange.unbind(key) else {
            return Ok(());
        };
        let is_orphan = exchange.declaration.auto_delete && !exchange.is_bound();
        if let Some(definition) = self.binding_definition(vhost, source, key, &arguments) {
            self.undefine(&definition);
        }
        if is_orphan {
            self.delete_exchange(vhost, source.clone());
        }
        Ok(())
    }

    /// That an exchange is there, and is not the default one.
    fn check_exchange(&self, at: At, name: &Name) -> Result<(), Exception> {
        if name.is_empty() {
            return Err(default_exchange());
        }
        let vhost = &self.vhosts[self.vhost_of(at)];
        match vhost.exchanges.contains_key(name) {
            true => Ok(()),
            false => Err(Exception::no_exchange(name, &vhost.name)),
        }
    }
}

fn default_exchange() -> Exception {
    Exception::access_refused("operation not permitted on the default exchange")
}

/// The first property that differs, with both values.
fn difference(
    current: &ExchangeDeclaration,
    received: &ExchangeDeclaration,
) -> Option<(&'static str, String, String)> {
    let alternate = |declaration: &ExchangeDeclaration| match &declaration.alternate {
        Some(name) => name.to_string(),
        None => "none".to_owned(),
    };
    [
        ("type", current.kind.to_string(), received.kind.to_string()),
        ("durable", current.durable.to_string(), received.durable.to_string()),
        ("auto_delete", current.auto_delete.to_string(), received.auto_delete.to_string()),
        ("internal", current.internal.to_string(), received.internal.to_string()),
        (ALTERNATE, alternate(current), alternate(received)),
    ]
    .into_iter()
    .find(|(_, current, received)| current != received)
}

#[cfg(test)]
mod tests {
    use amq_protocol::protocol::channel;

    use super::*;
    use crate::broker::{Command, DEFAULT_VHOST, Peer, Setup, Time};

    /// A stack that is small enough for a recursion to be noticed.
    const STACK: usize = 64 * 1024;

    #[test]
    fn exchanges_that_hang_on_each_other_go_without_a_deep_stack() {
        let chain = || {
            let mut broker = Broker::new(Setup::in_memory(0, Time(0)));
            let peer = Peer::inside(Name::new("guest"), Name::new(DEFAULT_VHOST));
            let id = broker.connect(peer).unwrap();
            let mut tell = |class| broker.handle(id, 1, Command::Method(class), Time(0));
            tell(AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})));
            for number in 0..1_000 {
                tell(AMQPClass::Exchange(exchange::AMQPMethod::Declare(exchange::Declare {
                    exchange: format!("x{number}").into(),
                    kind: "fanout".into(),
                    passive: false,
                    durable: false,
                    auto_delete: true,
                    internal: false,
                    nowait: true,
                    arguments: FieldTable::default(),
                })));
                if number > 0 {
                    tell(AMQPClass::Exchange(exchange::AMQPMethod::Bind(exchange::Bind {
                        destination: format!("x{}", number - 1).into(),
                        source: format!("x{number}").into(),
                        routing_key: "".into(),
                        nowait: true,
                        arguments: FieldTable::default(),
                    })));
                }
            }
            let delete = exchange::Delete { exchange: "x0".into(), if_unused: false, nowait: true };
            tell(AMQPClass::Exchange(exchange::AMQPMethod::Delete(delete)));
            broker.survey_exchanges(None).iter().filter(|exchange| exchange.name.starts_with('x')).count()
        };
        let thread = std::thread::Builder::new().stack_size(STACK).spawn(chain).unwrap();
        assert_eq!(thread.join().unwrap(), 0);
    }
}
