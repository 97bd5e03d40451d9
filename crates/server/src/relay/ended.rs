//! Work that was done after its request was answered, found in an answer that tells that it has ended.

use std::{cell::RefCell, rc::Rc};

use wire::{Dialect, EndedWork, Form, Frame, Operation, Reader, Sink};

use super::Reading;
use crate::call::{Call, Open};

/// Whether an answer of a chat may tell of work in the background: it is told of only where the request asked for it.
pub(super) fn may_be_in_background(open: &Open, dialect: Dialect) -> bool {
    dialect == Dialect::OpenaiResponses && memchr::memmem::find(&open.prompt, b"\"background\"").is_some()
}

impl Reading<'_> {
    /// Whether an answer that is read so may tell of work that has ended.
    pub(super) fn tells_of_work(self) -> bool {
        match self {
            Reading::Form(form, _) => {
                matches!(form.operation(), Operation::Batches | Operation::StoredResponses)
            }
            Reading::Dialect(dialect) => dialect == Dialect::OpenaiResponses,
            Reading::Guess => true,
        }
    }
}

/// Looks for ended work in a whole answer.
pub(super) fn look(call: &mut Call, body: &[u8]) {
    let found = Form::ended_works(body);
    if !found.is_empty() {
        call.open().meter.ended_works = Some(Rc::new(RefCell::new(found)));
    }
}

/// Has ended work looked for in the events of a stream, beside what its reader reads.
pub(super) fn watch(call: &mut Call, reader: Box<dyn Reader>) -> Box<dyn Reader> {
    let found = Rc::clone(call.open().meter.ended_works.get_or_insert_default());
    Box::new(Watcher { reader, found })
}

struct Watcher {
    reader: Box<dyn Reader>,
    /// The call has them too, since it may be over before the stream is.
    found: Rc<RefCell<Vec<EndedWork>>>,
}

impl Reader for Watcher {
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>) {
        self.found.borrow_mut().extend(Form::ended_works(&frame.data));
        self.reader.frame(frame, sink);
    }

    fn complete(&self) -> bool {
        self.reader.complete()
    }
}
