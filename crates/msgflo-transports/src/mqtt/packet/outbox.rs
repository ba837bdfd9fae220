//! What waits to be written to the socket.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Payloads from this length on are not copied between small ones, but written from where they lie.
const LARGE: usize = 4096;

/// Bytes to write, in pieces. It is read as a [`Buf`], so that many pieces go into one call of the system.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pieces: VecDeque<Bytes>,
    /// What was added last, and may grow.
    tail: BytesMut,
}

impl Outbox {
    pub(crate) fn put_u8(&mut self, byte: u8) {
        self.tail.put_u8(byte);
    }

    pub(crate) fn put_u16(&mut self, number: u16) {
        self.tail.put_u16(number);
    }

    pub(crate) fn put_slice(&mut self, bytes: &[u8]) {
        self.tail.put_slice(bytes);
    }

    /// Adds a payload.
    pub(crate) fn put_payload(&mut self, payload: &Bytes) {
        if payload.len() < LARGE {
            self.tail.put_slice(payload);
        } else {
            self.seal();
            self.pieces.push_back(payload.clone());
        }
    }

    /// Makes everything that was added readable.
    pub(crate) fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push_back(self.tail.split().freeze());
        }
    }

    /// Forgets what was not written: the connection that it was for is gone.
    pub(crate) fn clear(&mut self) {
        self.pieces.clear();
        self.tail.clear();
    }
}

/// What is sealed.
impl Buf for Outbox {
    fn remaining(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let filled = slices.iter_mut().zip(&self.pieces);
        filled.map(|(slice, piece)| *slice = IoSlice::new(piece)).count()
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(piece) = self.pieces.front_mut() {
            if count < piece.len() {
                piece.advance(count);
                return;
            }
            count -= piece.len();
            self.pieces.pop_front();
        }
        assert_eq!(count, 0, "no more is written than there is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_out_as_they_went_in_and_large_ones_are_not_copied() {
        let (small, large) = (Bytes::from(vec![1; 10]), Bytes::from(vec![2; LARGE]));
        let mut outbox = Outbox::default();
        outbox.put_u8(7);
        outbox.put_payload(&small);
        outbox.put_payload(&large);
        outbox.put_u16(0x0809);
        outbox.seal();
        assert!(outbox.pieces.iter().any(|piece| piece.as_ptr() == large.as_ptr()));
        let mut written = Vec::new();
        while outbox.has_remaining() {
            let count = outbox.chunk().len().min(100);
            written.extend_from_slice(&outbox.chunk()[..count]);
            outbox.advance(count);
        }
        assert_eq!(written, [&[7][..], &small, &large, &[8, 9]].concat());
    }
}
