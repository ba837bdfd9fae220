//! What inports and outports have in common: how they are described and what they are connected to.

use msgflo_core::{Assurance, Port, PortName, QueueName, Role};

/// How a port is announced.
#[derive(Clone, Debug, Default)]
pub(crate) struct Description {
    pub(crate) queue: Option<QueueName>,
    pub(crate) data_type: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) hidden: bool,
    pub(crate) assurance: Assurance,
}

impl Description {
    /// The queue or exchange of the port `name` of `role`.
    pub(crate) fn queue(&self, role: &Role, name: &PortName) -> QueueName {
        self.queue.clone().unwrap_or_else(|| QueueName::conventional(role, name))
    }

    /// The port as `role` announces it.
    pub(crate) fn announced(&self, role: &Role, name: &PortName) -> Port {
        let mut port = Port::new(name.clone(), Some(self.queue(role, name)));
        if let Some(data_type) = &self.data_type {
            port.data_type = Some(data_type.clone());
        }
        port.description.clone_from(&self.text);
        port.hidden = self.hidden;
        if self.assurance == Assurance::AtMostOnce {
            port.deliver_at_most_once();
        }
        port
    }
}

/// The builder methods that inports and outports share.
macro_rules! description_methods {
    () => {
        /// Connects the port to `queue` instead of `role.PORT`.
        #[must_use]
        pub fn queue(mut self, queue: impl Into<msgflo_core::QueueName>) -> Self {
            self.description.queue = Some(queue.into());
            self
        }

        /// The type of the data, by convention one of FBP's: `string`, `object`, `buffer` … It is `any` unless said.
        #[must_use]
        pub fn data_type(mut self, data_type: impl Into<String>) -> Self {
            self.description.data_type = Some(data_type.into());
            self
        }

        /// One line on what the port is for.
        #[must_use]
        pub fn description(mut self, text: impl Into<String>) -> Self {
            self.description.text = Some(text.into());
            self
        }

        /// Messages of this port may be lost, and cost less: on MQTT they have the quality of service 0, not 1, and on AMQP
        /// those of an outport do not survive the broker.
        #[must_use]
        pub fn at_most_once(mut self) -> Self {
            self.description.assurance = msgflo_core::Assurance::AtMostOnce;
            self
        }

        /// Leaves the port out of the network's picture.
        #[must_use]
        pub fn hidden(mut self) -> Self {
            self.description.hidden = true;
            self
        }
    };
}
pub(crate) use description_methods;
