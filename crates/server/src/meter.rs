//! Watches the events of an answer and keeps what settling needs.

use std::time::Instant;

use wire::{
    Fault,
    count::Estimator,
    ir::{Event, PartDelta, Usage},
};

/// What was seen of an answer so far.
#[derive(Default)]
pub(crate) struct Meter {
    usage: Option<Usage>,
    /// Counts what was generated, for answers whose provider reports nothing or is cut off before it does.
    generated: Estimator,
    pub(crate) stop: Option<String>,
    pub(crate) first_byte: Option<Instant>,
    /// The error that the provider reported inside its answer.
    pub(crate) fault: Option<Fault>,
    /// The provider said that the answer is complete.
    pub(crate) ended: bool,
}

impl Meter {
    pub(crate) fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::PartDelta { delta, .. } => match delta {
                PartDelta::Text(text) | PartDelta::Arguments(text) => self.generated.add(text),
                PartDelta::Signature(_) | PartDelta::Annotation(_) | PartDelta::Opaque(_) => {}
            },
            Event::Usage { usage, .. } => self.usage.get_or_insert_with(Usage::default).merge(usage),
            Event::ChoiceStop { choice: 0, stop } => self.stop = Some(stop.raw.clone()),
            Event::Fault(fault) => self.fault = Some(fault.clone()),
            Event::End => self.ended = true,
            Event::Start { .. }
            | Event::PartStart { .. }
            | Event::PartStop { .. }
            | Event::Logprobs { .. }
            | Event::ChoiceStop { .. }
            | Event::Ext { .. } => {}
        }
    }

    pub(crate) fn usage(&self) -> Option<&Usage> {
        self.usage.as_ref()
    }

    /// Tokens generated as counted here.
    pub(crate) fn generated_tokens(&self) -> u64 {
        self.generated.tokens()
    }
}
