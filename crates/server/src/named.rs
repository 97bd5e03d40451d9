//! Answers that do not name their model get the name by which it was asked.

use std::{borrow::Cow, sync::Arc};

use policy::route::Target;
use wire::{Dialect, Losses, Wanted, Writer, ir::Event};

/// Fills the model's name in.
struct Named {
    writer: Box<dyn Writer>,
    model: Arc<str>,
}

/// A writer for a caller of an answer from this target.
pub(crate) fn writer(caller: Dialect, wanted: Wanted, target: &Target) -> Box<dyn Writer> {
    let writer = caller.writer(wanted);
    if target.dialect.names_model() {
        return writer;
    }
    Box::new(Named { writer, model: Arc::clone(&target.model) })
}

impl Writer for Named {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model, created_s } if model.is_empty() => {
                let (id, model) = (Cow::Borrowed(&**id), Cow::Borrowed(&*self.model));
                self.writer.event(&Event::Start { id, model, created_s: *created_s }, out);
            }
            event => self.writer.event(event, out),
        }
    }

    fn losses(&self) -> &Losses {
        self.writer.losses()
    }
}
