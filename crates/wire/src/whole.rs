//! Whole bodies are streams of one: the reader and the writer that every dialect shares.

use crate::{
    Fault, FaultBody, Frame, Losses, Reader, Sink, Wanted, Writer,
    ir::{Event, Fold, Response},
};

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

/// Writes one whole answer, and tells what it could not carry.
pub(crate) type WriteWhole = fn(&mut Vec<u8>, &Response, &Wanted, &mut Losses);

/// Collects an answer and writes it at its end as its dialect does.
pub(crate) struct WholeWriter {
    wanted: Wanted,
    write: WriteWhole,
    encode_fault: fn(&Fault, &str) -> FaultBody,
    fold: Fold,
    losses: Losses,
}

impl WholeWriter {
    pub(crate) fn new(
        wanted: Wanted,
        write: WriteWhole,
        encode_fault: fn(&Fault, &str) -> FaultBody,
    ) -> WholeWriter {
        WholeWriter { wanted, write, encode_fault, fold: Fold::default(), losses: Losses::default() }
    }
}

impl Writer for WholeWriter {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::End => (self.write)(out, self.fold.response(), &self.wanted, &mut self.losses),
            Event::Fault(fault) => out.extend_from_slice(&(self.encode_fault)(fault, "").json),
            Event::Start { .. }
            | Event::PartStart { .. }
            | Event::PartDelta { .. }
            | Event::PartStop { .. }
            | Event::Logprobs { .. }
            | Event::ChoiceStop { .. }
            | Event::Usage { .. }
            | Event::Ext { .. } => self.fold.event(event),
        }
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}
