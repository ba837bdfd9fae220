//! Who of us wants which topics.

use std::collections::BTreeMap;
use std::sync::Arc;

use msgflo_core::{Assurance, Message, QueueName};
use tokio::sync::mpsc;

use super::mailbox::{Duty, Mailbox};
use super::session::Receipt;

/// The group under which instances of ours share a subscription.
const GROUP: &str = "msgflo";

/// Every subscription of a connection: one a topic, however many mailboxes want it.
#[derive(Default)]
pub(crate) struct Topics {
    wanted: BTreeMap<QueueName, Topic>,
}

struct Topic {
    mailboxes: Vec<Arc<Mailbox>>,
    assurance: Assurance,
    shared: bool,
}

impl Topics {
    /// One more mailbox wants `topic`. `shared`: among the instances that say the same, each message goes to one. What to
    /// subscribe to, if we have not.
    pub(crate) fn add(
        &mut self,
        topic: &QueueName,
        mailbox: Arc<Mailbox>,
        assurance: Assurance,
        shared: bool,
    ) -> Option<(QueueName, Assurance)> {
        if let Some(known) = self.wanted.get_mut(topic) {
            known.mailboxes.push(mailbox);
            if known.assurance == Assurance::AtLeastOnce || assurance == Assurance::AtMostOnce {
                return None;
            }
            known.assurance = assurance;
            return Some((filter(topic, known.shared), assurance));
        }
        self.wanted.insert(topic.clone(), Topic { mailboxes: vec![mailbox], assurance, shared });
        Some((filter(topic, shared), assurance))
    }

    /// What to unsubscribe from before `mailbox` is [removed](Self::remove), if nobody else wants `topic`.
    pub(crate) fn leaving(&self, topic: &QueueName, mailbox: &Arc<Mailbox>) -> Option<QueueName> {
        let known = self.wanted.get(topic)?;
        let is_last = known.mailboxes.iter().all(|other| Arc::ptr_eq(other, mailbox));
        is_last.then(|| filter(topic, known.shared))
    }

    /// A mailbox wants `topic` no more. If others still do, what they have subscribed to.
    pub(crate) fn remove(
        &mut self,
        topic: &QueueName,
        mailbox: &Arc<Mailbox>,
    ) -> Option<(QueueName, Assurance)> {
        let known = self.wanted.get_mut(topic)?;
        known.mailboxes.retain(|other| !Arc::ptr_eq(other, mailbox));
        if known.mailboxes.is_empty() {
            self.wanted.remove(topic);
            return None;
        }
        Some((filter(topic, known.shared), known.assurance))
    }

    /// What is asked of a broker that knows nothing of us.
    pub(crate) fn filters(&self) -> Vec<(QueueName, Assurance)> {
        let filter = |(topic, known): (&QueueName, &Topic)| (filter(topic, known.shared), known.assurance);
        self.wanted.iter().map(filter).collect()
    }

    /// Puts a message into every mailbox that wants it. Whether there is one: if not, it is acknowledged.
    pub(crate) fn deliver(
        &self,
        topic: &str,
        message: Message,
        receipt: Option<Receipt>,
        acknowledgements: &mpsc::UnboundedSender<Receipt>,
    ) -> bool {
        let duty = receipt.map(|receipt| Duty::new(receipt, acknowledgements.clone()));
        let wanted = self.wanted.get(topic).and_then(|topic| topic.mailboxes.split_last());
        let is_wanted = wanted.is_some();
        if let Some((last, others)) = wanted {
            for mailbox in others {
                mailbox.put(message.clone(), duty.as_ref());
            }
            last.put(message, duty.as_ref());
        }
        if let Some(duty) = duty {
            duty.settle();
        }
        is_wanted
    }

    /// The broker sends again what was not acknowledged.
    pub(crate) fn begin_round(&self) {
        self.mailboxes().for_each(|mailbox| mailbox.begin_round());
    }

    /// No more messages come.
    pub(crate) fn close(&self) {
        self.mailboxes().for_each(|mailbox| mailbox.close());
    }

    fn mailboxes(&self) -> impl Iterator<Item = &Arc<Mailbox>> {
        self.wanted.values().flat_map(|topic| &topic.mailboxes)
    }
}

/// Whether a name is that of one topic. Messages are told apart by their topics, so that one which stands for many gets none.
pub(crate) fn is_topic(name: &QueueName) -> bool {
    !name.as_str().is_empty() && !name.as_str().contains(['+', '#', '\0'])
}

fn filter(topic: &QueueName, shared: bool) -> QueueName {
    if shared { QueueName::from(format!("$share/{GROUP}/{topic}")) } else { topic.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::mailbox::Overflow;

    #[test]
    fn a_topic_is_subscribed_to_once() {
        let (mut topics, topic) = (Topics::default(), QueueName::from("a"));
        let (one, other) = (Mailbox::new(9, Overflow::DropOldest), Mailbox::new(9, Overflow::DropOldest));
        let assurance = Assurance::AtLeastOnce;
        let asked = topics.add(&topic, Arc::clone(&one), assurance, false);
        assert_eq!(asked, Some((topic.clone(), assurance)));
        assert_eq!(topics.add(&topic, Arc::clone(&other), assurance, false), None);
        assert_eq!(topics.leaving(&topic, &one), None, "the other wants it");
        assert_eq!(topics.remove(&topic, &one), Some((topic.clone(), assurance)));
        assert_eq!(topics.leaving(&topic, &other), Some(topic.clone()));
        assert_eq!(topics.remove(&topic, &other), None);
        assert_eq!(topics.filters(), []);
    }

    #[test]
    fn what_comes_for_one_who_has_gone_is_acknowledged_at_once() {
        let (mut topics, mailbox) = (Topics::default(), Mailbox::new(9, Overflow::DropUnassured));
        topics.add(&"a".into(), Arc::clone(&mailbox), Assurance::AtLeastOnce, false);
        let (acknowledge, mut acknowledged) = mpsc::unbounded_channel();
        let deliver = |n| topics.deliver("a", Message::new("x"), Some(Receipt::numbered(n)), &acknowledge);
        deliver(0);
        assert!(acknowledged.try_recv().is_err(), "it waits for who takes it");
        mailbox.close();
        deliver(1);
        assert_eq!(acknowledged.try_recv(), Ok(Receipt::numbered(1)));
        mailbox.discard();
        assert_eq!(acknowledged.try_recv(), Ok(Receipt::numbered(0)));
    }

    #[test]
    fn instances_share_by_a_filter_of_their_group() {
        let mut topics = Topics::default();
        topics.add(&"a/b".into(), Mailbox::new(9, Overflow::DropUnassured), Assurance::AtMostOnce, true);
        assert_eq!(topics.filters(), [("$share/msgflo/a/b".into(), Assurance::AtMostOnce)]);
    }
}
