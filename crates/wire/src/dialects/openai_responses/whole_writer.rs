//! Whole answers: events to bytes.

use super::answer::write_response;
use crate::{
    Losses, Wanted, Writer,
    dialects::openai_chat::fault::write_error,
    ir::{Event, Fold},
    json::ObjectWriter,
};

/// Collects an answer and writes it at its end.
pub(super) struct WholeWriter {
    wanted: Wanted,
    fold: Fold,
    losses: Losses,
}

impl WholeWriter {
    pub(super) fn new(wanted: Wanted) -> WholeWriter {
        WholeWriter { wanted, fold: Fold::default(), losses: Losses::default() }
    }
}

impl Writer for WholeWriter {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::End => {
                let Wanted { source, now_s, .. } = self.wanted;
                write_response(out, self.fold.response(), source, now_s, &mut self.losses);
            }
            Event::Fault(fault) => {
                let mut body = ObjectWriter::open(out);
                write_error(&mut body, fault, "");
                body.close();
            }
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
