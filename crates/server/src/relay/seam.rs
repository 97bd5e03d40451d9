//! The seam of an answer that another target goes on with: what was said so far, and how the events of the rest fit on.

use wire::{
    count::estimate_tokens,
    ir::{Event, PartDelta, PartStart, Place},
};

/// The longest answer that is kept, so that another target can go on from it.
const SAID_BYTES_MAX: usize = 256 << 10;

/// What of an answer has reached the caller.
#[derive(Default)]
pub(super) struct Seam {
    /// The text of the part that is being told.
    said: String,
    /// That part's number.
    part: Option<u32>,
    /// How many parts there were.
    parts: u32,
    /// Something beside plain text was told, or the answer has ended: nobody can go on from there.
    closed: bool,
    /// The numbers of the parts of the rest, and those that the caller knows them by; nothing for those that are left out.
    renumbered: Option<Vec<(u32, Option<u32>)>>,
    /// Tokens that were told before the rest began.
    told_tokens: u64,
}

impl Seam {
    /// What another target is to go on from; `None` where it cannot.
    pub(super) fn open_text(&self) -> Option<&str> {
        (!self.closed && self.part.is_some() && !self.said.is_empty()).then_some(self.said.as_str())
    }

    /// The rest begins.
    pub(super) fn go_on(&mut self) {
        self.renumbered = Some(Vec::new());
        self.told_tokens = estimate_tokens(&self.said);
    }

    /// An event as the caller is told it; `None` where it is not.
    pub(super) fn fit<'e>(&mut self, event: Event<'e>) -> Option<Event<'e>> {
        let event = if self.renumbered.is_some() { self.renumber(event)? } else { event };
        // Dialects that say on every event what holds for the answer as a whole need to be told so once.
        if matches!(event, Event::Ext { place: Place::Response, .. }) && self.parts > 0 {
            return None;
        }
        self.watch(&event);
        Some(event)
    }

    fn watch(&mut self, event: &Event<'_>) {
        match event {
            Event::PartStart { choice, index, part, .. } => {
                self.parts = self.parts.max(index + 1);
                match part {
                    PartStart::Text if *choice == 0 && self.part.is_none() => self.part = Some(*index),
                    PartStart::Reasoning | PartStart::RedactedReasoning { .. } if self.part.is_none() => {}
                    PartStart::Text
                    | PartStart::Refusal
                    | PartStart::Reasoning
                    | PartStart::RedactedReasoning { .. }
                    | PartStart::ToolCall { .. }
                    | PartStart::Opaque { .. } => self.closed = true,
                }
            }
            Event::PartDelta { choice: 0, index, delta: PartDelta::Text(text) }
                if Some(*index) == self.part =>
            {
                self.said.push_str(text);
                self.closed |= self.said.len() > SAID_BYTES_MAX;
            }
            Event::ChoiceStop { .. } | Event::End => self.closed = true,
            Event::Start { .. }
            | Event::PartDelta { .. }
            | Event::PartStop { .. }
            | Event::Logprobs { .. }
            | Event::Usage { .. }
            | Event::Ext { .. }
            | Event::Fault(_) => {}
        }
    }

    /// The caller knows the beginning already; the first text of the rest belongs to the part that is open.
    fn renumber<'e>(&mut self, event: Event<'e>) -> Option<Event<'e>> {
        let renumbered = self.renumbered.as_mut()?;
        let known =
            |index: u32| renumbered.iter().find(|(theirs, _)| *theirs == index).and_then(|(_, ours)| *ours);
        match event {
            Event::Start { .. } | Event::Ext { .. } | Event::Logprobs { .. } => None,
            Event::PartStart { choice, index, part, ext } => match part {
                PartStart::Text if renumbered.iter().all(|(_, ours)| ours.is_none()) => {
                    renumbered.push((index, self.part));
                    None
                }
                PartStart::Reasoning | PartStart::RedactedReasoning { .. } => {
                    renumbered.push((index, None));
                    None
                }
                PartStart::Text
                | PartStart::Refusal
                | PartStart::ToolCall { .. }
                | PartStart::Opaque { .. } => {
                    let ours = self.parts;
                    renumbered.push((index, Some(ours)));
                    Some(Event::PartStart { choice, index: ours, part, ext })
                }
            },
            Event::PartDelta { choice, index, delta } => {
                known(index).map(|index| Event::PartDelta { choice, index, delta })
            }
            Event::PartStop { choice, index } => known(index).map(|index| Event::PartStop { choice, index }),
            Event::Usage { mut usage, ext } => {
                usage.output_tokens = usage.output_tokens.saturating_add(self.told_tokens);
                Some(Event::Usage { usage, ext })
            }
            event @ (Event::ChoiceStop { .. } | Event::Fault(_) | Event::End) => Some(event),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use wire::ir::ExtRef;

    use super::*;

    fn start(index: u32, part: PartStart<'static>) -> Event<'static> {
        Event::PartStart { choice: 0, index, part, ext: ExtRef::default() }
    }

    fn text(index: u32, text: &'static str) -> Event<'static> {
        Event::PartDelta { choice: 0, index, delta: PartDelta::Text(Cow::Borrowed(text)) }
    }

    #[test]
    fn the_rest_goes_on_in_the_part_that_is_open() {
        let mut seam = Seam::default();
        for event in
            [start(0, PartStart::Reasoning), text(0, "hm"), start(1, PartStart::Text), text(1, "to be ")]
        {
            assert!(seam.fit(event).is_some());
        }
        assert_eq!(seam.open_text(), Some("to be "));
        seam.go_on();
        assert!(
            seam.fit(start(0, PartStart::Reasoning)).is_none() && seam.fit(text(0, "let me see")).is_none()
        );
        assert!(seam.fit(start(1, PartStart::Text)).is_none(), "the caller knows it");
        assert!(matches!(seam.fit(text(1, "or not")), Some(Event::PartDelta { index: 1, .. })));
        assert_eq!(seam.open_text(), Some("to be or not"), "it may break once more");
        let call = PartStart::ToolCall { id: "c".into(), name: "f".into() };
        assert!(matches!(seam.fit(start(2, call)), Some(Event::PartStart { index: 2, .. })));
        assert_eq!(seam.open_text(), None, "nobody goes on from a call");
    }
}
