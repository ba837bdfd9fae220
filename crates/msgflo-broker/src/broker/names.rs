//! Names for queues and consumers that clients leave unnamed.

use super::value::Name;

/// A sequence of names without repetition: a counter under a bijective mix (splitmix64), so that they neither repeat
/// nor can be guessed from one another at a glance. They are no secret.
#[derive(Debug)]
pub(crate) struct Names {
    state: u64,
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Names {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A new name after a prefix.
    pub(crate) fn next(&mut self, prefix: &str) -> Name {
        let mut text = String::from(prefix);
        for mut bits in [self.mix(), self.mix()] {
            for _ in 0..11 {
                text.push(char::from(ALPHABET[(bits & 63) as usize]));
                bits >>= 6;
            }
        }
        Name::new(&text)
    }

    fn mix(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}
