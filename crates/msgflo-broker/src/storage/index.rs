//! Where each message that is still wanted lies: sixteen bytes a message.
//!
//! Record numbers grow by one, so the index is an array, cut into chunks that go when their last message goes.

use std::collections::BTreeMap;

use crate::broker::RecordId;

/// Messages a chunk: few enough that a message which stays for ever costs little, enough that chunks cost nothing.
const CHUNK: u64 = 512;

/// A place in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: u32,
    pub(super) offset: u32,
    /// The record's size; never zero.
    pub(super) size: u32,
    /// How often the message came back after a delivery.
    pub(super) returns: u32,
}

const VACANT: Place = Place { segment: 0, offset: 0, size: 0, returns: 0 };

#[derive(Debug)]
struct Chunk {
    places: Box<[Place]>,
    used: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Index {
    chunks: BTreeMap<u64, Chunk>,
}

impl Index {
    pub(super) fn get(&self, record: RecordId) -> Option<Place> {
        let number = record.0.get();
        let chunk = self.chunks.get(&(number / CHUNK))?;
        Some(chunk.places[(number % CHUNK) as usize]).filter(|place| *place != VACANT)
    }

    /// Notes a place; returns the one before.
    pub(super) fn insert(&mut self, record: RecordId, place: Place) -> Option<Place> {
        let number = record.0.get();
        let chunk = self
            .chunks
            .entry(number / CHUNK)
            .or_insert_with(|| Chunk { places: vec![VACANT; CHUNK as usize].into_boxed_slice(), used: 0 });
        let old = std::mem::replace(&mut chunk.places[(number % CHUNK) as usize], place);
        if old == VACANT {
            chunk.used += 1;
            return None;
        }
        Some(old)
    }

    pub(super) fn remove(&mut self, record: RecordId) -> Option<Place> {
        let number = record.0.get();
        let chunk = self.chunks.get_mut(&(number / CHUNK))?;
        let old = std::mem::replace(&mut chunk.places[(number % CHUNK) as usize], VACANT);
        if old == VACANT {
            return None;
        }
        chunk.used -= 1;
        if chunk.used == 0 {
            self.chunks.remove(&(number / CHUNK));
        }
        Some(old)
    }

    /// Counts that a message came back.
    pub(super) fn returned(&mut self, record: RecordId, returns: u32) {
        let number = record.0.get();
        if let Some(chunk) = self.chunks.get_mut(&(number / CHUNK)) {
            let place = &mut chunk.places[(number % CHUNK) as usize];
            if *place != VACANT {
                place.returns = returns;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_map(steps in prop::collection::vec((any::<bool>(), 1_u64..1_200, 1_u32..9), 0..300)) {
            let (mut index, mut map) = (Index::default(), HashMap::new());
            for (insert, number, size) in steps {
                let record = RecordId(number.try_into().unwrap());
                if insert {
                    let place = Place { segment: 1, offset: 2, size, returns: 0 };
                    prop_assert_eq!(index.insert(record, place), map.insert(record, place));
                } else {
                    prop_assert_eq!(index.remove(record), map.remove(&record));
                }
            }
            for number in 1..1_200 {
                let record = RecordId(number.try_into().unwrap());
                prop_assert_eq!(index.get(record), map.get(&record).copied());
            }
            for record in map.keys() {
                index.remove(*record);
            }
            prop_assert!(index.chunks.is_empty());
        }
    }
}
