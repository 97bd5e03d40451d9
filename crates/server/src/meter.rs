//! Watches the events of an answer and keeps what settling needs.

use std::{cell::RefCell, rc::Rc, time::Instant};

use wire::{
    EndedWork, Fault,
    count::Estimator,
    ir::{Event, PartDelta, PartStart, StopReason, Usage},
};

/// What was seen of an answer so far.
#[derive(Default)]
pub(crate) struct Meter {
    usage: Option<Usage>,
    /// The provider reported what cannot be true.
    pub(crate) disbelieved: bool,
    /// Work that was done aside and that the answer tells to have ended: what was used is told of that.
    pub(crate) ended_works: Option<Rc<RefCell<Vec<EndedWork>>>>,
    /// Counts what was generated, for answers whose provider reports nothing or is cut off before it does.
    generated: Estimator,
    pub(crate) stop: Option<String>,
    pub(crate) first_byte: Option<Instant>,
    /// The error that the provider reported inside its answer.
    pub(crate) fault: Option<Fault>,
    /// The provider said that the answer is complete.
    pub(crate) ended: bool,
    stopped: Option<StopReason>,
    /// What the first choice says, for answers that are looked at closely.
    said: Option<Said>,
}

/// What an answer says.
#[derive(Default)]
struct Said {
    /// The parts that are text.
    parts: Vec<u32>,
    text: String,
    refused: bool,
}

/// The most of anything that one exchange can use: a provider that reports more is not believed.
const USED_MAX: u64 = 1_000_000_000;
/// The most text that is kept of an answer; JSON that is longer is not judged.
const TEXT_BYTES_MAX: usize = 1 << 20;

impl Meter {
    /// Of an answer that is looked at closely: by a reader that tells its parts apart, so that it is known what it says.
    pub(crate) fn new(closely: bool) -> Meter {
        Meter { said: closely.then(Said::default), ..Meter::default() }
    }

    pub(crate) fn event(&mut self, event: &Event<'_>) {
        if let Some(said) = &mut self.said {
            said.event(event);
        }
        match event {
            Event::PartDelta { delta, .. } => match delta {
                PartDelta::Text(text) | PartDelta::Arguments(text) => self.generated.add(text),
                PartDelta::Signature(_) | PartDelta::Annotation(_) | PartDelta::Opaque(_) => {}
            },
            Event::Usage { usage, .. } if usage.largest() > USED_MAX => self.disbelieved = true,
            Event::Usage { usage, .. } => self.usage.get_or_insert_with(Usage::default).merge(usage),
            Event::ChoiceStop { choice: 0, stop } => {
                (self.stop, self.stopped) = (Some(stop.raw.clone()), Some(stop.reason));
            }
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

    pub(crate) fn looks_closely(&self) -> bool {
        self.said.is_some()
    }

    pub(crate) fn stopped(&self) -> Option<StopReason> {
        self.stopped
    }

    /// Whether the model, or its provider's filter, would not answer.
    pub(crate) fn was_refused(&self) -> bool {
        let by_stop = match self.stopped {
            Some(StopReason::ContentFilter | StopReason::Refusal) => true,
            Some(
                StopReason::End
                | StopReason::StopText
                | StopReason::Length
                | StopReason::ToolCalls
                | StopReason::Pause
                | StopReason::Other,
            )
            | None => false,
        };
        by_stop || self.said.as_ref().is_some_and(|said| said.refused)
    }

    /// The text of the first choice, where it was looked at and is not too long to be kept.
    pub(crate) fn text(&self) -> Option<&str> {
        let said = self.said.as_ref().filter(|said| said.text.len() <= TEXT_BYTES_MAX)?;
        Some(&said.text)
    }

    /// Takes the ended work of which the answer has told.
    pub(crate) fn take_ended_works(&mut self) -> Vec<EndedWork> {
        self.ended_works.as_ref().map(|found| found.take()).unwrap_or_default()
    }

    pub(crate) fn usage(&self) -> Option<&Usage> {
        self.usage.as_ref()
    }

    /// Tokens generated as counted here.
    pub(crate) fn generated_tokens(&self) -> u64 {
        self.generated.tokens()
    }
}

impl Said {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::PartStart { choice: 0, index, part: PartStart::Text, .. } => self.parts.push(*index),
            Event::PartStart { choice: 0, part: PartStart::Refusal, .. } => self.refused = true,
            Event::PartDelta { choice: 0, index, delta: PartDelta::Text(text) }
                if self.parts.contains(index) && self.text.len() <= TEXT_BYTES_MAX =>
            {
                self.text.push_str(text);
            }
            Event::PartDelta { .. }
            | Event::PartStart { .. }
            | Event::PartStop { .. }
            | Event::Start { .. }
            | Event::Logprobs { .. }
            | Event::ChoiceStop { .. }
            | Event::Usage { .. }
            | Event::Ext { .. }
            | Event::Fault(_)
            | Event::End => {}
        }
    }
}
