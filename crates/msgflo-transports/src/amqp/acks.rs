//! Fewer frames for the same answers: runs of acknowledgements are told as one.
//!
//! Pure. Deliveries of a channel are numbered 1, 2, 3 … by their tags. Each is answered for once, in any order. As long
//! as the answers come in the order of the tags, a single `ack` with the multiple flag stands for many.

use std::collections::{BTreeMap, BTreeSet};

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Ack,
    Nack { requeue: bool },
}

/// A frame to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Ack { tag: u64, multiple: bool },
    Nack { tag: u64, requeue: bool },
}

/// What was answered on one channel.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    /// Every delivery up to this tag has been answered for.
    answered: u64,
    /// Deliveries beyond that which have been answered for.
    beyond: BTreeSet<u64>,
}

impl Acks {
    /// The frames that tell `answers`, in the order in which they must be sent.
    pub(crate) fn tell(&mut self, answers: impl IntoIterator<Item = (u64, Answer)>) -> Vec<Frame> {
        let answers: BTreeMap<u64, Answer> = answers.into_iter().collect();
        self.beyond.extend(answers.keys());
        let before = self.answered;
        while self.beyond.remove(&(self.answered + 1)) {
            self.answered += 1;
        }
        let mut frames = Vec::new();
        let mut acks = Vec::new();
        for (&tag, &answer) in &answers {
            match answer {
                // Told first: an acknowledgement of a run must not cover a refusal.
                Answer::Nack { requeue } => frames.push(Frame::Nack { tag, requeue }),
                Answer::Ack => acks.push(tag),
            }
        }
        debug_assert!(acks.first().is_none_or(|&first| first > before), "a delivery is answered for once");
        let (run, single) = acks.split_at(acks.partition_point(|&tag| tag <= self.answered));
        if let Some(&tag) = run.last() {
            frames.push(Frame::Ack { tag, multiple: run.len() > 1 });
        }
        frames.extend(single.iter().map(|&tag| Frame::Ack { tag, multiple: false }));
        frames
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ACK: Answer = Answer::Ack;
    const DROP: Answer = Answer::Nack { requeue: false };

    #[test]
    fn a_run_is_one_frame() {
        let mut acks = Acks::default();
        assert_eq!(acks.tell([(2, ACK)]), [Frame::Ack { tag: 2, multiple: false }]);
        assert_eq!(acks.tell([(3, ACK), (1, ACK)]), [Frame::Ack { tag: 3, multiple: true }]);
        assert_eq!(
            acks.tell([(4, ACK), (5, DROP), (6, ACK)]),
            [Frame::Nack { tag: 5, requeue: false }, Frame::Ack { tag: 6, multiple: true }]
        );
    }

    proptest! {
        /// A broker that applies the frames ends with just the answers that were given.
        #[test]
        fn every_answer_arrives_once(
            order in Just((1..=40u64).collect::<Vec<_>>()).prop_shuffle(),
            refused in prop::collection::btree_set(1..=40u64, 0..10),
            batches in prop::collection::vec(1..6usize, 40),
        ) {
            let mut outstanding: BTreeSet<u64> = (1..=40).collect();
            let (mut acked, mut nacked) = (BTreeSet::new(), BTreeSet::new());
            let mut acks = Acks::default();
            let mut left = &order[..];
            for size in batches {
                let (batch, rest) = left.split_at(size.min(left.len()));
                left = rest;
                let answers = batch.iter().map(|&tag| (tag, if refused.contains(&tag) { DROP } else { ACK }));
                for frame in acks.tell(answers) {
                    match frame {
                        Frame::Nack { tag, .. } => {
                            prop_assert!(outstanding.remove(&tag));
                            nacked.insert(tag);
                        }
                        Frame::Ack { tag, multiple: false } => {
                            prop_assert!(outstanding.remove(&tag));
                            acked.insert(tag);
                        }
                        Frame::Ack { tag, multiple: true } => {
                            prop_assert!(outstanding.contains(&tag));
                            let beyond = outstanding.split_off(&(tag + 1));
                            acked.append(&mut outstanding);
                            outstanding = beyond;
                        }
                    }
                }
                let told: BTreeSet<u64> = order[..order.len() - left.len()].iter().copied().collect();
                prop_assert_eq!(&acked | &nacked, told);
            }
            prop_assert_eq!(nacked, refused);
        }
    }
}
