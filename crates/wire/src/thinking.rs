//! Thinking that stands in the text, told as thinking.
//!
//! Models whose server does not parse their thinking begin their text with it, between two tags
//! (<https://docs.vllm.ai/en/latest/features/reasoning_outputs.html>). Only there is it looked for: a tag that a model
//! writes later is what it says.

use std::borrow::Cow;

use crate::{
    Frame, Quirks, Reader, Sink,
    ir::{Event, ExtRef, PartDelta, PartStart},
};

/// The most choices whose texts are looked into.
const CHOICES_MAX: usize = 4096;

/// Reads what another reader finds, and tells thinking from text.
pub(crate) struct TaggedReader {
    inner: Box<dyn Reader>,
    tags: Tags,
    choices: Vec<Choice>,
}

struct Tags {
    open: String,
    close: String,
    /// The text begins within the thinking.
    opened: bool,
}

/// One choice: its parts get new numbers, since one text may become two parts.
struct Choice {
    number: u32,
    at: At,
    /// What may be the beginning of a tag, or space before one.
    held: String,
    /// The number of the text that is looked into, and the part that is open for it.
    text: Option<u32>,
    open: Option<(Sort, u32)>,
    /// The numbers of parts as they were read and as they are told.
    parts: Vec<(u32, u32)>,
    next: u32,
}

/// Where in its text a choice is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before anything but space.
    Beginning,
    /// At the beginning of the thinking.
    Opened,
    Thinking,
    /// Behind the thinking, before anything but space.
    Closed,
    Said,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Thinking,
    Text,
}

impl TaggedReader {
    /// `opened`: whether the text begins within the thinking.
    pub(crate) fn new(inner: Box<dyn Reader>, quirks: &Quirks, opened: bool) -> TaggedReader {
        let [open, close] = quirks.thinking_tags();
        let tags = Tags { open: open.to_owned(), close: close.to_owned(), opened };
        TaggedReader { inner, tags, choices: Vec::new() }
    }
}

impl Reader for TaggedReader {
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>) {
        let (tags, choices) = (&self.tags, &mut self.choices);
        self.inner.frame(frame, &mut |event| tell(event, tags, choices, sink));
    }

    fn complete(&self) -> bool {
        self.inner.complete()
    }
}

fn tell(event: Event<'_>, tags: &Tags, choices: &mut Vec<Choice>, sink: &mut Sink<'_>) {
    let number = match &event {
        Event::PartStart { choice, .. }
        | Event::PartDelta { choice, .. }
        | Event::PartStop { choice, .. }
        | Event::ChoiceStop { choice, .. } => *choice,
        Event::Fault(_) | Event::End => {
            choices.iter_mut().for_each(|choice| choice.finish(sink));
            return sink(event);
        }
        Event::Start { .. } | Event::Logprobs { .. } | Event::Usage { .. } | Event::Ext { .. } => {
            return sink(event);
        }
    };
    if choices.len() < CHOICES_MAX && !choices.iter().any(|choice| choice.number == number) {
        choices.push(Choice::new(number));
    }
    match choices.iter_mut().find(|choice| choice.number == number) {
        Some(choice) => choice.event(event, tags, sink),
        None => sink(event),
    }
}

impl Choice {
    fn new(number: u32) -> Choice {
        let (at, held, parts) = (At::Beginning, String::new(), Vec::new());
        Choice { number, at, held, text: None, open: None, parts, next: 0 }
    }

    fn event(&mut self, event: Event<'_>, tags: &Tags, sink: &mut Sink<'_>) {
        match event {
            Event::PartStart { index, part: PartStart::Text, ext, .. }
                if self.at != At::Said && ext.is_empty() =>
            {
                self.finish(sink);
                self.text = Some(index);
            }
            Event::PartStart { choice, index, part, ext } => {
                self.finish(sink);
                // A server that tells thinking apart leaves none in the text.
                if matches!(part, PartStart::Reasoning) {
                    self.at = At::Said;
                }
                let told = self.number_next(index);
                sink(Event::PartStart { choice, index: told, part, ext });
            }
            Event::PartDelta { index, delta: PartDelta::Text(text), .. } if self.text == Some(index) => {
                self.held.push_str(&text);
                self.split(tags, sink);
            }
            Event::PartDelta { choice, index, delta } => {
                if self.text == Some(index) {
                    self.flush(sink);
                    self.say(Sort::Text, "", sink);
                }
                sink(Event::PartDelta { choice, index: self.told(index), delta });
            }
            Event::PartStop { index, .. } if self.text == Some(index) => self.finish(sink),
            Event::PartStop { choice, index } => sink(Event::PartStop { choice, index: self.told(index) }),
            Event::ChoiceStop { .. } => {
                self.finish(sink);
                sink(event);
            }
            Event::Start { .. }
            | Event::Logprobs { .. }
            | Event::Usage { .. }
            | Event::Ext { .. }
            | Event::Fault(_)
            | Event::End => sink(event),
        }
    }

    /// Tells as much of what is held as is certain.
    fn split(&mut self, tags: &Tags, sink: &mut Sink<'_>) {
        loop {
            match self.at {
                At::Beginning => {
                    let text = self.held.trim_start();
                    if let Some(rest) = text.strip_prefix(tags.open.as_str()) {
                        self.held = rest.to_owned();
                        self.at = At::Opened;
                    } else if text.is_empty() || tags.open.starts_with(text) {
                        return;
                    } else {
                        self.at = if tags.opened { At::Opened } else { At::Said };
                    }
                }
                At::Opened | At::Closed => {
                    self.held = self.held.trim_start().to_owned();
                    if self.held.is_empty() {
                        return;
                    }
                    self.at = if self.at == At::Opened { At::Thinking } else { At::Said };
                }
                At::Thinking => {
                    let held = std::mem::take(&mut self.held);
                    let Some((thought, rest)) = held.split_once(tags.close.as_str()) else {
                        let (certain, open) = held.split_at(certain(&held, &tags.close));
                        self.say(Sort::Thinking, certain, sink);
                        open.clone_into(&mut self.held);
                        return;
                    };
                    self.say(Sort::Thinking, thought.trim_end(), sink);
                    rest.clone_into(&mut self.held);
                    self.at = At::Closed;
                }
                At::Said => {
                    let held = std::mem::take(&mut self.held);
                    return self.say(Sort::Text, &held, sink);
                }
            }
        }
    }

    /// The text ends: what is held is what it is.
    fn finish(&mut self, sink: &mut Sink<'_>) {
        if self.text.is_some() {
            self.flush(sink);
            self.close(sink);
            self.text = None;
        }
    }

    /// Tells what is held; what follows is text.
    fn flush(&mut self, sink: &mut Sink<'_>) {
        let held = std::mem::take(&mut self.held);
        match self.at {
            At::Beginning | At::Said if !held.is_empty() => self.say(Sort::Text, &held, sink),
            At::Thinking => self.say(Sort::Thinking, &held, sink),
            At::Beginning | At::Said | At::Opened | At::Closed => {}
        }
        self.at = At::Said;
    }

    fn say(&mut self, sort: Sort, text: &str, sink: &mut Sink<'_>) {
        if text.is_empty() && !(sort == Sort::Text && self.at == At::Said) {
            return;
        }
        let choice = self.number;
        let index = match self.open {
            Some((open, index)) if open == sort => index,
            Some(_) | None => {
                self.close(sink);
                let Some(read) = self.text else { return };
                let index = self.number_next(read);
                self.open = Some((sort, index));
                let part = match sort {
                    Sort::Thinking => PartStart::Reasoning,
                    Sort::Text => PartStart::Text,
                };
                sink(Event::PartStart { choice, index, part, ext: ExtRef::default() });
                index
            }
        };
        if !text.is_empty() {
            sink(Event::PartDelta { choice, index, delta: PartDelta::Text(Cow::Borrowed(text)) });
        }
    }

    fn close(&mut self, sink: &mut Sink<'_>) {
        if let Some((_, index)) = self.open.take() {
            sink(Event::PartStop { choice: self.number, index });
        }
    }

    /// The next number, for the part of this number as it was read.
    fn number_next(&mut self, read: u32) -> u32 {
        let told = self.next;
        self.next += 1;
        self.parts.retain(|(known, _)| *known != read);
        self.parts.push((read, told));
        told
    }

    fn told(&self, read: u32) -> u32 {
        self.parts.iter().find(|(known, _)| *known == read).map_or(read, |(_, told)| *told)
    }
}

/// How much of a text is certainly no part of the closing tag, nor space before it.
fn certain(text: &str, tag: &str) -> usize {
    let begun = tag.char_indices().map(|(at, _)| at).rev().find_map(|at| {
        let (start, _) = tag.split_at(at);
        text.strip_suffix(start)
    });
    begun.unwrap_or(text).trim_end().len()
}
