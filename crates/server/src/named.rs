//! Answers that name neither themselves nor their model get the call's id, and the name by which the model was asked.

use std::{borrow::Cow, sync::Arc};

use policy::route::Target;
use uuid::Uuid;
use wire::{Dialect, Losses, Prompt, Wanted, Writer, ir::Event};

/// Fills the names in.
struct Named {
    writer: Box<dyn Writer>,
    model: Arc<str>,
    id: Uuid,
}

/// A writer for a caller of an answer from this target, to the caller's prompt where it sent one.
pub(crate) fn writer(
    caller: Dialect,
    prompt: Option<&Prompt>,
    wanted: Wanted,
    target: &Target,
    id: Uuid,
) -> Box<dyn Writer> {
    let writer = match prompt {
        Some(prompt) => prompt.writer(wanted),
        None => caller.writer(wanted),
    };
    if target.dialect.names_model() {
        return writer;
    }
    Box::new(Named { writer, model: Arc::clone(&target.model), id })
}

impl Writer for Named {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model, created_s } if model.is_empty() => {
                let own = self.id.hyphenated().to_string();
                let id = if id.is_empty() { Cow::Owned(own) } else { Cow::Borrowed(&**id) };
                let model = Cow::Borrowed(&*self.model);
                self.writer.event(&Event::Start { id, model, created_s: *created_s }, out);
            }
            event => self.writer.event(event, out),
        }
    }

    fn losses(&self) -> &Losses {
        self.writer.losses()
    }
}
