//! Whole bodies are streams of one: the reader that every dialect shares.

use crate::{Fault, Frame, Reader, Sink, ir::Event};

/// Reads one whole answer; tells whether it was complete.
pub(crate) type ReadWhole = fn(&[u8], &mut Sink<'_>) -> Result<bool, Fault>;

/// Reads one whole answer as its dialect does.
pub(crate) struct WholeReader {
    read: ReadWhole,
    complete: bool,
}

impl WholeReader {
    pub(crate) fn new(read: ReadWhole) -> WholeReader {
        WholeReader { read, complete: false }
    }
}

impl Reader for WholeReader {
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>) {
        match (self.read)(&frame.data, sink) {
            Ok(complete) => self.complete = complete,
            Err(fault) => sink(Event::Fault(fault.into_garbage())),
        }
    }

    fn complete(&self) -> bool {
        self.complete
    }
}
