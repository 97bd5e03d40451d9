//! Whole and streamed answers: frames to chunks.

use super::answer::Answer;
use crate::{Fault, Frame, Mode, Reader, Sink, ir::Event};

/// Reads one answer.
pub(super) struct AnswerReader {
    mode: Mode,
    answer: Answer,
    broken: bool,
}

impl AnswerReader {
    pub(super) fn new(mode: Mode) -> AnswerReader {
        AnswerReader { mode, answer: Answer::new(mode == Mode::Stream), broken: false }
    }

    fn read(&mut self, data: &[u8], sink: &mut Sink<'_>) -> Result<(), Fault> {
        self.answer.chunk(data, sink)?;
        if self.mode == Mode::Whole && self.answer.complete() {
            sink(Event::End);
        }
        Ok(())
    }
}

impl Reader for AnswerReader {
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>) {
        if self.broken || (self.mode == Mode::Stream && frame.data.iter().all(u8::is_ascii_whitespace)) {
            return;
        }
        if let Err(fault) = self.read(&frame.data, sink) {
            self.broken = true;
            sink(Event::Fault(fault.into_garbage()));
        }
    }

    /// A stream has no last line of its own: it is complete when every candidate has a reason why it ended.
    fn complete(&self) -> bool {
        !self.broken && self.answer.complete()
    }
}
