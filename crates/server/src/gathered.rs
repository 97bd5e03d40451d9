//! Bytes on their way to a caller.

use bytes::Bytes;

/// Bytes for the caller, gathered without a copy while there is one piece.
#[derive(Default)]
pub(crate) struct Gathered {
    piece: Bytes,
    joined: Vec<u8>,
}

impl Gathered {
    pub(crate) fn pass(&mut self, bytes: Bytes) {
        if self.joined.is_empty() && self.piece.is_empty() {
            self.piece = bytes;
        } else if !bytes.is_empty() {
            self.written().extend_from_slice(&bytes);
        }
    }

    pub(crate) fn written(&mut self) -> &mut Vec<u8> {
        if !self.piece.is_empty() {
            self.joined.extend_from_slice(&std::mem::take(&mut self.piece));
        }
        &mut self.joined
    }

    pub(crate) fn len(&self) -> usize {
        self.piece.len() + self.joined.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn take(&mut self) -> Option<Bytes> {
        if self.is_empty() {
            return None;
        }
        if self.joined.is_empty() {
            return Some(std::mem::take(&mut self.piece));
        }
        Some(Bytes::from(std::mem::take(&mut self.joined)))
    }
}
